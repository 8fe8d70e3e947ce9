/**
 * How long everything still lives, second by second.
 *
 * Between two words of the BFF the seconds are counted in the page. Nothing depends on them: only
 * the BFF knows when a session is over.
 */

import { part } from './part.js';
import { clock } from './time.js';

/** @typedef {import('./bff-client.js').SecondsLeft} SecondsLeft */

const shown = /** @type {const} */ ([
  ['access_token', 'access-token'], ['idle', 'idle'], ['lifetime', 'session'],
]).map(([life, id]) => ({
  life,
  text: part(`left-${id}`, HTMLElement),
  bar: part(`bar-${id}`, HTMLProgressElement),
}));
const fingerprint = part('fingerprint', HTMLElement);
const renewals = part('renewals', HTMLElement);
const times = part('times', HTMLElement);

let renewed = 0;
let seen = '';

/**
 * Shows what is left; null: nothing, the session is over.
 *
 * @param {SecondsLeft | null} left
 */
export function show(left) {
  for (const { life, text, bar } of shown) {
    const seconds = left?.[life] ?? null;
    text.textContent = seconds === null ? '–' : clock(seconds);
    // The whole is the most that was ever left: the BFF does not tell, and need not.
    bar.max = left ? Math.max(bar.max, seconds ?? 0) : 1;
    bar.value = seconds ?? 0;
  }
}

/**
 * Takes over which token the API saw, and counts if it is another one than before.
 *
 * @param {string} now its fingerprint
 */
export function setToken(now) {
  if (now === seen) return;
  if (seen) {
    renewed += 1;
    fingerprint.getAnimations().forEach((flash) => flash.cancel());
    fingerprint.classList.remove('fresh');
    void fingerprint.offsetWidth; // so that the class counts as new and the flash starts again
    fingerprint.classList.add('fresh');
  }
  seen = now;
  fingerprint.textContent = now;
  count();
}

/** Forgets it all. */
export function clear() {
  seen = '';
  renewed = 0;
  fingerprint.classList.remove('fresh');
  fingerprint.textContent = '········';
  show(null);
  count();
}

function count() {
  renewals.textContent = String(renewed);
  times.textContent = renewed === 1 ? 'time' : 'times';
}
