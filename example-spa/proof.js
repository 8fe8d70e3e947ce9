/** What any script in this page could read: names and numbers, no values. */

/** Looks again, and shows it. */
export function prove() {
  // Cookies know no ports: on localhost another project's cookie may be in sight.
  const names = document.cookie.split('; ').filter(Boolean).map((pair) => pair.split('=')[0]);
  show('cookie', names.length ? names.join(', ') : 'empty');
  show('local', contents(() => localStorage));
  show('session', contents(() => sessionStorage));
}

/**
 * @param {() => Storage} storage
 * @returns {string}
 */
function contents(storage) {
  try {
    const { length } = storage();
    return length ? `${length} ${length === 1 ? 'entry' : 'entries'}` : 'empty';
  } catch {
    return 'blocked'; // where the browser keeps no site data, even looking throws
  }
}

/**
 * @param {string} what
 * @param {string} text
 */
function show(what, text) {
  for (const place of document.querySelectorAll(`[data-proof="${what}"]`)) {
    if (place.textContent !== text) place.textContent = text;
    place.classList.toggle('found', text !== 'empty' && text !== 'blocked');
  }
}
