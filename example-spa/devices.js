/** Where else this person is signed in, and an end to it. */

import { api, logout, session } from './bff-client.js';
import { part } from './part.js';
import { ago } from './time.js';
import { say } from './voice.js';

/**
 * @typedef {{ handle: string, device: string, created_at: string, last_seen_at: string,
 *   current: boolean, address?: string }} Device
 */
/** @typedef {(error: unknown, lead?: string, done?: (answer: Response) => void) => void} Failed */

const list = part('devices', HTMLUListElement);
const others = part('end-others', HTMLButtonElement);
const everywhere = part('end-all', HTMLButtonElement);

/** @type {Failed} */
let failed = () => {};

/** @param {Failed} told how to tell the person */
export function start(told) {
  failed = told;
  others.addEventListener('click', () => {
    void end('?except=current', 'Nobody was signed out.', () => {
      say('All your other devices are signed out.');
      void load();
    });
  });
  // The others first, this one last: its sign-out also goes by way of the provider.
  everywhere.addEventListener('click', () => {
    void end('?except=current', 'You are still signed in.', () => {
      logout().catch((error) => failed(error, 'You are still signed in here.'));
    });
  });
}

/** Shows what the BFF knows. */
export async function load() {
  const answer = await api('/bff/sessions', { cache: 'no-store' }).catch(failed);
  if (!answer) return;
  const { sessions } = /** @type {{ sessions: Device[] }} */ (await answer.json());
  // They may have signed out meanwhile, and the list is emptied for that.
  if (session.get().authenticated) draw(sessions);
}

/** Takes the list out of the page. */
export function clear() {
  draw([]);
}

/**
 * Asks for an end. If the sign-in was too long ago, the person confirms it and it goes on.
 *
 * @param {string} which
 * @param {string} lead what did not happen
 * @param {() => void} done
 */
async function end(which, lead, done) {
  try {
    await api(`/bff/sessions${which}`, { method: 'DELETE' });
    done();
  } catch (error) {
    failed(error, lead, done);
  }
}

/** @param {Device[]} devices */
function draw(devices) {
  list.replaceChildren(...devices.map(row));
  others.disabled = devices.length < 2;
}

/** @param {Device} device */
function row({ handle, device, created_at, last_seen_at, current, address }) {
  const item = document.createElement('li');
  const about = document.createElement('div');
  const name = document.createElement('p');
  const since = document.createElement('p');
  name.className = 'device';
  name.textContent = device;
  since.className = 'soft';
  const seen = current ? 'This browser' : `Last seen ${ago(last_seen_at)}`;
  since.textContent = [seen, `signed in ${ago(created_at)}`, address].filter(Boolean).join(' · ');
  about.append(name, since);
  item.append(about);
  if (current) item.setAttribute('aria-current', 'true');
  else item.append(button(handle, device));
  return item;
}

/**
 * @param {string} handle
 * @param {string} device
 */
function button(handle, device) {
  const press = document.createElement('button');
  press.type = 'button';
  press.className = 'quiet';
  press.textContent = 'Sign out';
  press.setAttribute('aria-label', `Sign out ${device}`);
  press.addEventListener('click', () => {
    void end(`/${encodeURIComponent(handle)}`, 'It is still signed in.', () => {
      say(`${device} is signed out.`);
      void load();
    });
  });
  return press;
}
