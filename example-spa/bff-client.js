/**
 * What a page needs of the BFF that serves it: who is signed in, the way in, the way out, and
 * calls to the API. Copy this file and the folder of its name; they need nothing else.
 *
 * There is no token code because no token ever reaches the page. The browser keeps one HttpOnly
 * cookie and sends it by itself; the BFF adds the access token on the way to the API and renews
 * it there. What is left: proving that our own page is asking, reading refusals, and letting all
 * tabs of a browser know the same thing at the same time.
 */

import { ended, look, returned, session, start, whose } from './bff-client/session.js';
import { BffError, ours, read, send } from './bff-client/wire.js';

export { countdown, secondsLeft } from './bff-client/countdown.js';
export { onEnded, session } from './bff-client/session.js';
export { refusal } from './bff-client/wire.js';
export { BffError };

/** @typedef {import('./bff-client/wire.js').Reason} Reason */
/** @typedef {import('./bff-client/wire.js').SignedOutReason} SignedOutReason */
/** @typedef {import('./bff-client/wire.js').Problem} Problem */
/** @typedef {import('./bff-client/session.js').Session} Session */
/** @typedef {import('./bff-client/session.js').SignedIn} SignedIn */
/** @typedef {import('./bff-client/session.js').SignedOut} SignedOut */
/** @typedef {import('./bff-client/session.js').Claims} Claims */
/** @typedef {import('./bff-client/session.js').SecondsLeft} SecondsLeft */

/**
 * `loginUrl`: as an error or the session named it, with what that sign-in needs already in it.
 * @typedef {{ returnTo?: string, prompt?: string, acrValues?: string, maxAge?: number,
 *   loginUrl?: string | null }} LoginOptions
 */

/**
 * What `fetch` takes, and two things more. `json` becomes the body. `background` marks a call
 * that the person did not ask for, such as polling: it does not keep the session alive.
 * @typedef {Omit<RequestInit, 'mode' | 'credentials'>
 *   & { json?: unknown, background?: boolean }} ApiInit
 */

const LONGEST = 2048; // octets of a way back, which the BFF keeps in a cookie

/** @type {Promise<unknown> | undefined} */
let doubting;

/**
 * Leaves the page to sign in; afterwards the browser is back at `returnTo`, by default here.
 * Call it from a click: a page that does so by itself can go round in circles.
 *
 * @param {LoginOptions} [options]
 * @returns {void}
 */
export function login(options) {
  const { pathname, search, hash } = location;
  const here = pathname + search + hash;
  location.assign(loginUrl(options, here.length > LONGEST ? pathname : here));
}

/**
 * The same in a window of its own, so that nothing in this page is lost. Resolves when somebody
 * has signed in; if the window is closed before, it goes on waiting. The window comes back to a
 * page of ours that says so to all tabs, since the provider's pages cut it off from this one.
 * Call it from a click; rejects with `popup_blocked` if the browser opens none.
 *
 * @param {LoginOptions} [options]
 * @returns {Promise<void>}
 */
export async function signIn(options) {
  start();
  const features = 'popup,width=480,height=720';
  if (!open(loginUrl(options, '/signed-in.html'), 'bff-sign-in', features)) {
    throw new BffError('popup_blocked');
  }
  await returned();
}

/**
 * Ends the session, tells the other tabs, then leaves the page to end the provider's too. Rejects
 * with a BffError if the session could not be ended (503): the person is then still signed in
 * and should be told.
 *
 * @returns {Promise<void>}
 */
export async function logout() {
  const { logout_url } = await read('/bff/logout', { method: 'POST' });
  ended('signed_out');
  location.assign(ours(logout_url));
}

/**
 * `fetch` for the API behind the BFF. Resolves with answers below 400 and rejects with a
 * BffError for all others; an abort by `signal` rejects as it does with fetch. A 401 of the BFF
 * is looked into and then known to all who listen to `session`; nobody is ever sent elsewhere.
 *
 * @param {string} path on our own origin, such as `/api/tasks`
 * @param {ApiInit} [init]
 * @returns {Promise<Response>}
 */
export async function api(path, init = {}) {
  const { json, background, ...rest } = init;
  const before = whose();
  const headers = new Headers(rest.headers);
  if (background) headers.set('X-BFF-Background', '1');
  if (json !== undefined) {
    headers.set('Content-Type', 'application/json');
    rest.body = JSON.stringify(json);
  }
  try {
    return await send(path, { ...rest, headers });
  } catch (error) {
    if (!(error instanceof BffError)) throw error;
    if (error.signedOut) error.signedOut = await isTrue(error);
    if (!(rest.body instanceof ReadableStream)) {
      const person = before || whose();
      error.repeat = onceAtATime(async () => {
        if (person && person !== whose()) throw new BffError('somebody_else');
        return api(path, init);
      });
    }
    throw error;
  }
}

/**
 * Two may have waited for one sign-in, the first in a window that was closed by hand: what both
 * want to be done is done once, and each gets an answer to read.
 *
 * @param {() => Promise<Response>} call
 * @returns {() => Promise<Response>}
 */
function onceAtATime(call) {
  /** @type {Promise<Response> | undefined} */
  let made;
  return () => {
    const joins = made !== undefined;
    made ??= call().finally(() => { made = undefined; });
    return made.then((answer) => (joins ? answer.clone() : answer));
  };
}

/**
 * A 401 may be late: asked before a new sign-in in another tab, answered after it.
 *
 * @param {BffError} error
 */
async function isTrue({ reason }) {
  const known = /** @type {SignedOutReason} */ (reason);
  doubting ??= look('GET', known).catch(() => {}).finally(() => { doubting = undefined; });
  await doubting;
  return session.get().authenticated !== true;
}

/**
 * @param {LoginOptions | undefined} options
 * @param {string} here
 * @returns {URL}
 */
function loginUrl({ returnTo = '', prompt, acrValues, maxAge, loginUrl: named } = {}, here) {
  const now = session.get();
  const known = now.authenticated === null ? '' : now.login_url;
  const url = ours(named || known || '/bff/login');
  const asked = { return_to: returnTo || here, prompt, acr_values: acrValues, max_age: maxAge };
  for (const [name, value] of Object.entries(asked)) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  return url;
}
