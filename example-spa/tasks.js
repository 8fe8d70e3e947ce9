/**
 * The task list: what the API has, and a form that adds to it.
 *
 * After each change the list is asked for again: the API knows how it looks, and the page need
 * not guess. Rows stay where they are while they stay the same, so the focus does too.
 */

import { api } from './bff-client.js';
import { part } from './part.js';

/** @typedef {{ id: string | number, title: string, done: boolean, created: unknown }} Task */

const form = part('add', HTMLFormElement);
const title = part('task-title', HTMLInputElement);
const list = part('tasks', HTMLUListElement);
const nothing = part('no-tasks', HTMLElement);

/** @type {Map<string, HTMLLIElement>} */
const rows = new Map();
let generation = 0;
let sending = false;

/** @type {(text: string) => void} */
let say = () => {};
/** @type {(error: unknown, lead?: string) => void} */
let failed = () => {};

/**
 * @param {{ say: typeof say, failed: typeof failed }} voices how to tell the person
 */
export function start(voices) {
  ({ say, failed } = voices);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void add();
  });
}

/** Shows what the API has. */
export async function load() {
  const mine = ++generation;
  try {
    const response = await api('/api/tasks', { cache: 'no-store' });
    const { tasks } = /** @type {{ tasks: Task[] }} */ (await response.json());
    if (mine === generation) draw(tasks);
  } catch (error) {
    if (mine === generation) failed(error);
  }
}

/** Takes the list out of the page. What is typed in the form stays. */
export function clear() {
  generation += 1; // an answer that is still on its way must not bring it back
  rows.clear();
  list.replaceChildren();
  nothing.hidden = true;
}

/** @returns {boolean} is there typed text that has not been sent? */
export function hasDraft() {
  return title.value.trim() !== '';
}

/** Forgets what is typed: it belongs to somebody else. */
export function forgetDraft() {
  form.reset();
}

/** The person gets the text back to send it by their own hand; nothing sends it again for them. */
export function focusDraft() {
  title.focus();
}

async function add() {
  const text = title.value.trim();
  if (!text || sending) return;
  sending = true;
  form.setAttribute('aria-busy', 'true');
  const typed = title.value;
  try {
    await api('/api/tasks', { method: 'POST', json: { title: text } });
    if (title.value === typed) title.value = '';
    say(`Added “${text}”.`);
    await load();
  } catch (error) {
    failed(error, 'This was not added, and your text is still in the form.');
  } finally {
    sending = false;
    form.removeAttribute('aria-busy');
  }
}

/**
 * @param {Task} task
 * @param {HTMLLIElement} row
 * @param {HTMLInputElement} box
 */
async function setDone(task, row, box) {
  row.setAttribute('aria-busy', 'true');
  try {
    await api(address(task), { method: 'PATCH', json: { done: box.checked } });
    await load();
  } catch (error) {
    box.checked = !box.checked;
    failed(error, 'This was not changed.');
  } finally {
    row.removeAttribute('aria-busy');
  }
}

/**
 * @param {Task} task
 * @param {HTMLLIElement} row
 */
async function remove(task, row) {
  row.setAttribute('aria-busy', 'true');
  try {
    await api(address(task), { method: 'DELETE' });
    // The button is about to go; without this the focus would fall to the top of the page.
    const next = row.nextElementSibling ?? row.previousElementSibling;
    const heir = next?.querySelector('button') ?? title;
    if (row.contains(document.activeElement)) heir.focus();
    say(`Deleted “${task.title}”.`);
    await load();
  } catch (error) {
    failed(error, 'This was not deleted.');
  } finally {
    row.removeAttribute('aria-busy');
  }
}

/** @param {Task} task */
function address(task) {
  return `/api/tasks/${encodeURIComponent(task.id)}`;
}

/** @param {Task[]} tasks */
function draw(tasks) {
  const ids = new Set(tasks.map((task) => String(task.id)));
  for (const [id, row] of rows) {
    if (ids.has(id)) continue;
    row.remove();
    rows.delete(id);
  }
  tasks.forEach((task, place) => {
    const id = String(task.id);
    const row = rows.get(id) ?? rowFor(task);
    rows.set(id, row);
    write(task, row);
    const there = list.children[place];
    if (there !== row) list.insertBefore(row, there ?? null);
  });
  nothing.hidden = tasks.length > 0;
}

/** @param {Task} task */
function rowFor(task) {
  const row = document.createElement('li');
  const label = document.createElement('label');
  const box = document.createElement('input');
  box.type = 'checkbox';
  // Busy instead of disabled: a disabled box loses the focus.
  box.addEventListener('click', (event) => {
    if (row.ariaBusy) event.preventDefault();
  });
  box.addEventListener('change', () => void setDone(task, row, box));
  const text = document.createElement('span');
  label.append(box, text);

  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'icon';
  button.append(cross());
  button.addEventListener('click', () => {
    if (!row.ariaBusy) void remove(task, row);
  });
  row.append(label, button);
  return row;
}

/**
 * @param {Task} task
 * @param {HTMLLIElement} row
 */
function write(task, row) {
  row.classList.toggle('done', task.done);
  const box = row.querySelector('input');
  if (box && !row.ariaBusy) box.checked = task.done;
  const text = row.querySelector('span');
  if (text) text.textContent = task.title;
  row.querySelector('button')?.setAttribute('aria-label', `Delete “${task.title}”`);
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
