/**
 * Lost work is not lost: a call that needs another sign-in first is made again after it, if the
 * person wants that.
 *
 * The sign-in has a window of its own, so this page stays as it is. The call waits in its memory
 * and is gone with it. It is made again only from this dialog: what somebody pressed minutes ago,
 * they may not want any more.
 */

import { signIn } from './bff-client.js';
import { part } from './part.js';
import { sentence } from './reasons.js';
import { say } from './voice.js';

/** @typedef {import('./bff-client.js').BffError} BffError */
/** @typedef {(answer: Response) => void} Done */

const dialog = part('again', HTMLDialogElement);
const title = part('again-title', HTMLElement);
const text = part('again-text', HTMLElement);
const go = part('again-go', HTMLButtonElement);

/** What waits for consent. @type {{ error: BffError, done: Done } | null} */
let offered = null;
/** Whoever presses twice, or thinks better of it meanwhile, gets no more than the last says. */
let presses = 0;

/**
 * @param {BffError} error why the call was refused
 * @param {string} lead what did not happen
 * @param {Done} done what follows when it has happened after all
 */
export function offer(error, lead, done) {
  const lost = error.signedOut;
  title.textContent = lost ? 'Sign in again?' : 'Is it you?';
  text.textContent = `${lead} ${sentence(error)}`;
  go.textContent = lost ? 'Sign in and send it' : 'Confirm and go on';
  offered = { error, done };
  dialog.showModal();
}

async function proceed() {
  if (!offered) return;
  const { error, done } = offered;
  const mine = ++presses;
  text.textContent = 'Go on in the other window. This page waits.';
  try {
    await signIn({ loginUrl: error.login_url });
    if (mine !== presses) return;
    const answer = await error.repeat?.();
    if (answer) done(answer);
  } catch (refused) {
    say(sentence(refused), 'trouble');
  }
  if (mine === presses) dialog.close();
}

go.addEventListener('click', () => void proceed());
part('again-not', HTMLButtonElement).addEventListener('click', () => dialog.close());
dialog.addEventListener('close', () => {
  presses += 1;
  offered = null;
});
