/**
 * The task list: what the API has, and a form that adds to it.
 *
 * A change shows at once, before the API has agreed; what it refuses is taken back, and nothing
 * else with it. After each one the list is asked for again: the API knows how it looks. Rows stay
 * where they are while they stay the same, so the focus does too.
 */

import { api, session } from './bff-client.js';
import { part } from './part.js';
import * as rows from './rows.js';
import { say } from './voice.js';

/** @typedef {import('./rows.js').Task} Task */
/** @typedef {(tasks: Task[]) => Task[]} Edit */
/** @typedef {(error: unknown, lead?: string, done?: (answer: Response) => void) => void} Failed */

const form = part('add', HTMLFormElement);
const title = part('task-title', HTMLInputElement);
const nothing = part('no-tasks', HTMLElement);
const all = part('delete-all', HTMLButtonElement);

/** What the API has said, and what it has agreed to since. @type {Task[]} */
let agreed = [];
/** What is shown above that, and not agreed to yet. @type {Set<Edit>} */
const edits = new Set();
let generation = 0;
let sending = false;
/** @type {Failed} */
let failed = () => {};

/** @param {Failed} told how to tell the person */
export function start(told) {
  failed = told;
  rows.start({ setDone, remove });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void add();
  });
  all.addEventListener('click', () => void removeAll());
}

/**
 * Shows what the API has.
 *
 * @param {{ background?: boolean }} [how]
 */
export async function load(how = {}) {
  const mine = ++generation;
  try {
    const response = await api('/api/tasks', { cache: 'no-store', ...how });
    const { tasks } = /** @type {{ tasks: Task[] }} */ (await response.json());
    if (mine !== generation) return;
    agreed = tasks;
    draw();
  } catch (error) {
    if (mine === generation) failed(error);
  }
}

/** Takes the list out of the page. What is typed in the form stays. */
export function clear() {
  generation += 1; // an answer that is still on its way must not bring it back
  agreed = [];
  edits.clear();
  draw();
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

/** The person gets the text back to send it by their own hand. */
export function focusDraft() {
  title.focus();
}

function draw() {
  const tasks = [...edits].reduce((before, edit) => edit(before), agreed);
  rows.draw(tasks);
  nothing.hidden = tasks.length > 0;
  all.disabled = tasks.length === 0;
}

/**
 * Shows a change at once and asks for it; takes it back if it is refused.
 *
 * @param {Edit} edit makes the list as it should be
 * @param {() => Promise<unknown>} call
 * @param {string} lead what did not happen
 * @param {() => void} [done]
 */
async function change(edit, call, lead, done = () => {}) {
  generation += 1; // an answer that is on its way does not know of it
  const after = () => {
    done();
    void load();
    void session.refresh().catch(() => {}); // that was a sign of life: the idle time begins anew
  };
  edits.add(edit);
  draw();
  try {
    await call();
    if (edits.delete(edit)) agreed = edit(agreed);
    after();
  } catch (error) {
    // After a sign-out there is nothing to take back.
    if (edits.delete(edit)) draw();
    failed(error, lead, after);
  }
}

async function add() {
  const text = title.value.trim();
  if (!text || sending) return;
  sending = true;
  form.setAttribute('aria-busy', 'true');
  const typed = title.value;
  /** @type {Task} */
  const task = { id: 'new', title: text, done: false };
  const call = () => api('/api/tasks', { method: 'POST', json: { title: text } });
  const lead = 'This was not added, and your text is still in the form.';
  await change((tasks) => [...tasks, task], call, lead, () => {
    if (title.value === typed) title.value = '';
    say(`Added “${text}”.`);
  });
  sending = false;
  form.removeAttribute('aria-busy');
}

/**
 * @param {Task} task
 * @param {boolean} done
 */
function setDone(task, done) {
  /** @type {Edit} */
  const edit = (tasks) => tasks.map((each) => (each.id === task.id ? { ...each, done } : each));
  const call = () => api(address(task), { method: 'PATCH', json: { done } });
  void change(edit, call, 'This was not changed.');
}

/** @param {Task} task */
function remove(task) {
  /** @type {Edit} */
  const edit = (tasks) => tasks.filter((each) => each.id !== task.id);
  const call = () => api(address(task), { method: 'DELETE' });
  void change(edit, call, 'This was not deleted.', () => say(`Deleted “${task.title}”.`));
}

/** Not shown before it is done: the API may want to know first that it is really them. */
async function removeAll() {
  const call = () => api('/api/tasks', { method: 'DELETE' });
  await change((tasks) => tasks, call, 'Nothing was deleted.', () => say('All tasks are deleted.'));
}

/** @param {Task} task */
function address(task) {
  return `/api/tasks/${encodeURIComponent(task.id)}`;
}
