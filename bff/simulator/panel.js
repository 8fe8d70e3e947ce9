/** The panel: buttons that call `/control/`, and the exchanges as they come. */

const PARTIES = ['browser', 'bff', 'provider', 'api'];
const NAMES = { browser: 'Browser', bff: 'BFF', provider: 'Provider', api: 'API' };
const SHOWN = 200;

const list = document.getElementById('list');
const said = document.getElementById('said');
const empty = document.getElementById('empty');
const pause = document.getElementById('pause');
let held = [];

/** An element with a class and a text. */
function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text ?? '';
  return made;
}

/** One exchange as a row of the diagram. */
function row(exchange) {
  const item = element('li', 'exchange');
  const from = PARTIES.indexOf(exchange.source);
  const to = PARTIES.indexOf(exchange.target);
  const arrow = element('div', `arrow ${from < to ? 'right' : 'left'}`);
  arrow.dataset.from = String(Math.min(from, to));
  arrow.dataset.to = String(Math.max(from, to));
  arrow.append(element('span', 'what', exchange.what), status(exchange));
  item.append(element('time', 'at', clock(exchange.at)), arrow);
  item.setAttribute(
    'aria-label',
    `${NAMES[exchange.source]} to ${NAMES[exchange.target]}: ${exchange.what}, `
      + `${exchange.status ?? 'no answer'}`,
  );
  if (exchange.note && exchange.note !== 'ok') item.append(element('p', 'note', exchange.note));
  for (const [token, claims] of Object.entries(exchange.claims)) item.append(said_by(token, claims));
  return item;
}

function status(exchange) {
  const number = exchange.status;
  const kind = number === null ? 'lost' : `s${Math.floor(number / 100)}`;
  const took = exchange.seconds >= 1 ? ` after ${exchange.seconds.toFixed(1)} s` : '';
  return element('b', `status ${kind}`, `${number ?? 'no answer'}${took}`);
}

/** What a token says: its claims, never the token. */
function said_by(token, claims) {
  const details = element('details', 'claims');
  details.append(element('summary', '', `what the ${token.replace('_', ' ')} says`));
  details.append(element('pre', '', JSON.stringify(claims, null, 2)));
  return details;
}

function clock(at) {
  return new Date(at * 1000).toLocaleTimeString(undefined, { hour12: false });
}

/** In the order in which they began: what was asked meanwhile stands below. */
function show(exchange) {
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  const item = row(exchange);
  item.dataset.at = String(exchange.at);
  let after = list.lastElementChild;
  while (after && Number(after.dataset.at) > exchange.at) after = after.previousElementSibling;
  if (after) after.after(item);
  else list.prepend(item);
  while (list.children.length > SHOWN) list.firstElementChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
  empty.hidden = true;
}

async function press(button) {
  const calls = button.dataset.call === 'well'
    ? [['clear', {}], ['switches/reset', {}]]
    : [[button.dataset.call, JSON.parse(button.dataset.body)]];
  for (const [call, body] of calls) {
    const answer = await fetch(`/control/${call}`, { method: 'POST', body: JSON.stringify(body) });
    const text = answer.ok ? 'done' : `refused: ${(await answer.json()).error}`;
    said.textContent = `${button.textContent}: ${text} — POST /control/${call} `
      + `${JSON.stringify(body)}`;
    if (!answer.ok) return;
  }
}

document.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-call]');
  if (button) {
    press(button).catch(() => { said.textContent = 'The simulator does not answer.'; });
  }
});

pause.addEventListener('click', () => {
  const pressed = pause.getAttribute('aria-pressed') !== 'true';
  pause.setAttribute('aria-pressed', String(pressed));
  if (!pressed) {
    held.forEach(show);
    held = [];
  }
});

document.getElementById('clear').addEventListener('click', () => {
  list.replaceChildren();
  empty.hidden = false;
});

let last = 0;
new EventSource('/control/exchanges/stream').addEventListener('message', (message) => {
  const exchange = JSON.parse(message.data);
  if (exchange.number <= last) return; // told again after a broken stream
  last = exchange.number;
  if (pause.getAttribute('aria-pressed') === 'true') held.push(exchange);
  else show(exchange);
});
