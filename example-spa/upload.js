/** An upload that tells how far it is and can be called off, which fetch does not. */

import { BffError, refusal } from './bff-client.js';
import { part } from './part.js';
import { sentence } from './reasons.js';

const file = part('file', HTMLInputElement);
const form = part('upload', HTMLFormElement);
const bar = part('upload-bar', HTMLProgressElement);
const state = part('upload-state', HTMLElement);
const cancel = part('upload-cancel', HTMLButtonElement);
const size = new Intl.NumberFormat('en', {
  style: 'unit', unit: 'megabyte', maximumFractionDigits: 1,
});

/** @type {XMLHttpRequest | null} */
let sending = null;
/** @type {(error: unknown, lead?: string) => void} */
let failed = () => {};

/** @param {typeof failed} told how to tell the person */
export function start(told) {
  failed = told;
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const chosen = file.files?.[0];
    if (chosen && !sending) send(chosen);
  });
  cancel.addEventListener('click', stop);
}

/** Calls off what is under way. */
export function stop() {
  sending?.abort();
}

/** Forgets it all. */
export function clear() {
  stop();
  form.reset();
  show('Nothing is being sent.', 0);
}

/** @param {File} chosen */
function send(chosen) {
  const request = (sending = new XMLHttpRequest());
  request.open('POST', '/api/uploads');
  request.setRequestHeader('X-CSRF', '1'); // what `api` does by itself
  request.setRequestHeader('Content-Type', 'application/octet-stream');
  request.upload.onprogress = ({ loaded, total }) => {
    show(`${megabytes(loaded)} of ${megabytes(total)} sent`, loaded / total);
  };
  request.onload = () => void answered(request);
  request.onerror = () => over('Nothing was uploaded.', new BffError('network'));
  request.onabort = () => over('Cancelled. Nothing was kept.');
  cancel.hidden = false;
  show('Sending…', 0);
  request.send(chosen);
}

/** @param {XMLHttpRequest} request */
async function answered({ status, responseText }) {
  if (status < 400) {
    const { octets } = JSON.parse(responseText);
    return over(`Done: the API counted ${Number(octets).toLocaleString('en')} octets.`);
  }
  over('It was not taken.', await refusal(new Response(responseText, { status })));
}

/**
 * @param {string} text
 * @param {BffError} [error]
 */
function over(text, error) {
  sending = null;
  cancel.hidden = true;
  show(error ? `${text} ${sentence(error)}` : text, error ? 0 : bar.value);
  if (error) failed(error, text);
}

/**
 * @param {string} text
 * @param {number} part
 */
function show(text, part) {
  state.textContent = text;
  bar.value = part;
}

/** @param {number} octets */
function megabytes(octets) {
  return size.format(octets / 1e6);
}
