/** Says that the session is about to end, while something can still be done about it. */

import { secondsLeft, session } from './bff-client.js';
import { part } from './part.js';
import { sentence } from './reasons.js';
import { clock } from './time.js';
import { say } from './voice.js';

const bar = part('warning', HTMLElement);
const text = part('warning-text', HTMLElement);
const left = part('warning-left', HTMLElement);
const stay = part('warning-stay', HTMLButtonElement);

const TEXTS = {
  idle: 'You will be signed out soon.',
  lifetime: 'Your session ends soon. Save your work; after that, sign in again.',
};

/** Shows what the session says now. */
export function show() {
  const now = session.get();
  const cause = now.authenticated ? now.expiring : null;
  const words = cause ? TEXTS[cause] : '';
  bar.dataset.shown = String(Boolean(cause));
  // An end in any case cannot be put off.
  stay.hidden = cause !== 'idle';
  // Said once: a live region would else read out every second.
  if (text.textContent !== words) text.textContent = words;
  tick();
}

/** Counts down, for the eye only. */
export function tick() {
  const now = session.get();
  const cause = now.authenticated ? now.expiring : null;
  const rest = secondsLeft();
  left.textContent = cause && rest ? clock(rest[cause]) : '';
}

/** The person is there. */
export async function staying() {
  try {
    const now = await session.stay();
    if (now.authenticated) say('You stay signed in.');
  } catch (error) {
    say(`That did not work. ${sentence(error)}`, 'trouble');
  }
}

stay.addEventListener('click', () => void staying());
