/** Vue's view of the session. */

import { defineComponent, Fragment, getCurrentScope, h, onScopeDispose, shallowRef } from 'vue';
import { session } from '../bff-client.js';

/** @typedef {import('../bff-client.js').Session} Session */

/**
 * The session as it is now, for as long as the component or scope that asks for it lives.
 *
 * @returns {Readonly<import('vue').ShallowRef<Session>>}
 */
export function useSession() {
  const now = shallowRef(session.get());
  if (typeof document === 'undefined') return now; // a server draws once, and ends no scope
  const end = session.subscribe(() => { now.value = session.get(); });
  if (getCurrentScope()) onScopeDispose(end);
  return now;
}

/**
 * Shows its default slot, with the `session`, only to who is signed in. The slot `waiting` stands
 * there until that is known, `otherwise` to everybody else. Another person gets a slot of their
 * own: nothing stays of what the one before saw or typed. The BFF and the API decide what anybody
 * may have: this only spares people a view that would be empty.
 */
export const RequireSession = defineComponent({
  name: 'RequireSession',
  setup(_, { slots }) {
    const now = useSession();
    return () => {
      const known = now.value;
      const shown = { session: known };
      if (known.authenticated) return h(Fragment, { key: known.person }, slots.default?.(shown));
      return known.authenticated === null ? slots.waiting?.() : slots.otherwise?.(shown);
    };
  },
});
