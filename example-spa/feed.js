/**
 * The live feed: server-sent events of the API, through the BFF.
 *
 * Open only while it is looked at: a browser has six connections to a host, for all tabs together,
 * and a stream holds one as long as it lives.
 */

import { session } from './bff-client.js';
import { part } from './part.js';
import { hour } from './time.js';

const LONGEST = 50; // lines

const list = part('feed', HTMLOListElement);
const state = part('feed-state', HTMLElement);

/** @type {EventSource | null} */
let source = null;

/** @param {() => void} changed something about the tasks is new */
export function open(changed) {
  const stream = (source = new EventSource('/api/live'));
  say('Connecting…');
  stream.addEventListener('hello', () => say('Listening'));
  stream.addEventListener('task', ({ data }) => {
    /** @type {{ what: string, title: string, at: string }} */
    const { what, title, at } = JSON.parse(data);
    line(at, what === 'emptied' ? 'All tasks deleted' : `${capital(what)}: ${title}`);
    changed();
  });
  stream.onerror = () => {
    // It comes again by itself where the connection broke. A refusal is for good: is it the
    // session? The client knows, and tells the page.
    if (stream.readyState === EventSource.CONNECTING) return say('Connecting…');
    say('The feed was refused.');
    session.refresh().catch(() => {});
  };
}

/** Ends it and forgets what it told. */
export function close() {
  source?.close();
  source = null;
  list.replaceChildren();
  say('Off');
}

/** @param {string} text */
function say(text) {
  if (state.textContent !== text) state.textContent = text;
  state.dataset.on = String(text === 'Listening');
}

/**
 * @param {string} at
 * @param {string} text
 */
function line(at, text) {
  const item = document.createElement('li');
  const time = document.createElement('time');
  time.dateTime = at;
  time.textContent = hour(at);
  item.append(time, ` ${text}`);
  list.prepend(item);
  while (list.children.length > LONGEST) list.lastElementChild?.remove();
}

/** @param {string} word */
function capital(word) {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
