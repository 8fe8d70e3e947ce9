/**
 * Which view is shown, and why: the page's own state is the last thing that the BFF has said.
 *
 * The views: nothing known yet, signed out, signed in, and on the way out. Nothing is remembered
 * from one visit to the next, because all of it can be asked for again.
 */

import * as again from './again.js';
import {
  BffError, countdown, login, logout, secondsLeft, session, signIn,
} from './bff-client.js';
import * as chat from './chat.js';
import * as devices from './devices.js';
import * as feed from './feed.js';
import * as life from './life.js';
import { part } from './part.js';
import * as person from './person.js';
import * as poll from './poll.js';
import { prove } from './proof.js';
import { sentence, sentenceFor } from './reasons.js';
import * as tasks from './tasks.js';
import * as upload from './upload.js';
import * as views from './views.js';
import { say } from './voice.js';
import * as warning from './warning.js';

/** @typedef {'waiting' | 'signed-out' | 'signed-in' | 'leaving'} View */

const retry = part('retry', HTMLButtonElement);

/** @type {View} */
let view = 'waiting';
/** Whose page this is. */
let whose = '';
let signingOut = false;
/** What is wrong at the moment, in the words it was told in. */
let ailing = '';

/** Shows what is known of the session now. */
function show() {
  const now = session.get();
  if (now.authenticated) showSignedIn(now);
  else if (now.authenticated === null) showWaiting(now.error);
  else if (signingOut) showLeaving();
  else showSignedOut(now.reason);
  life.show(secondsLeft());
  warning.show();
}

/** @param {import('./bff-client.js').SignedIn} now */
function showSignedIn(now) {
  // Another tab may have signed in as somebody else: what is on this page is not theirs.
  const somebodyElse = whose !== '' && whose !== now.person;
  if (somebodyElse) {
    forget();
    forgetDrafts();
  }
  person.draw(now.claims);
  if (view === 'signed-in' && !somebodyElse) return;
  whose = now.person;
  ailing = '';
  enter('signed-in');
  say('');
  views.open();
  void tasks.load();
}

/** @param {string} reason */
function showSignedOut(reason) {
  if (view === 'signed-out') return;
  forget();
  part('draft', HTMLElement).hidden = !tasks.hasDraft();
  enter('signed-out');
  say(sentenceFor(reason), reason === 'no_session' ? 'plain' : 'trouble');
}

/** @param {unknown} error */
function showWaiting(error) {
  if (view !== 'waiting') {
    forget();
    enter('waiting');
  }
  retry.hidden = !error;
  say(error ? sentence(error) : '', 'trouble');
}

function showLeaving() {
  forget();
  forgetDrafts();
  enter('leaving');
  say('Signing out…', 'plain');
}

/** Takes everything that belongs to the person out of the page, except what they are typing. */
function forget() {
  views.close();
  for (const each of [tasks, life, person, upload, devices]) each.clear();
}

/** Forgets what is half typed, too: it belongs to somebody else. */
function forgetDrafts() {
  tasks.forgetDraft();
  chat.forgetDraft();
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
  // Whoever was in the other view would find their focus gone with it. At the first look at the
  // page nobody was anywhere yet.
  if (before === 'waiting' || next === 'leaving') return;
  if (next === 'signed-in' && tasks.hasDraft()) tasks.focusDraft();
  else if (next === 'signed-in') views.title()?.focus();
  else part('welcome-title', HTMLElement).focus();
}

/**
 * What to do about any call that failed. That somebody is signed out has already been shown.
 *
 * @param {unknown} error
 * @param {string} [lead] what did not happen, to go before why
 * @param {(answer: Response) => void} [done] what follows if it happens after another sign-in
 */
function failed(error, lead = '', done) {
  if (!(error instanceof BffError)) console.error(error);
  const known = error instanceof BffError ? error : null;
  const wantsPerson = known?.signedOut || known?.reason === 'step_up_required';
  if (known?.repeat && done && wantsPerson) again.offer(known, lead, done);
  else if (known?.status === 401 && known.reason && !known.signedOut) {
    say(`${lead} It was answered for an earlier sign-in. Please try again.`.trim(), 'trouble');
  } else if (!known?.signedOut) {
    // What nobody asked for meets the same trouble, and is not to be told in place of this.
    if (known?.status === 503 && known.reason) ailing = sentence(error);
    say(`${lead} ${sentence(error)}`.trim(), 'trouble');
  }
}

/**
 * Tells of a trouble when it begins and when it is over, and not at every call between.
 *
 * @param {unknown} error or null
 */
function report(error) {
  const now = error && !(error instanceof BffError && error.signedOut) ? sentence(error) : '';
  if (now === ailing) return;
  ailing = now;
  say(now || 'Everything is working again.', now ? 'trouble' : 'good');
}

async function signOut() {
  if (signingOut) return;
  signingOut = true;
  try {
    await logout();
  } catch (error) {
    failed(error, 'Signing out failed: you are still signed in.');
  }
  signingOut = false;
}

/** In a window of its own, where the page keeps what is half typed. */
function signInAside() {
  signIn().catch((error) => say(sentence(error), 'trouble'));
}

part('sign-in', HTMLButtonElement).addEventListener('click', () => {
  if (tasks.hasDraft()) signInAside();
  else login();
});
part('sign-in-aside', HTMLButtonElement).addEventListener('click', signInAside);
part('sign-out', HTMLButtonElement).addEventListener('click', () => void signOut());
part('stay', HTMLButtonElement).addEventListener('click', () => void warning.staying());
retry.addEventListener('click', () => session.refresh().catch(() => {}));
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && view === 'signed-in') void tasks.load();
});
setInterval(prove, 1000);

tasks.start(failed);
devices.start(failed);
upload.start(failed);
views.start({
  live: {
    enter() {
      feed.open(() => void tasks.load({ background: true })); // nobody asked for it
      chat.open();
    },
    leave() {
      feed.close();
      chat.close();
    },
  },
  devices: { enter: () => void devices.load() },
});
countdown((left) => {
  life.show(left);
  warning.tick();
});
poll.start(life.setToken, report);
prove();
session.subscribe(show);
