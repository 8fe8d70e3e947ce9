/** Vue's view of the session. */

import { defineComponent, getCurrentScope, onScopeDispose, shallowRef } from 'vue';
import { session } from '../bff-client.js';

/** @typedef {import('../bff-client.js').Session} Session */

/**
 * The session as it is now, for as long as the component or scope that asks for it lives.
 *
 * @returns {Readonly<import('vue').ShallowRef<Session>>}
 */
export function useSession() {
  const now = shallowRef(session.get());
  const end = session.subscribe(() => { now.value = session.get(); });
  if (getCurrentScope()) onScopeDispose(end);
  return now;
}

/**
 * Shows its default slot, with the `session`, only to who is signed in. The slot `waiting` stands
 * there until that is known, `otherwise` to everybody else. The BFF and the API decide what
 * anybody may have: this only spares people a view that would be empty.
 */
export const RequireSession = defineComponent({
  name: 'RequireSession',
  setup(_, { slots }) {
    const now = useSession();
    return () => {
      const { authenticated } = now.value;
      if (authenticated) return slots.default?.({ session: now.value });
      return authenticated === null ? slots.waiting?.() : slots.otherwise?.({ session: now.value });
    };
  },
});
