/** The one place in the page where things are said. */

import { part } from './part.js';

const GLANCE = 6_000; // milliseconds that good news stays; trouble stays until it is dismissed

const message = part('message', HTMLElement);
const notice = part('notice', HTMLElement);
const dismiss = part('dismiss', HTMLButtonElement);
/** @type {ReturnType<typeof setTimeout> | undefined} */
let nextHush;

/**
 * @param {string} text
 * @param {'plain' | 'good' | 'trouble'} [tone]
 */
export function say(text, tone = 'good') {
  clearTimeout(nextHush);
  message.textContent = text;
  notice.dataset.tone = text ? tone : '';
  dismiss.hidden = !text || document.body.dataset.view !== 'signed-in';
  if (text && tone === 'good') nextHush = setTimeout(() => say(''), GLANCE);
}

dismiss.addEventListener('click', () => say(''));
