/**
 * Where a sign-in in a window of its own ends: tells the other tabs and closes.
 *
 * There is no opener to talk to: the application keeps `Cross-Origin-Opener-Policy: same-origin`,
 * and the provider's pages have cut the two apart. A channel reaches all pages of this origin.
 */

if (typeof BroadcastChannel === 'function') new BroadcastChannel('bff').postMessage('signed-in');
close();
