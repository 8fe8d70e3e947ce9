/**
 * Asks the API every few seconds, as a dashboard would, without keeping anybody signed in.
 *
 * `background` is what makes the difference: a page that is merely open is no sign of life.
 */

import { api, session } from './bff-client.js';

const PAUSE = 3_000; // milliseconds; the demo's access tokens live 20 s, and renewing should be seen
const PAUSE_IN_TROUBLE = 15_000;

/**
 * @param {(fingerprint: string) => void} seen the access token that the API saw
 * @param {(error: unknown) => void} told why there was no answer; null: there was one
 */
export function start(seen, told) {
  let due = 0;
  let asking = false;

  async function ask() {
    asking = true;
    /** @type {unknown} */
    let error = null;
    try {
      const answer = await api('/api/token', { background: true, cache: 'no-store' });
      if (session.get().authenticated) seen((await answer.json()).fingerprint);
    } catch (refused) {
      error = refused;
    }
    asking = false;
    due = Date.now() + (error ? PAUSE_IN_TROUBLE : PAUSE);
    if (session.get().authenticated) told(error);
  }

  setInterval(() => {
    const idle = document.hidden || asking || !session.get().authenticated;
    if (!idle && Date.now() >= due) void ask();
  }, 500);
}
