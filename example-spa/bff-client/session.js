/**
 * Who is signed in, as all tabs of this browser know it: one of them listens for all.
 *
 * Importing it does nothing. The first subscription asks who is there and begins to listen.
 */

import { BffError, read } from './wire.js';

/** @typedef {import('./wire.js').SignedOutReason} SignedOutReason */

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
 * What is known of the session, as it was `at` that time in milliseconds since the epoch.
 * `authenticated` null: nothing yet, and `error` says why if asking has failed.
 * `person` is an opaque name of whoever it is, the same at each sign-in, and there to be compared:
 * claims are not, since two people may share them. `expiring`: the end is near, for want of a sign
 * of life or in any case.
 *
 * @typedef {{ authenticated: null, error: unknown, at: number }} Unknown
 * @typedef {{ authenticated: true, person: string, claims: Claims, seconds_left: SecondsLeft,
 *   expiring: 'idle' | 'lifetime' | null, login_url: string, at: number }} SignedIn
 * @typedef {{ authenticated: false, reason: SignedOutReason, login_url: string,
 *   at: number }} SignedOut
 * @typedef {Unknown | SignedIn | SignedOut} Session
 */

const NAME = 'bff'; // of the channel between the tabs, and of the lock of the one that listens
const SOON = 500; // milliseconds
const LONGEST = 2 ** 31 - 1; // milliseconds that a timer can wait

/** What is known before anybody was asked, and on a server. @type {Unknown} */
export const UNKNOWN = { authenticated: null, error: null, at: 0 };

/** @type {Session} */
let state = UNKNOWN;
/** @type {Set<() => void>} */
const subscribers = new Set();
/** @type {Set<(reason: SignedOutReason) => void>} */
const mourners = new Set();
/** Who waits for a sign-in in the other window. @type {Set<() => void>} */
const waiting = new Set();

/** @type {BroadcastChannel | undefined} */
let channel;
/** Open, or about to be opened again. @type {EventSource | undefined} */
let source;
/** Gives the lock back, or the place in the queue for it. @type {AbortController | undefined} */
let place;
let leading = false;
/** Who is signed in here, or was the last to be. */
let person = '';
/** Of that session no end has been told yet. */
let living = false;
/** The other window has said that somebody signed in, and no answer has borne it out yet. */
let awaited = false;
let tries = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let alarm;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let next;
/**
 * Who is signed in, as all tabs of this browser know it. `get` and `subscribe` are what React's
 * `useSyncExternalStore` takes. `refresh` asks anew and keeps nobody signed in; `stay` does, so
 * call it when the person has said that they are there. Both reject with a BffError when the BFF
 * cannot say, which is not the same as "nobody".
 */
export const session = {
  /** The same object until something changes. */
  get: () => state,

  /**
   * @param {() => void} listener
   * @returns {() => void} ends the subscription
   */
  subscribe(listener) {
    subscribers.add(listener);
    start();
    return () => void subscribers.delete(listener);
  },

  refresh: () => look('GET'),
  stay: () => look('POST'),
};

/**
 * Tells when a session that was known here is over, whoever ended it. It is over, too, when
 * somebody else has signed in: then it is `session_ended`, and whoever is there now is known.
 *
 * @param {(reason: SignedOutReason) => void} listener
 * @returns {() => void} ends it
 */
export function onEnded(listener) {
  mourners.add(listener);
  return () => void mourners.delete(listener);
}

/** Whose page this is: who is signed in, or was the last to be; empty before anybody was. */
export function whose() {
  return person;
}

/**
 * Asks who is here.
 *
 * @param {'GET' | 'POST'} method
 * @param {SignedOutReason} [reason] why nobody is, from somebody who knows better
 * @returns {Promise<Session>}
 */
export async function look(method, reason) {
  const at = Date.now();
  const mine = place;
  const wakes = awaited; // an answer to what was asked before may be of the session before
  try {
    const said = await read('/bff/session', { method, cache: 'no-store' });
    // For a page that was left, and is shown again by now; not for one that only now listens.
    if (mine && mine !== place) return state;
    const was = state.authenticated ? state.expiring : null;
    const expiring = was === 'idle' && method === 'POST' ? null : was;
    learn(said.authenticated
      ? { ...said, expiring, at }
      : { ...said, reason: reason ?? said.reason, at });
    tune();
    if (wakes && state.authenticated) arrived();
  } catch (error) {
    if (state.authenticated === null) learn({ ...UNKNOWN, error });
    throw error;
  }
  return state;
}

/**
 * The one place where anything about the session changes. Answers may overtake each other, in
 * this tab and between tabs: what was asked earlier does not undo what was learnt later. (By more
 * than a minute, it is the clock of this machine that was set.)
 *
 * @param {Session} now
 * @param {boolean} [heard] from another tab
 */
function learn(now, heard) {
  const late = state.at - now.at;
  if (now.authenticated !== null && late > 0 && late < 60_000) return;
  const before = state;
  state = now.authenticated ? named(now) : now;
  clearTimeout(alarm);
  if (now.authenticated) {
    // Should no event tell of the end, it is asked for once, a little after it was due.
    const { idle, lifetime } = now.seconds_left;
    const until = (Math.min(idle, lifetime) + 5) * 1000;
    alarm = setTimeout(() => again(0, ask), Math.min(until, LONGEST));
  }
  if (now.authenticated === false) {
    clearTimeout(next);
    next = undefined;
  }
  if (!heard && now.authenticated !== null) channel?.postMessage(now);
  tune();
  const gone = ending();
  tell(subscribers);
  if (gone) tell(mourners, gone);
  if (!before.authenticated && now.authenticated) arrived();
}

/**
 * One that throws keeps nobody else from hearing it, nor is the BFF asked again because of it.
 *
 * @template {unknown[]} What
 * @param {Set<(...what: What) => void>} listeners
 * @param {What} what
 */
function tell(listeners, ...what) {
  for (const listener of listeners) {
    try {
      listener(...what);
    } catch (error) {
      reportError(error);
    }
  }
}

/**
 * A BFF that says no `person` leaves only the claims to tell people apart by.
 *
 * @param {SignedIn} now
 * @returns {SignedIn}
 */
function named(now) {
  return { ...now, person: now.person ?? JSON.stringify(now.claims) };
}

/**
 * Why the session that was known here is over, if by now it is; said once. A page that was left,
 * and is shown again, may learn of it late.
 *
 * @returns {SignedOutReason | null}
 */
function ending() {
  if (state.authenticated === null) return null;
  const before = living ? person : '';
  living = state.authenticated;
  if (!state.authenticated) return before ? state.reason : null;
  person = state.person;
  return before && before !== person ? 'session_ended' : null;
}

/**
 * Nobody is signed in any more, and all tabs are to know.
 *
 * @param {SignedOutReason} reason
 */
export function ended(reason) {
  learn({ authenticated: false, reason, login_url: '/bff/login', at: Date.now() });
}

function arrived() {
  awaited = false;
  for (const done of waiting) done();
  waiting.clear();
}

/** @returns {Promise<void>} until somebody has signed in, here or in another window */
export function returned() {
  return new Promise((done) => { waiting.add(done); });
}

/** The other window says that somebody has signed in. */
function announced() {
  if (!waiting.size && state.authenticated) return;
  awaited = true;
  ask();
}

/** Asks until there is an answer. */
function ask() {
  look('GET').catch(retry);
}

/** Begins to listen. Browsers allow six connections, so one tab does it for all of them. */
export function start() {
  if (place || typeof document === 'undefined') return;
  const { signal } = (place = new AbortController());
  /** @returns {Promise<unknown>} kept until this page goes */
  const lead = () => {
    leading = true;
    tune();
    return new Promise((done) => { signal.onabort = done; });
  };
  if (typeof BroadcastChannel === 'function') {
    channel = new BroadcastChannel(NAME);
    channel.onmessage = ({ data }) => (data === 'signed-in' ? announced() : learn(data, true));
  }
  if (channel && navigator.locks) navigator.locks.request(NAME, { signal }, lead).catch(() => {});
  else void lead();
  ask();
}

/**
 * Leaves nothing of the person in a page that the browser may keep and show again on Back, except
 * for that name: somebody else may be signed in by then.
 */
function stop() {
  place?.abort();
  channel?.close();
  place = channel = undefined;
  leading = false;
  clearTimeout(next);
  next = undefined;
  learn(UNKNOWN);
}

/** The stream is open as long as this tab leads and somebody is signed in. */
function tune() {
  if (!leading || !state.authenticated) {
    source?.close();
    source = undefined;
  } else if (!source && typeof EventSource === 'function') listen();
}

function listen() {
  const stream = (source = new EventSource('/bff/events'));
  for (const type of ['session', 'refreshed', 'expiring']) {
    stream.addEventListener(type, ({ data }) => {
      if (!state.authenticated) return;
      tries = 0;
      const { seconds_left, cause = null } = JSON.parse(data);
      const expiring = type === 'refreshed' ? state.expiring : cause;
      learn({ ...state, seconds_left, expiring, at: Date.now() });
    });
  }
  stream.addEventListener('ended', ({ data }) => {
    stream.close();
    const { reason } = JSON.parse(data);
    // Signing in anew ends the session before, and its cookie may be a moment behind this event.
    again(SOON, () => look('GET', reason).catch(() => ended(reason)));
  });
  stream.onerror = () => {
    stream.close();
    retry();
  };
}

/**
 * Asks again after a while, and the stream is then opened anew. Not all at the same moment.
 *
 * @param {unknown} [error]
 */
function retry(error) {
  const least = (error instanceof BffError && error.retry_after) || 0;
  const wait = Math.min(SOON * 2 ** tries++, 30_000) * (1 + Math.random());
  again(Math.max(wait, least * 1000), ask);
}

/**
 * @param {number} wait in milliseconds
 * @param {() => void} work
 */
function again(wait, work) {
  next ??= setTimeout(() => {
    source?.close();
    next = source = undefined;
    work();
  }, wait);
}

if (typeof document !== 'undefined') {
  addEventListener('pagehide', stop);
  addEventListener('pageshow', ({ persisted }) => { if (persisted && subscribers.size) start(); });
  // Where there is no channel, whoever comes back from the other window is asked about.
  addEventListener('focus', () => { if (place && !channel) announced(); });
}
