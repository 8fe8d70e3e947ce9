/**
 * What the person is told, for every reason that the BFF can give.
 *
 * In the application, not in the library: tone and language are the application's. The type
 * makes the table total, so `npm run check` names a reason that has no sentence.
 */

import { BffError } from './bff-client.js';

/** @typedef {import('./bff-client.js').Reason} Reason */
/** @typedef {import('./bff-client.js').SignedOutReason} SignedOutReason */

/** @type {Readonly<Record<Reason | SignedOutReason, string>>} */
const SENTENCES = {
  no_session: 'You are not signed in.',
  session_expired: 'Your session ran out. Please sign in again.',
  session_ended: 'You were signed out elsewhere.',
  signed_out: 'You signed out in another tab.',
  refresh_rejected: 'The sign-in service has withdrawn your access. Please sign in again.',
  refresh_interrupted:
    'Renewing your access was cut short, so we ended the session to be safe. Please sign in again.',

  cross_site: 'This request seemed to come from another site, so it was refused.',
  not_same_origin: 'This request could not prove that it came from this page, so it was refused.',
  forbidden: 'You are not allowed to do that.',
  insufficient_scope: 'When you signed in, this app was not given permission for that.',
  step_up_required: 'This action asks you to confirm first that it is really you.',

  ambiguous_path: 'This address can be read in two ways, so it was refused.',
  bad_return_to: 'The page to return to after signing in is not on this site.',
  bad_request: 'The server did not understand this request.',
  transaction_missing:
    'This sign-in was not started in this browser, or its cookie is gone. Please start again.',
  transaction_expired: 'Signing in took too long. Please start again.',
  state_mismatch: 'This sign-in does not belong to this browser. Please start again.',
  issuer_mismatch: 'The answer came from a different sign-in service than the one we asked.',
  provider_error: 'The sign-in service did not let you in, or you cancelled.',
  code_rejected: 'The sign-in service did not accept its own code any more. Please start again.',
  id_token_invalid: 'The sign-in service sent a proof of identity that does not hold.',
  login_loop: 'Signing in went round in circles, so we stopped. Does this browser block cookies?',

  no_route: 'There is nothing at this address.',
  method_not_allowed: 'This address does not take that kind of request.',
  request_timeout: 'Sending the request took too long. Please try again.',
  body_too_large: 'That is too large to send.',
  target_too_long: 'The address of this request is too long.',
  expectation_failed: 'The request asked for something the server does not offer.',
  unknown_origin: 'The server does not know this site by this name.',
  websocket_version: 'This browser and the server do not share a version of live connections.',
  headers_too_large:
    'The browser sent more than the server reads. Clearing the cookies of this site may help.',

  internal_error: 'Something went wrong on our side. It has been written down.',
  not_implemented: 'The server cannot do that yet.',
  upstream_unreachable: 'The service behind this page cannot be reached. Please try again soon.',
  upstream_protocol: 'The service behind this page gave an answer that makes no sense.',
  upstream_loop: 'The request came back to where it started. The server is set up wrongly.',
  store_unavailable: 'We cannot look up your session just now. Please try again in a moment.',
  provider_unavailable: 'The sign-in service is not answering. Please try again in a moment.',
  key_unknown: 'The server cannot open your session just now. Please try again in a moment.',
  overloaded: 'Many people are here at once. Please try again in a moment.',
  draining: 'The server is restarting. Please try again in a moment.',
  upstream_timeout: 'The service behind this page took too long. Please try again.',

  network: 'The server cannot be reached. Are you offline?',
  popup_blocked: 'The browser opened no window to sign in. Please allow windows for this site.',
  somebody_else: 'Somebody else has signed in, so nothing was sent for you.',
};

/**
 * @param {string} reason also one that this page, older than the server, does not know
 * @returns {string}
 */
export function sentenceFor(reason) {
  const known = SENTENCES[/** @type {Reason} */ (reason)];
  return known ?? 'The server said no, and this page does not know why.';
}

/**
 * The sentence for anything that a call can fail with.
 *
 * @param {unknown} error
 * @returns {string}
 */
export function sentence(error) {
  if (!(error instanceof BffError)) return 'Something went wrong in this page.';
  if (error.reason) return sentenceFor(error.reason);
  if (error.status >= 500) return `The API is in trouble and answered ${error.status}.`;
  return `The API refused this and answered ${error.status}.`;
}
