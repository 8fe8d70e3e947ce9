/** Who is signed in, in the corner of the page. */

import { part } from './part.js';

const person = part('person', HTMLElement);
const picture = part('picture', HTMLImageElement);

let drawn = '';

/** @param {import('./bff-client.js').Claims} claims */
export function draw({ name, email, picture: url }) {
  const now = JSON.stringify([name, email, url]);
  if (now === drawn) return; // the picture would be fetched anew, and go for a moment
  drawn = now;
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

/** Takes them out of the page. */
export function clear() {
  drawn = '';
  person.hidden = true;
  picture.removeAttribute('src');
  picture.hidden = true;
  for (const id of ['name', 'email', 'initials']) part(id, HTMLElement).textContent = '';
}

/** @param {string} name */
function initials(name) {
  const words = name.split(/[\s@.]+/).filter(Boolean);
  const ends = words.length > 1 ? [words[0], words.at(-1)] : words;
  return ends.map((word) => [...(word ?? '')][0] ?? '').join('').toUpperCase();
}

picture.addEventListener('load', () => { picture.hidden = false; });
picture.addEventListener('error', () => { picture.hidden = true; });
