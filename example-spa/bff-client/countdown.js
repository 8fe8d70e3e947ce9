/** What is left of a session by this machine's clock, between two words of the BFF. */

import { session } from './session.js';

/** @typedef {import('./session.js').SecondsLeft} SecondsLeft */

/**
 * What is left at this moment, counted here without asking; null while nobody is signed in.
 *
 * @returns {SecondsLeft | null}
 */
export function secondsLeft() {
  const now = session.get();
  if (!now.authenticated) return null;
  const passed = (Date.now() - now.at) / 1000;
  const rest = (/** @type {number} */ of) => Math.max(0, Math.round(of - passed));
  const { idle, lifetime, access_token: token } = now.seconds_left;
  return {
    idle: rest(idle), lifetime: rest(lifetime), access_token: token === null ? null : rest(token),
  };
}

/**
 * Tells once a second what is left.
 *
 * @param {(left: SecondsLeft | null) => void} listener
 * @returns {() => void} ends it
 */
export function countdown(listener) {
  const ticking = setInterval(() => listener(secondsLeft()), 1000);
  return () => clearInterval(ticking);
}
