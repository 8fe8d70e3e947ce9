/**
 * Talking over a WebSocket, through the BFF: no token in its address, none in its messages.
 *
 * It ends with the session (close code 1008 and the reason). Where the server stops, or wants the
 * page to come again (1001, 1006, 1012), it comes again.
 */

import { session } from './bff-client.js';
import { part } from './part.js';
import { sentenceFor } from './reasons.js';
import { hour } from './time.js';

const LONGEST = 50; // lines
const PAUSE = 2_000; // milliseconds, and up to as much again
const COMES_AGAIN = new Set([1001, 1006, 1012]);

const list = part('chat', HTMLOListElement);
const state = part('chat-state', HTMLElement);
const form = part('chat-form', HTMLFormElement);
const words = part('chat-words', HTMLInputElement);

/** @type {WebSocket | null} */
let socket = null;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let next;

/** Joins. */
export function open() {
  const mine = (socket = new WebSocket(address()));
  say('Connecting…');
  mine.onopen = () => say('Connected');
  mine.onmessage = ({ data }) => line(JSON.parse(data));
  mine.onclose = ({ code, reason }) => {
    if (mine !== socket) return;
    say(code === 1008 ? sentenceFor(reason) : 'Not connected');
    if (!COMES_AGAIN.has(code)) return;
    next = setTimeout(() => void rejoin(), PAUSE * (1 + Math.random()));
  };
}

/** A handshake tells a page nothing of why it failed, so the session is asked about first. */
async function rejoin() {
  const now = await session.refresh().catch(() => null);
  if (!socket) return;
  if (now?.authenticated === false) say('Not connected');
  else open();
}

/** Leaves, and forgets what was said. */
export function close() {
  clearTimeout(next);
  const left = socket;
  socket = null;
  left?.close(1000);
  list.replaceChildren();
  say('Off');
}

/** Forgets what is typed: it belongs to somebody else. */
export function forgetDraft() {
  form.reset();
}

function address() {
  const url = new URL('/api/chat', location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  return url;
}

/** @param {string} text */
function say(text) {
  state.textContent = text;
  state.dataset.on = String(text === 'Connected');
}

/** @param {{ sub: string, text: string, at: string }} said */
function line({ sub, text, at }) {
  const item = document.createElement('li');
  const who = document.createElement('b');
  const time = document.createElement('time');
  who.textContent = sub;
  time.dateTime = at;
  time.textContent = hour(at);
  item.append(time, ' ', who, ` ${text}`);
  list.append(item);
  while (list.children.length > LONGEST) list.firstElementChild?.remove();
  list.scrollTop = list.scrollHeight;
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  const text = words.value.trim();
  if (!text || socket?.readyState !== WebSocket.OPEN) return;
  socket.send(text);
  form.reset();
});
