// The page: puts state, panes, timeline, facets and keys together.

import { ask } from './ask.js';
import { Follower } from './follow.js';
import { onKeys } from './keys.js';
import { mark } from './marks.js';
import { Pane } from './pane.js';
import { element } from './rows.js';
import { Search } from './search.js';
import { drawGaps, drawRecordings, drawSenders } from './side.js';
import { MOST_PANES, format, parse, question } from './state.js';
import { Times } from './times.js';
import { back, failed, trouble } from './trouble.js';

/** @typedef {import('./ask.js').About} About */
/** @typedef {import('./ask.js').Known} Known */

/** @template {HTMLElement} [T=HTMLElement] @param {string} id @returns {T} */
const $ = (id) => /** @type {T} */ (document.getElementById(id));

const state = parse(location.search);
/** @type {Pane[]} */
const panes = [];
/** @type {Known[]} */
let recordings = [];
/** The pane that keys and search are about. */
let current = 0;

const asked = () => question(state);

// -- the address bar ----------------------------------------------------------------------------------

/** @type {ReturnType<typeof setTimeout>|undefined} */
let saving;

function save() {
  saving ??= setTimeout(() => {
    saving = undefined;
    history.replaceState(null, '', location.pathname + format(state));
  }, 350);  // browsers refuse more than some a second
}

// -- panes --------------------------------------------------------------------------------------------

/** @type {ReturnType<typeof setTimeout>|undefined} */
let together;

/** @type {import('./pane.js').Around} */
const around = {
  question: asked,
  view: () => state,
  failed,
  moved: (pane, byHand) => {
    const number = panes.indexOf(pane);
    if (number < 0) return;
    state.panes[number].at = pane.following ? null : pane.top()?.at ?? 0;
    follower.see();
    save();
    times.draw();
    if (!byHand) return;
    current = number;
    clearTimeout(together);
    if (panes.length > 1) together = setTimeout(() => sameTime(pane), 150);
  },
  drawn: (pane) => {
    if (panes.includes(pane)) mark(state.find, panes.flatMap((one) => one.rows.near()));
  },
  close: (pane) => show(pane.name, false),
};

/** Have the other panes at the time of this one. @param {Pane} pane */
function sameTime(pane) {
  const t = pane.top()?.t;
  for (const other of panes) {
    if (other === pane) continue;
    if (pane.following) void other.end();
    else if (t) void other.gotoTime(t / 1000);
  }
}

/** @param {string} name @param {number|null} at */
function addPane(name, at) {
  const pane = new Pane(name, around);
  panes.push(pane);
  $('panes').append(pane.element);
  pane.list.addEventListener('focusin', () => { current = panes.indexOf(pane); });
  void (at === null ? pane.end() : pane.goto(at));
}

/** @param {string} name @param {boolean} wanted */
function show(name, wanted) {
  const number = state.panes.findIndex((pane) => pane.name === name);
  if (wanted && number < 0) {
    if (panes.length >= MOST_PANES) {
      trouble(`${MOST_PANES} recordings are shown at once: close one first.`);
      return;
    }
    const t = panes[0] && !panes[0].following ? panes[0].top()?.t : null;
    state.panes.push({ name, at: null });
    addPane(name, null);
    if (t) void panes[panes.length - 1].gotoTime(t / 1000);
  } else if (!wanted && number >= 0) {
    panes[number].wish.abort();
    panes[number].element.remove();
    panes.splice(number, 1);
    state.panes.splice(number, 1);
    current = 0;
  }
  changedPanes();
}

function changedPanes() {
  document.body.classList.toggle('single', panes.length === 1);
  document.title = panes.length ? `${panes.map((pane) => pane.name).join(', ')} \u00b7 reclog` : 'reclog';
  $('panes').dataset.empty = panes.length ? '' : recordings.length
    ? 'Choose a recording.' : 'Nothing is recorded on this machine yet: `inv local` starts a recording.';
  follower.see(true);
  save();
  drawSide();
  void times.learn();
  search.again();
}

/** What is asked for has changed: every pane asks anew. */
function asksAnew() {
  save();
  drawSide();
  times.draw();
  for (const pane of panes) void pane.again().then(() => follower.see(true));
}

const follower = new Follower(() => panes, asked, (lost) => {
  if (lost) trouble('No word from the server: has `inv view` ended? Trying again \u2026', true);
  else back();
});

// -- recordings, senders, gaps --------------------------------------------------------------------------

const known = () => panes.flatMap((pane) => times.abouts.get(pane.name) ?? []);

function drawSide() {
  drawRecordings(recordings, new Set(panes.map((pane) => pane.name)), (name, wanted, alone) => {
    if (wanted && alone) for (const pane of [...panes]) show(pane.name, false);
    show(name, wanted);
  });
  drawSenders(known(), state.senders, (sender) => {
    const { senders } = state;
    state.senders = senders.includes(sender) ? senders.filter((one) => one !== sender) : [...senders, sender];
    asksAnew();
  });
  drawGaps(panes.flatMap((pane) => {
    const about = times.abouts.get(pane.name);
    return about ? [/** @type {[Pane, About]} */ ([pane, about])] : [];
  }), goto);
  for (const pane of panes) {
    const state = recordings.find((one) => one.name === pane.name)?.state ?? 'gone';
    pane.badge.className = `badge ${state}`;
    pane.badge.textContent = state;
    const about = times.abouts.get(pane.name);
    pane.element.classList.toggle('lonely', (about?.senders.length ?? 0) < 2);
    pane.element.classList.toggle('untimed', about !== undefined && about.begin === null);
  }
}

/** Go to a line or a gap. @param {Pane} pane @param {number} at */
function goto(pane, at) {
  void pane.goto(at, true).then(() => around.moved(pane, true));
}

const times = new Times({
  state,
  panes,
  failed,
  marksOf: (name) => search.marksOf(name),
  changed: (time) => {
    asksAnew();
    if (time !== null) for (const pane of panes) if (!pane.following) void pane.gotoTime(time);
  },
  learned: drawSide,
});

// -- search -------------------------------------------------------------------------------------------

const search = new Search($('find'), $('found'), {
  panes: () => panes,
  current: () => panes[current] ?? panes[0],
  find: () => state.find,
  question: asked,
  failed,
  changed: (words) => {
    state.find = words;
    save();
    if (state.only) asksAnew();
    for (const pane of panes) pane.redraw();
  },
  marked: () => times.draw(),
});

// -- buttons and keys -----------------------------------------------------------------------------------

function drawButtons() {
  const follow = panes.length > 0 && panes.every((pane) => pane.following);
  for (const [id, on] of Object.entries({ wrap: state.wrap, fold: state.fold, follow })) {
    $(id).setAttribute('aria-pressed', String(on));
  }
  /** @type {HTMLInputElement} */ ($('only')).checked = state.only;
}

/** @param {'wrap'|'fold'} what */
function turn(what) {
  state[what] = !state[what];
  for (const pane of panes) pane.redraw();
  save();
  drawButtons();
}

const acts = {
  find: () => { $('find').focus(); /** @type {HTMLInputElement} */ ($('find')).select(); },
  next: () => search.step(1),
  previous: () => search.step(-1),
  only: () => { state.only = !state.only; if (state.find) asksAnew(); save(); drawButtons(); },
  wrap: () => turn('wrap'),
  fold: () => turn('fold'),
  follow: () => { for (const pane of panes) void pane.end().then(() => follower.see(true)); },
  first: () => { for (const pane of panes) void pane.goto(0); },
  download: () => {
    for (const pane of panes) {
      const link = /** @type {HTMLAnchorElement} */ (element('a', ''));
      const query = asked();
      query.set('r', pane.name);
      link.href = `/api/download?${query}`;
      link.download = '';
      link.click();
    }
  },
  /** @param {number} way */
  gap: (way) => {
    const pane = panes[current] ?? panes[0];
    const at = pane?.here ?? pane?.top()?.at ?? 0;
    const gaps = (pane && times.abouts.get(pane.name)?.gaps) || [];
    const to = way > 0 ? gaps.find((gap) => gap.at > at) : gaps.findLast((gap) => gap.at < at);
    if (to) goto(pane, to.at);
  },
  timeline: () => $('chart').focus(),
  zoom: () => { times.zoom(); save(); },
  clear: () => {
    if (times.selects) times.select(null, null);
    else if (state.senders.length) { state.senders = []; asksAnew(); }
  },
  side: () => {
    const shown = document.body.classList.toggle('side');
    $('menu').setAttribute('aria-expanded', String(shown));
    if (shown) $('side').querySelector('button')?.focus();
  },
  /** @param {number} way */
  pane: (way) => {
    if (!panes.length) return;
    current = (current + way + panes.length) % panes.length;
    panes[current].list.focus();
  },
  help: () => /** @type {HTMLDialogElement} */ ($('help')).showModal(),
};

for (const id of /** @type {const} */ (['wrap', 'fold', 'follow', 'download', 'zoom', 'clear', 'next', 'previous'])) {
  $(id).addEventListener('click', () => acts[id]());
}
$('keys').addEventListener('click', acts.help);
$('menu').addEventListener('click', acts.side);
$('only').addEventListener('change', acts.only);
$('help').querySelector('button')?.addEventListener('click', () => /** @type {HTMLDialogElement} */ ($('help')).close());
for (const form of ['search', 'range']) $(form).addEventListener('submit', (event) => event.preventDefault());
$('panes').addEventListener('click', () => document.body.classList.remove('side'));
onKeys(acts);
addEventListener('popstate', () => location.reload());
document.addEventListener('visibilitychange', () => { if (!document.hidden) void look(); });

// -- again and again ------------------------------------------------------------------------------------

async function look() {
  try {
    recordings = (await ask('recordings')).recordings;
    if (!started && !state.panes.length && recordings.length) state.panes.push({ name: recordings[0].name, at: null });
    for (const { name, at } of state.panes.slice(panes.length)) addPane(name, at);
    if (!started) changedPanes();
    started = true;
    drawSide();
    back();
  } catch (error) {
    failed(error);
  }
}

let started = false;
search.begin(state.find);
drawButtons();
new MutationObserver(drawButtons).observe($('panes'), { subtree: true, attributes: true, attributeFilter: ['aria-valuetext'] });
history.replaceState(null, '', location.pathname + format(state));  // without the token
await look();
setInterval(() => { if (!document.hidden) void look(); }, 3000);
setInterval(() => times.learnMore(), 2000);
