/**
 * Which view is shown, and why: the page's own state is the last thing that the BFF has said.
 *
 * The views: nothing known yet, signed out, signed in, and on the way out. Nothing is remembered
 * from one visit to the next, because all of it can be asked for again.
 */

import { api, BffError, login, logout, session } from './bff-client.js';
import * as life from './life.js';
import { part } from './part.js';
import { sentence, sentenceFor } from './reasons.js';
import * as tasks from './tasks.js';

/** @typedef {'waiting' | 'signed-out' | 'signed-in' | 'leaving'} View */
/** @typedef {import('./bff-client.js').Session} Session */
/** @typedef {import('./bff-client.js').Claims} Claims */

const POLL = 3_000; // milliseconds; the demo's access tokens live 20 s, and renewing should be seen
const POLL_IN_TROUBLE = 15_000;
const GLANCE = 6_000; // milliseconds that good news stays; trouble stays until it is dismissed

const message = part('message', HTMLElement);
const notice = part('notice', HTMLElement);
const dismiss = part('dismiss', HTMLButtonElement);
const retry = part('retry', HTMLButtonElement);
const person = part('person', HTMLElement);
const picture = part('picture', HTMLImageElement);

/** @type {View} */
let view = 'waiting';
let login_url = '/bff/login';
/** Whose page this is, as far as the claims tell. */
let whose = '';
let asked = 0;
/** What is wrong at the moment, in the words it was told in. */
let ailing = '';
let polling = false;
let nextPoll = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let nextHush;

/**
 * Asks the BFF and shows what it says. Answers may overtake each other; only the one to the
 * newest question counts.
 *
 * @param {{ stay?: boolean }} [options]
 * @returns {Promise<unknown>} why the BFF could not say, or null
 */
async function ask(options) {
  const mine = ++asked;
  try {
    const now = await session(options);
    if (mine === asked) show(now);
  } catch (error) {
    if (mine === asked) return error;
  }
  return null;
}

/** @param {Session} now */
function show(now) {
  ({ login_url } = now);
  if (now.authenticated) showSignedIn(now);
  else showSignedOut(now.reason);
}

/** @param {import('./bff-client.js').SignedIn} now */
function showSignedIn({ claims, seconds_left }) {
  const claimed = JSON.stringify(claims);
  const somebodyElse = whose !== '' && whose !== claimed;
  // Another tab may have signed in as somebody else: what is on this page is not theirs.
  if (somebodyElse) {
    tasks.clear();
    tasks.forgetDraft();
    life.clear();
  }
  life.setLeft(seconds_left);
  if (view === 'signed-in' && !somebodyElse) return;
  whose = claimed;
  drawPerson(claims);
  ailing = '';
  enter('signed-in');
  say('');
  void tasks.load();
}

/** @param {import('./bff-client.js').SignedOutReason} reason */
function showSignedOut(reason) {
  if (view === 'signed-out') return;
  forget();
  part('draft', HTMLElement).hidden = !tasks.hasDraft();
  enter('signed-out');
  say(sentenceFor(reason), reason === 'no_session' ? 'plain' : 'trouble');
}

/** Takes everything that belongs to the person out of the page, except what they are typing. */
function forget() {
  tasks.clear();
  life.clear();
  person.hidden = true;
  picture.removeAttribute('src');
  picture.hidden = true;
  for (const id of ['name', 'email', 'initials']) part(id, HTMLElement).textContent = '';
}

/** @param {View} next */
function enter(next) {
  const before = view;
  view = next;
  document.body.dataset.view = next;
  document.title = next === 'signed-out' ? 'Signed out · Tokenless' : 'Tokenless';
  for (const name of ['waiting', 'signed-out', 'signed-in']) {
    part(name, HTMLElement).hidden = name !== next;
  }
  retry.hidden = true;
  // Whoever was in the other view would find their focus gone with it. At the first look at the
  // page nobody was anywhere yet.
  if (before === 'waiting' || next === 'leaving') return;
  if (next === 'signed-in' && tasks.hasDraft()) tasks.focusDraft();
  else part(next === 'signed-in' ? 'work-title' : 'welcome-title', HTMLElement).focus();
}

/**
 * What to do about any call that failed: the one place where the app leaves the signed-in view.
 *
 * @param {unknown} error
 * @param {string} [lead] what did not happen, to go before why
 */
async function failed(error, lead = '') {
  if (!(error instanceof BffError)) console.error(error);
  if (!(error instanceof BffError && error.signedOut)) {
    say(`${lead} ${sentence(error)}`.trim(), 'trouble');
    return;
  }
  // This 401 may be late: asked before a new sign-in in another tab, answered after it. Then
  // somebody is signed in, and telling them otherwise would be wrong.
  const mine = ++asked;
  const now = await session().catch(() => null);
  if (mine !== asked) return;
  if (now?.authenticated) {
    show(now);
    say(`${lead} It was answered for an earlier sign-in. Please try again.`.trim(), 'trouble');
    return;
  }
  login_url = error.login_url ?? login_url;
  // The call knows better than the question after it why the session is gone.
  showSignedOut(/** @type {import('./bff-client.js').SignedOutReason} */ (error.reason));
}

/**
 * Asks who is here and which token the API sees. A failure is no reason to show anybody out.
 *
 * The call to the API is marked as background: a page that is merely open must not keep its
 * person signed in.
 */
async function poll() {
  if (polling || view === 'leaving') return;
  polling = true;
  let error = await ask();
  if (view === 'signed-in' && !error) {
    const mine = asked;
    try {
      const response = await api('/api/token', { background: true, cache: 'no-store' });
      /** @type {{ fingerprint: string, seconds_left: number }} */
      const token = await response.json();
      if (mine === asked) life.setToken(token);
    } catch (refused) {
      if (refused instanceof BffError && refused.signedOut) void failed(refused);
      else if (mine === asked) error = refused;
    }
  }
  polling = false;
  report(error);
  nextPoll = Date.now() + (error ? POLL_IN_TROUBLE : POLL);
}

/**
 * Tells of a trouble when it begins and when it is over, and not at every poll between.
 *
 * @param {unknown} error or null
 */
function report(error) {
  if (error && !(error instanceof BffError)) console.error(error);
  retry.hidden = !(error && view === 'waiting');
  const now = error ? sentence(error) : '';
  if (now === ailing || view === 'leaving') return;
  ailing = now;
  if (view === 'signed-out') return; // nothing on this page waits for it
  say(now || 'Everything is working again.', now ? 'trouble' : 'good');
}

/**
 * @param {string} text
 * @param {'plain' | 'good' | 'trouble'} [tone]
 */
function say(text, tone = 'good') {
  clearTimeout(nextHush);
  message.textContent = text;
  notice.dataset.tone = text ? tone : '';
  dismiss.hidden = !text || view !== 'signed-in';
  if (text && tone === 'good') nextHush = setTimeout(() => say(''), GLANCE);
}

/** @param {Claims} claims */
function drawPerson({ name, email, picture: url }) {
  const called = name || email || 'Signed in';
  part('name', HTMLElement).textContent = called;
  part('email', HTMLElement).textContent = name && email ? email : '';
  part('initials', HTMLElement).textContent = initials(called);
  // The initials lie beneath, and stay where the picture fails or the CSP does not let it in.
  picture.hidden = true;
  if (url && URL.canParse(url)) picture.src = url;
  else picture.removeAttribute('src');
  person.hidden = false;
}

/** @param {string} name */
function initials(name) {
  const words = name.split(/[\s@.]+/).filter(Boolean);
  const ends = words.length > 1 ? [words[0], words.at(-1)] : words;
  return ends.map((word) => [...(word ?? '')][0] ?? '').join('').toUpperCase();
}

async function signOut() {
  const button = part('sign-out', HTMLButtonElement);
  if (button.ariaBusy) return;
  button.setAttribute('aria-busy', 'true');
  try {
    await logout();
    tasks.forgetDraft();
    leave('Signing out…');
  } catch (error) {
    void failed(error, 'Signing out failed: you are still signed in.');
  } finally {
    button.removeAttribute('aria-busy');
  }
}

/**
 * Takes the person out of the page that is about to go.
 *
 * @param {string} text
 */
function leave(text) {
  asked += 1; // an answer that is still on its way must not bring them back
  forget();
  enter('leaving');
  say(text, 'plain');
}

part('sign-in', HTMLButtonElement).addEventListener('click', () => login({ login_url }));
part('sign-out', HTMLButtonElement).addEventListener('click', () => void signOut());
part('stay', HTMLButtonElement).addEventListener('click', async () => {
  const error = await ask({ stay: true });
  if (error) void failed(error, 'You may not stay signed in.');
  else if (view === 'signed-in') say('You stay signed in.');
});
retry.addEventListener('click', () => {
  ailing = ''; // whoever asks gets an answer, even if it is the same
  void poll();
});
dismiss.addEventListener('click', () => say(''));
picture.addEventListener('load', () => { picture.hidden = false; });
picture.addEventListener('error', () => { picture.hidden = true; });

document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  if (view === 'signed-in') void tasks.load();
  void poll(); // in the signed-out view too: they may have signed in in another tab
});
window.addEventListener('online', () => void poll());

// The browser may keep this page alive behind the next one and show it again on Back, maybe to
// somebody else. So nothing of the person is left in it, and it asks anew when it comes back.
window.addEventListener('pagehide', () => leave(''));
window.addEventListener('pageshow', (event) => {
  if (!event.persisted) return;
  polling = false; // a poll that was frozen with the page counts no more
  enter('waiting');
  void poll();
});

setInterval(() => {
  if (document.hidden) return;
  life.prove();
  if (view === 'signed-in' && life.tick() && !ailing) nextPoll = 0;
  if (view !== 'signed-out' && Date.now() >= nextPoll) void poll();
}, 1000);

tasks.start({ say, failed: (error, lead) => void failed(error, lead) });
life.prove();
void poll();
