/** The rows of the task list. */

import { part } from './part.js';

/** @typedef {{ id: string | number, title: string, done: boolean }} Task */
/**
 * @typedef {{ setDone: (task: Task, done: boolean) => void, remove: (task: Task) => void }} Deeds
 */

const list = part('tasks', HTMLUListElement);
const heirless = part('task-title', HTMLInputElement);

/** @type {Map<string, { row: HTMLLIElement, task: Task }>} */
const rows = new Map();
/** @type {Deeds} */
let deeds = { setDone() {}, remove() {} };

/** @param {Deeds} given what a row can ask for */
export function start(given) {
  deeds = given;
}

/**
 * Makes the list say this, and touches no row that says it already.
 *
 * @param {Task[]} tasks
 */
export function draw(tasks) {
  const ids = new Set(tasks.map((task) => String(task.id)));
  for (const [id, { row }] of rows) {
    if (!ids.has(id)) drop(id, row);
  }
  tasks.forEach((task, place) => {
    const id = String(task.id);
    const { row } = rows.get(id) ?? { row: rowFor(id) };
    rows.set(id, { row, task });
    write(task, row);
    const there = list.children[place];
    if (there !== row) list.insertBefore(row, there ?? null);
  });
}

/**
 * @param {string} id
 * @param {HTMLLIElement} row
 */
function drop(id, row) {
  // The button is about to go; without this the focus would fall to the top of the page.
  const next = row.nextElementSibling ?? row.previousElementSibling;
  if (row.contains(document.activeElement)) (next?.querySelector('button') ?? heirless).focus();
  row.remove();
  rows.delete(id);
}

/** @param {string} id */
function rowFor(id) {
  const row = document.createElement('li');
  const label = document.createElement('label');
  const box = document.createElement('input');
  const text = document.createElement('span');
  text.dir = 'auto';
  const button = document.createElement('button');
  const now = () => rows.get(id)?.task;
  box.type = 'checkbox';
  box.addEventListener('change', () => {
    const task = now();
    if (task) deeds.setDone(task, box.checked);
  });
  label.append(box, text);
  button.type = 'button';
  button.className = 'icon';
  button.append(cross());
  button.addEventListener('click', () => {
    const task = now();
    if (task) deeds.remove(task);
  });
  row.append(label, button);
  return row;
}

/**
 * @param {Task} task
 * @param {HTMLLIElement} row
 */
function write(task, row) {
  const unsaved = task.id === 'new';
  row.classList.toggle('done', task.done);
  row.setAttribute('aria-busy', String(unsaved));
  const box = row.querySelector('input');
  if (box) {
    box.checked = task.done;
    box.disabled = unsaved;
  }
  const text = row.querySelector('span');
  if (text) text.textContent = task.title;
  const button = row.querySelector('button');
  if (button) {
    button.disabled = unsaved;
    button.setAttribute('aria-label', `Delete “${task.title}”`);
  }
}

function cross() {
  const name = 'http://www.w3.org/2000/svg';
  const picture = document.createElementNS(name, 'svg');
  const path = document.createElementNS(name, 'path');
  picture.setAttribute('viewBox', '0 0 16 16');
  picture.setAttribute('width', '16');
  picture.setAttribute('height', '16');
  picture.setAttribute('aria-hidden', 'true');
  path.setAttribute('d', 'm4 4 8 8m0-8-8 8');
  picture.append(path);
  return picture;
}
