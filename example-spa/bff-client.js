/**
 * What a page needs of the BFF that serves it: who is signed in, the way in, the way out, and
 * calls to the API. Copy this file; it needs no other.
 *
 * There is no token code because no token ever reaches the page. The browser keeps one HttpOnly
 * cookie and sends it by itself; the BFF adds the access token on the way to the API and renews
 * it there. All that is left to do here is to prove that our own page is asking (`X-CSRF`), and
 * to read refusals. Both are done in one place, `ask`.
 */

/** All that the BFF can refuse with: a closed set, so that a page can have a sentence for each. */
const REASONS = /** @type {const} */ ([
  'no_session', 'session_expired', 'session_ended', 'refresh_rejected', 'refresh_interrupted',
  'cross_site', 'not_same_origin', 'forbidden', 'insufficient_scope', 'step_up_required',
  'ambiguous_path', 'bad_return_to', 'bad_request', 'transaction_missing', 'transaction_expired',
  'state_mismatch', 'issuer_mismatch', 'provider_error', 'code_rejected', 'id_token_invalid',
  'login_loop', 'no_route', 'method_not_allowed', 'request_timeout', 'body_too_large',
  'target_too_long', 'expectation_failed', 'unknown_origin', 'websocket_version',
  'headers_too_large', 'internal_error', 'not_implemented', 'upstream_unreachable',
  'upstream_protocol', 'upstream_loop', 'store_unavailable', 'provider_unavailable',
  'key_unknown', 'overloaded', 'draining', 'upstream_timeout',
]);

/**
 * `network` is ours: no answer came, or none that the BFF could have written.
 * @typedef {typeof REASONS[number] | 'network'} Reason
 */

/**
 * @typedef {'no_session' | 'session_expired' | 'session_ended' | 'refresh_rejected'
 *   | 'refresh_interrupted'} SignedOutReason
 */

/**
 * The claims that the BFF's configuration lets the page see.
 * @typedef {{ name?: string, email?: string, picture?: string, [claim: string]: unknown }} Claims
 */

/**
 * Seconds until the session ends for want of a sign of life, until it ends in any case, and
 * until the access token does. The last is null where the provider does not say.
 * @typedef {{ idle: number, lifetime: number, access_token: number | null }} SecondsLeft
 */

/**
 * @typedef {{ authenticated: true, claims: Claims, seconds_left: SecondsLeft, login_url: string,
 *   logout_url: string }} SignedIn
 */

/**
 * @typedef {{ authenticated: false, reason: SignedOutReason, login_url: string,
 *   logout_url: string }} SignedOut
 */

/** @typedef {SignedIn | SignedOut} Session */

/**
 * What `fetch` takes, and two things more. `json` becomes the body. `background` marks a call
 * that the person did not ask for, such as polling: it does not keep the session alive.
 * @typedef {Omit<RequestInit, 'mode' | 'credentials'>
 *   & { json?: unknown, background?: boolean }} ApiInit
 */

/**
 * The body of a refusal, after RFC 9457.
 * @typedef {{ type?: string, title?: string, status?: number, reason?: string,
 *   request_id?: string, login_url?: string, phase?: string, [member: string]: unknown }} Problem
 */

/** A call that was refused, by the BFF or by the API behind it, or that found nobody. */
export class BffError extends Error {
  /**
   * @param {Reason | null} reason
   * @param {Problem} problem
   * @param {Response | null} response
   * @param {ErrorOptions} [options]
   */
  constructor(reason, problem, response, options) {
    const status = response?.status ?? 0;
    super(problem.title ?? reason ?? `The API answered ${status}`, options);
    this.name = 'BffError';
    /** Why the BFF refused. Null: the API itself did, and `response` says how. */
    this.reason = reason;
    /** The HTTP status; 0 when there was no answer. */
    this.status = status;
    /** Names this refusal in the BFF's log. @type {string | null} */
    this.request_id = problem.request_id ?? null;
    /** Where signing in begins, if that would help. @type {string | null} */
    this.login_url = (reason && problem.login_url) ?? null;
    /** On a time-out: what was being waited for. @type {string | null} */
    this.phase = problem.phase ?? null;
    /** Seconds after which trying again makes sense. @type {number | null} */
    this.retry_after = Number(response?.headers.get('Retry-After')) || null;
    /** The answer; its body can still be read. */
    this.response = response;
    /**
     * Is there no session any more? An API's own 401 is not that: it refused this call, not the
     * person, and the BFF marks it with a challenge of that name.
     */
    this.signedOut = status === 401 && reason !== null
      && !/^upstream\b/i.test(response?.headers.get('WWW-Authenticate') ?? '');
  }
}

/**
 * Who is signed in, and for how long. Asking does not keep anybody signed in; `stay` does, so
 * set it when the person has said that they are there. Rejects with a BffError when the BFF
 * cannot say, which is not the same as "nobody".
 *
 * @param {{ stay?: boolean, signal?: AbortSignal }} [options]
 * @returns {Promise<Session>}
 */
export async function session({ stay = false, signal } = {}) {
  return read(await ask('/bff/session', {
    method: stay ? 'POST' : 'GET', cache: 'no-store', signal: signal ?? null,
  }));
}

/**
 * Leaves the page to sign in; afterwards the browser is back at `return_to`, by default here.
 * Call it from a click: a page that does so by itself can go round in circles.
 *
 * @param {{ return_to?: string, login_url?: string }} [options]
 * @returns {void}
 */
export function login({ return_to = here(), login_url = '/bff/login' } = {}) {
  const url = ours(login_url);
  url.search += `${url.search ? '&' : '?'}return_to=${encodeURIComponent(return_to)}`;
  location.assign(url);
}

/**
 * Ends the session, then leaves the page to end the provider's too. Rejects with a BffError if
 * the session could not be ended: the person is then still signed in and should be told.
 *
 * @returns {Promise<void>}
 */
export async function logout() {
  /** @type {{ logout_url: string }} */
  const { logout_url } = await read(await ask('/bff/logout', { method: 'POST' }));
  location.assign(ours(logout_url));
}

/**
 * `fetch` for the API behind the BFF. Resolves with answers below 400 and rejects with a
 * BffError for all others; an abort by `signal` rejects as it does with fetch.
 *
 * @param {string} path on our own origin, such as `/api/tasks`
 * @param {ApiInit} [init]
 * @returns {Promise<Response>}
 */
export async function api(path, { json, background = false, ...init } = {}) {
  const headers = new Headers(init.headers);
  if (background) headers.set('X-BFF-Background', '1');
  if (json === undefined) return ask(path, { ...init, headers });
  headers.set('Content-Type', 'application/json');
  return ask(path, { ...init, headers, body: JSON.stringify(json) });
}

/**
 * The one way out of this page, and the one place where refusals are read.
 *
 * @param {string} path
 * @param {RequestInit} init
 * @returns {Promise<Response>}
 */
async function ask(path, init) {
  const url = ours(path);
  const headers = new Headers(init.headers);
  // Another site's page cannot set this header without asking us first, and we say no.
  headers.set('X-CSRF', '1');
  let response;
  try {
    // `same-origin` also for redirects: a call that is sent elsewhere fails, it is not followed.
    response = await fetch(url, {
      ...init, headers, mode: 'same-origin', credentials: 'same-origin',
    });
  } catch (cause) {
    if (init.signal?.aborted) throw cause;
    throw new BffError('network', {}, null, { cause });
  }
  if (response.status < 400) return response;
  const problem = await problemOf(response);
  const reason = REASONS.find((known) => known === problem.reason) ?? null;
  throw new BffError(reason, problem, response);
}

/**
 * @param {Response} response
 * @returns {Promise<Problem>} empty where the answer holds none
 */
async function problemOf(response) {
  const type = response.headers.get('Content-Type') ?? '';
  if (!/^application\/problem\+json\b/i.test(type)) return {};
  return (await response.clone().json().catch(() => null)) ?? {};
}

/**
 * What the BFF's own endpoints say. A page of a hotel's network in place of it is no answer.
 *
 * @param {Response} response
 * @returns {Promise<any>}
 */
async function read(response) {
  try {
    return await response.json();
  } catch (cause) {
    throw new BffError('network', {}, response, { cause });
  }
}

/**
 * An address on our own origin. Some come out of answers, and neither another site nor
 * `javascript:` is a place to send the person or their cookie.
 *
 * @param {string} path
 * @returns {URL}
 */
function ours(path) {
  const url = new URL(path, location.origin);
  if (url.origin !== location.origin) throw new TypeError(`not on this origin: ${path}`);
  return url;
}

/** @returns {string} */
function here() {
  return location.pathname + location.search + location.hash;
}
