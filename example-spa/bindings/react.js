/** React's view of the session. */

import { createElement, Fragment, useSyncExternalStore } from 'react';
import { session } from '../bff-client.js';
import { UNKNOWN } from '../bff-client/session.js';

/** @typedef {import('react').ReactNode} ReactNode */
/** @typedef {import('../bff-client.js').Session} Session */

/**
 * The session as it is now; the component is drawn again when it changes, in whatever tab.
 *
 * @returns {Session}
 */
export function useSession() {
  return useSyncExternalStore(session.subscribe, session.get, () => UNKNOWN);
}

/**
 * Shows its children only to who is signed in. `waiting` stands there until that is known,
 * `otherwise` to everybody else; as a function it is told why. Another person gets children of
 * their own: nothing stays of what the one before saw or typed. The BFF and the API decide what
 * anybody may have: this only spares people a view that would be empty.
 *
 * @param {{ children?: ReactNode, waiting?: ReactNode,
 *   otherwise?: ReactNode | ((now: import('../bff-client.js').SignedOut) => ReactNode) }} props
 * @returns {ReactNode}
 */
export function RequireSession({ children, waiting = null, otherwise = null }) {
  const now = useSession();
  if (now.authenticated) return createElement(Fragment, { key: now.person }, children);
  if (now.authenticated === null) return waiting;
  return typeof otherwise === 'function' ? otherwise(now) : otherwise;
}
