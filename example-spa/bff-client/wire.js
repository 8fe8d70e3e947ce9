/**
 * One call to the BFF or through it: what goes along, and what a refusal means.
 *
 * Knows of no session and keeps nothing; `bff-client.js` stands on it and passes on what a page
 * needs of it.
 */

/**
 * Why there is no session. `signed_out` is ours: the person has said so in this browser.
 * @typedef {'no_session' | 'session_expired' | 'session_ended' | 'refresh_rejected'
 *   | 'refresh_interrupted' | 'signed_out'} SignedOutReason
 */

/**
 * All that the BFF can refuse with: a closed set, so that a page can have a sentence for each.
 * @typedef {'no_session' | 'session_expired' | 'session_ended' | 'refresh_rejected'
 *   | 'refresh_interrupted' | 'cross_site' | 'not_same_origin' | 'forbidden' | 'insufficient_scope'
 *   | 'step_up_required' | 'ambiguous_path' | 'bad_return_to' | 'bad_request'
 *   | 'transaction_missing' | 'transaction_expired' | 'state_mismatch' | 'issuer_mismatch'
 *   | 'provider_error' | 'code_rejected' | 'id_token_invalid' | 'login_loop' | 'no_route'
 *   | 'method_not_allowed' | 'request_timeout' | 'body_too_large' | 'target_too_long'
 *   | 'expectation_failed' | 'unknown_origin' | 'websocket_version' | 'headers_too_large'
 *   | 'internal_error' | 'not_implemented' | 'upstream_unreachable' | 'upstream_protocol'
 *   | 'upstream_loop' | 'store_unavailable' | 'provider_unavailable' | 'key_unknown' | 'overloaded'
 *   | 'draining' | 'upstream_timeout'} Refusal
 */

/**
 * `network`: no answer came, or none that the BFF could have written. `popup_blocked`: the browser
 * opened no window. `somebody_else`: a call is not made again for another person than before.
 * @typedef {Refusal | 'network' | 'popup_blocked' | 'somebody_else'} Reason
 */

/**
 * The body of a refusal (RFC 9457). `request_id` names it in the BFF's log, `phase` says what was
 * being waited for, `scope` which right was missing.
 * @typedef {{ type?: string, title?: string, status?: number, reason?: string,
 *   request_id?: string, login_url?: string, phase?: string, scope?: string,
 *   [member: string]: unknown }} Problem
 */

const TAG = 'tag:bff,2026:'; // before the reason in the `type` of the BFF's own refusals

/** A call that was refused, by the BFF or by the API behind it, or that found nobody. */
export class BffError extends Error {
  /**
   * @param {Reason | null} reason
   * @param {Problem} [problem]
   * @param {Response | null} [response]
   * @param {ErrorOptions} [options]
   */
  constructor(reason, problem = {}, response = null, options) {
    const status = response?.status ?? 0;
    super(problem.title ?? reason ?? `The API answered ${status}`, options);
    this.name = 'BffError';
    /** Why the BFF refused. Null: the API itself did, and `response` says how. */
    this.reason = reason;
    /** The HTTP status; 0 when there was no answer. */
    this.status = status;
    /** The whole refusal; empty where the answer held none. */
    this.problem = problem;
    /** Where signing in begins, if that would help. @type {string | null} */
    this.login_url = (reason && problem.login_url) || null;
    /** Seconds after which trying again makes sense. @type {number | null} */
    this.retry_after = Number(response?.headers.get('Retry-After')) || null;
    /** The answer; its body can still be read. */
    this.response = response;
    /** Is nobody signed in any more? An API's own 401 is not that: it refused the call. */
    this.signedOut = status === 401 && reason !== null;
    /**
     * Makes the same call again. The page's memory keeps it, nothing else does. Only with the
     * consent of the person, who may have signed in again meanwhile; rejects as `somebody_else` if
     * another person has. Null: its body could be read only once.
     * @type {(() => Promise<Response>) | null}
     */
    this.repeat = null;
  }
}

/**
 * The one way out of this page, and the one place where refusals are read. Rejects with a
 * BffError for all answers from 400 on.
 *
 * @param {string} path on our own origin
 * @param {RequestInit} init
 * @returns {Promise<Response>}
 */
export async function send(path, init) {
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
  throw await refusal(response);
}

/**
 * What an answer from 400 on means. `api` does this by itself; for an XMLHttpRequest, which alone
 * tells how far an upload is, make a Response of what it got.
 *
 * @param {Response} response
 * @returns {Promise<BffError>}
 */
export async function refusal(response) {
  const problem = (await response.clone().json().catch(() => null)) ?? {};
  const { type } = problem;
  const reason = typeof type === 'string' && type.startsWith(TAG) ? type.slice(TAG.length) : null;
  return new BffError(/** @type {Reason | null} */ (reason), problem, response);
}

/**
 * What the BFF's own endpoints say. A page of a hotel's network in place of it is no answer.
 *
 * @param {string} path
 * @param {RequestInit} init
 * @returns {Promise<any>}
 */
export async function read(path, init) {
  const response = await send(path, init);
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
export function ours(path) {
  const url = new URL(path, location.origin);
  if (url.origin !== location.origin) throw new TypeError(`not on this origin: ${path}`);
  return url;
}
