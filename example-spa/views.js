/** The views of somebody who is signed in; the address says which one. */

/** @typedef {{ enter?: () => void, leave?: () => void }} Life */

const links = [...document.querySelectorAll('nav a')];
const sections = [...document.querySelectorAll('[data-part]')];

/** @type {Readonly<Record<string, Life>>} */
let lives = {};
let shown = '';

/** @returns {string} */
function wanted() {
  const name = location.hash.replace(/^#\//, '');
  return sections.some((section) => section.getAttribute('data-part') === name) ? name : 'tasks';
}

/**
 * @param {typeof lives} known what each view does when it comes and when it goes
 */
export function start(known) {
  lives = known;
  window.addEventListener('hashchange', () => {
    if (!shown) return;
    open();
    title()?.focus();
  });
}

/** Shows the view that the address names. */
export function open() {
  const next = wanted();
  if (next === shown) return;
  close();
  shown = next;
  for (const section of sections) {
    if (section instanceof HTMLElement) section.hidden = section.dataset.part !== next;
  }
  for (const link of links) {
    if (link.getAttribute('href') === `#/${next}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  lives[next]?.enter?.();
}

/** Leaves the view that is shown. */
export function close() {
  lives[shown]?.leave?.();
  shown = '';
}

/** @returns {HTMLElement | null} the heading of the view that is shown */
export function title() {
  return document.querySelector(`[data-part="${shown || 'tasks'}"] h1`);
}
