/**
 * A part of the page by its id, as the kind of element it has to be.
 *
 * Throws where the page has no such part, so that a slip in the markup shows at once and not at
 * the first click.
 *
 * @template {Element} Kind
 * @param {string} id
 * @param {new () => Kind} kind
 * @returns {Kind}
 */
export function part(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`no ${kind.name} with the id ${id}`);
  return found;
}
