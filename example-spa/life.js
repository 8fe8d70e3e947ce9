/**
 * How long everything still lives, second by second, and what a script can find in this page.
 *
 * Between two answers of the BFF the seconds are counted here. Nothing depends on them: only
 * the BFF knows when a session is over.
 */

import { part } from './part.js';

/** @typedef {'access-token' | 'idle' | 'session'} Life */

/** @type {readonly Life[]} */
const LIVES = ['access-token', 'idle', 'session'];

const shown = LIVES.map((life) => ({
  life,
  text: part(`left-${life}`, HTMLElement),
  bar: part(`bar-${life}`, HTMLProgressElement),
}));
const fingerprint = part('fingerprint', HTMLElement);
const renewals = part('renewals', HTMLElement);
const times = part('times', HTMLElement);

/** When each ends, in milliseconds of this machine's clock. @type {Map<Life, number>} */
const ends = new Map();
let renewed = 0;
let seen = '';

/**
 * Takes over what the BFF has just said.
 *
 * @param {import('./bff-client.js').SecondsLeft} left
 */
export function setLeft({ access_token, idle, lifetime }) {
  const now = Date.now();
  ends.set('idle', now + idle * 1000);
  ends.set('session', now + lifetime * 1000);
  if (access_token === null) ends.delete('access-token');
  else ends.set('access-token', now + access_token * 1000);
  tick();
}

/**
 * Takes over which token the API saw, and counts if it is another one than before.
 *
 * @param {{ fingerprint: string, seconds_left: number }} token
 */
export function setToken({ fingerprint: now, seconds_left }) {
  ends.set('access-token', Date.now() + seconds_left * 1000);
  tick();
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

/** Forgets it all: the session is over. */
export function clear() {
  ends.clear();
  seen = '';
  renewed = 0;
  fingerprint.classList.remove('fresh');
  fingerprint.textContent = '········';
  for (const { text, bar } of shown) {
    text.textContent = '–';
    delete text.dataset.seconds;
    bar.value = 0;
    bar.max = 1;
  }
  count();
}

/**
 * Counts down.
 *
 * @returns {boolean} has the session's time run out, as far as this page can tell?
 */
export function tick() {
  for (const { life, text, bar } of shown) {
    const end = ends.get(life);
    if (end === undefined) continue;
    const seconds = Math.max(0, Math.round((end - Date.now()) / 1000));
    text.textContent = spoken(seconds);
    text.dataset.seconds = String(seconds);
    // The whole is the most that was ever left: the BFF does not tell, and need not.
    bar.max = Math.max(bar.max, seconds);
    bar.value = seconds;
  }
  const over = Math.min(ends.get('idle') ?? Infinity, ends.get('session') ?? Infinity);
  return over <= Date.now();
}

/** Shows what any script in this page could read: names and numbers, no values. */
export function prove() {
  // Cookies know no ports: on localhost another project's cookie may be in sight.
  const names = document.cookie.split('; ').filter(Boolean).map((pair) => pair.split('=')[0]);
  show('cookie', names.length ? names.join(', ') : 'empty');
  show('local', contents(() => localStorage));
  show('session', contents(() => sessionStorage));
}

/**
 * @param {() => Storage} storage
 * @returns {string}
 */
function contents(storage) {
  try {
    const { length } = storage();
    return length ? `${length} ${length === 1 ? 'entry' : 'entries'}` : 'empty';
  } catch {
    return 'blocked'; // where the browser keeps no site data, even looking throws
  }
}

/**
 * @param {string} what
 * @param {string} text
 */
function show(what, text) {
  for (const place of document.querySelectorAll(`[data-proof="${what}"]`)) {
    if (place.textContent !== text) place.textContent = text;
    place.classList.toggle('found', text !== 'empty' && text !== 'blocked');
  }
}

function count() {
  renewals.textContent = String(renewed);
  times.textContent = renewed === 1 ? 'time' : 'times';
}

/**
 * @param {number} seconds
 * @returns {string} such as `17 s`, `29:41` or `11:59:03`
 */
function spoken(seconds) {
  if (seconds < 60) return `${seconds} s`;
  const two = (/** @type {number} */ n) => String(n).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours
    ? `${hours}:${two(minutes)}:${two(seconds % 60)}`
    : `${minutes}:${two(seconds % 60)}`;
}
