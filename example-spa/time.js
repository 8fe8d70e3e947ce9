/** Times as people say them. */

/**
 * @param {number} seconds
 * @returns {string} such as `17 s`, `29:41` or `11:59:03`
 */
export function clock(seconds) {
  if (seconds < 60) return `${seconds} s`;
  const two = (/** @type {number} */ n) => String(n).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours
    ? `${hours}:${two(minutes)}:${two(seconds % 60)}`
    : `${minutes}:${two(seconds % 60)}`;
}

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });

/**
 * @param {string} time RFC 3339
 * @returns {string} such as `just now` or `3 hours ago`
 */
export function ago(time) {
  const seconds = Math.max(0, (Date.now() - Date.parse(time)) / 1000);
  if (seconds < 60) return 'just now';
  if (seconds < 3600) return relative.format(-Math.floor(seconds / 60), 'minute');
  if (seconds < 86_400) return relative.format(-Math.floor(seconds / 3600), 'hour');
  return relative.format(-Math.floor(seconds / 86_400), 'day');
}

/**
 * @param {string} time RFC 3339
 * @returns {string} the time of day, such as `14:05`
 */
export function hour(time) {
  return new Date(time).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
}
