// The page: puts state, panes, timeline, facets and keys together.

import { Gone, ask } from './ask.js';
import { count, date, field, lasting, size, time } from './clock.js';
import { colourOf } from './colours.js';
import { Follower } from './follow.js';
import { onKeys } from './keys.js';
import { mark } from './marks.js';
import { Pane } from './pane.js';
import { element } from './rows.js';
import { Search } from './search.js';
import { MOST_PANES, format, parse, question } from './state.js';
import { Timeline } from './timeline.js';

/** @typedef {import('./ask.js').About} About */
/** @typedef {import('./ask.js').Known} Known */

/** @template {HTMLElement} [T=HTMLElement] @param {string} id @returns {T} */
const $ = (id) => /** @type {T} */ (document.getElementById(id));

const state = parse(location.search);
/** @type {Pane[]} */
const panes = [];
/** @type {Known[]} */
let recordings = [];
/** @type {Map<string, About>} */
const abouts = new Map();
/** @type {Map<string, import('./ask.js').Timeline>} */
const lanes = new Map();
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

// -- what went wrong ----------------------------------------------------------------------------------

/** @param {unknown} error */
function failed(error) {
  if (error instanceof DOMException && error.name === 'AbortError') return;
  trouble(error instanceof Error ? error.message : String(error));
}

/** @param {string} words */
function trouble(words) {
  const place = $('trouble');
  place.hidden = !words;
  if (place.textContent !== words) place.textContent = words;
}

// -- panes --------------------------------------------------------------------------------------------

/** @type {ReturnType<typeof setTimeout>|undefined} */
let together;

const around = {
  question: asked,
  view: () => state,
  failed,
  /** @param {Pane} pane @param {boolean} byHand */
  moved: (pane, byHand) => {
    const number = panes.indexOf(pane);
    if (number < 0) return;
    state.panes[number].at = pane.following ? null : pane.top()?.at ?? 0;
    follower.see();
    save();
    seen();
    if (!byHand) return;
    current = number;
    clearTimeout(together);
    if (panes.length > 1) together = setTimeout(() => sameTime(pane), 150);
  },
  /** @param {Pane} pane */
  drawn: (pane) => {
    if (!state.find) return mark('', []);
    if (pane === panes[current]) markSeen();
    return undefined;
  },
  /** @param {Pane} pane */
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

/** Mark what is found in the rows that are seen, of all panes. */
function markSeen() {
  const rows = panes.flatMap((pane) => {
    const { scrollTop, clientHeight } = pane.list;
    return /** @type {HTMLElement[]} */ ([...pane.list.children]).filter(
      (row) => row.offsetTop + row.offsetHeight > scrollTop - 400 && row.offsetTop < scrollTop + clientHeight + 400);
  });
  mark(state.find, rows);
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
  drawRecordings();
  void learn();
  search.again();
}

/** What is asked for has changed: every pane asks anew. */
function asksAnew() {
  save();
  drawSenders();
  drawRange();
  for (const pane of panes) void pane.again().then(() => follower.see(true));
  follower.see(true);
}

const follower = new Follower(() => panes, asked, (lost) => {
  trouble(lost ? 'No word from the server: has `inv view` ended? Trying again \u2026' : '');
});

// -- recordings, senders, gaps --------------------------------------------------------------------------

function drawRecordings() {
  const rows = recordings.map((one) => {
    const row = element('li', '');
    const button = element('button', 'facet');
    button.setAttribute('aria-pressed', String(state.panes.some((pane) => pane.name === one.name)));
    button.title = one.host ? `${one.file}, through ${one.host}` : one.file;
    const dot = element('span', `dot ${one.state}`);
    dot.setAttribute('aria-hidden', 'true');
    button.append(dot, element('span', 'name', one.name), element('span', 'faint', size(one.size)),
      element('span', 'state', one.live && one.state === 'recording' ? '' : one.state));
    button.addEventListener('click', (event) => {
      const shown = state.panes.some((pane) => pane.name === one.name);
      if (!event.ctrlKey && !event.metaKey && !event.shiftKey && !shown) {
        for (const pane of [...panes]) show(pane.name, false);
      }
      show(one.name, !shown);
    });
    const beside = element('button', 'quiet beside', '+');
    beside.title = `Show ${one.name} beside the others`;
    beside.setAttribute('aria-label', beside.title);
    beside.addEventListener('click', () => show(one.name, true));
    row.append(button);
    if (panes.length && !state.panes.some((pane) => pane.name === one.name)) row.append(beside);
    return row;
  });
  keepFocus($('recordings'), rows);
  for (const pane of panes) {
    const known = recordings.find((one) => one.name === pane.name);
    pane.badge.className = `badge ${known?.state ?? ''}`;
    pane.badge.textContent = known?.state ?? 'gone';
    if (known && !pane.following) pane.size = Math.max(pane.size, known.size);
  }
}

/** Change a list's rows, and leave the focus where it is. @param {HTMLElement} list @param {HTMLElement[]} rows */
function keepFocus(list, rows) {
  const buttons = [...list.querySelectorAll('button')];
  const had = buttons.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
  list.replaceChildren(...rows);
  if (had >= 0) /** @type {HTMLElement|undefined} */ ([...list.querySelectorAll('button')][had])?.focus();
}

function drawSenders() {
  /** @type {Map<string, number>} */
  const bytes = new Map();
  let others = 0;
  for (const pane of panes) {
    const about = abouts.get(pane.name);
    others += about?.others ?? 0;
    for (const [sender, number] of about?.senders ?? []) bytes.set(sender, (bytes.get(sender) ?? 0) + number);
  }
  for (const sender of state.senders) if (!bytes.has(sender)) bytes.set(sender, 0);
  const most = Math.max(1, ...bytes.values());
  const rows = [...bytes].sort((a, b) => b[1] - a[1]).map(([sender, number]) => {
    const row = element('li', '');
    const button = element('button', `facet ${colourOf(sender)}`);
    button.setAttribute('aria-pressed', String(state.senders.includes(sender)));
    const bar = element('span', 'bar-of');
    bar.style.width = `${number / most * 100}%`;
    button.append(element('span', 'swatch'), element('span', 'name', sender), element('span', 'faint', size(number)), bar);
    button.title = `Show the lines of ${sender} alone, or not`;
    button.addEventListener('click', () => {
      state.senders = state.senders.includes(sender)
        ? state.senders.filter((one) => one !== sender) : [...state.senders, sender];
      asksAnew();
    });
    row.append(button);
    return row;
  });
  keepFocus($('senders'), rows);
  $('others').textContent = others ? `and ${count(others)} more` : bytes.size ? '' : 'Nothing tells who said what.';
}

function drawGaps() {
  const gaps = panes.flatMap((pane) => (abouts.get(pane.name)?.gaps ?? []).map((gap) => ({ pane, gap })));
  $('gaps-head').textContent = gaps.length ? `Gaps (${count(gaps.length)})` : 'No gaps';
  const rows = gaps.slice(-100).reverse().map(({ pane, gap }) => {
    const row = element('li', '');
    const words = gap.sec === null ? gap.gap : `${lasting(gap.sec)}: ${gap.gap}`;
    const button = element('button', 'facet gap-facet');
    button.append(element('span', 'faint', gap.t === null ? '' : time(gap.t).slice(0, 8)), element('span', 'name', words));
    button.title = `${gap.t === null ? '' : `${date(gap.t)} ${time(gap.t)} `}${words}`;
    button.addEventListener('click', () => pane.goto(gap.at, true).then(() => around.moved(pane, true)));
    row.append(button);
    return row;
  });
  keepFocus($('gaps'), rows);
}

// -- the timeline -------------------------------------------------------------------------------------

const timeline = new Timeline($('chart'), $('canvas'), $('tip'), {
  go: (ms) => {
    for (const pane of panes) void pane.gotoTime(ms / 1000).then(() => around.moved(pane, false));
  },
  select: (begin, end) => selectTime(begin / 1000, end / 1000),
});

/** @param {number|null} since @param {number|null} until seconds of the epoch */
function selectTime(since, until) {
  [state.since, state.until] = [since && Math.round(since * 1000) / 1000, until && Math.round(until * 1000) / 1000];
  if (since === null && until === null) state.zoom = false;
  asksAnew();
  if (since !== null && panes.some((pane) => !pane.following)) for (const pane of panes) void pane.gotoTime(since);
  void learn();
}

function drawRange() {
  const { since, until } = state;
  const input = /** @param {string} id */ (id) => /** @type {HTMLInputElement} */ ($(id));
  input('since').value = since === null ? '' : field(since * 1000);
  input('until').value = until === null ? '' : field(until * 1000);
  $('zoom').setAttribute('aria-pressed', String(state.zoom));
  const none = since === null && until === null;
  /** @type {HTMLButtonElement} */ ($('zoom')).disabled = none;
  /** @type {HTMLButtonElement} */ ($('clear')).disabled = none;
  $('range').classList.toggle('selects', !none);
  $('sum').textContent = since !== null && until !== null ? lasting(until - since) : '';
  timeline.selection = none ? null
    : { begin: (since ?? timeline.begin / 1000) * 1000, end: (until ?? timeline.end / 1000) * 1000 };
  timeline.draw();
}

/** Draw where the panes are. */
function seen() {
  for (const lane of timeline.lanes) lane.seen = panes.find((pane) => pane.name === lane.name)?.span() ?? null;
  timeline.draw();
}

let learning = false;

/** Ask what is known of the panes' recordings, and their lanes. */
async function learn() {
  if (learning || document.hidden) return;
  learning = true;
  try {
    const names = panes.map((pane) => pane.name);
    const told = await Promise.all(names.map((r) => /** @type {Promise<About>} */ (ask('about', { r }))));
    names.forEach((name, number) => abouts.set(name, told[number]));
    const begins = told.map((one) => one.begin).filter((ms) => ms !== null);
    const ends = told.map((one) => one.end).filter((ms) => ms !== null);
    let begin = Math.min(...begins), end = Math.max(...ends) + 1;
    if (state.zoom && state.since !== null) begin = state.since * 1000;
    if (state.zoom && state.until !== null) end = state.until * 1000;
    const known = begins.length > 0 && end > begin;
    [timeline.begin, timeline.end] = known ? [Math.floor(begin), Math.ceil(end)] : [0, 0];
    if (known) {
      const asks = { begin: timeline.begin, end: timeline.end, buckets: timeline.columns };
      const found = await Promise.all(names.map((r) => ask('timeline', { r, ...asks })));
      names.forEach((name, number) => lanes.set(name, found[number]));
    }
    timeline.lanes = names.map((name) => ({
      name, buckets: lanes.get(name)?.buckets ?? [], gaps: abouts.get(name)?.gaps ?? [],
      marks: search.marksOf(name), seen: null,
    }));
    drawSenders();
    drawGaps();
    drawRange();
    seen();
  } catch (error) {
    if (!(error instanceof Gone)) failed(error);
  } finally {
    learning = false;
  }
}

// -- search -------------------------------------------------------------------------------------------

const search = new Search($('find'), $('found'), {
  panes: () => panes,
  current: () => panes[current] ?? panes[0],
  find: () => state.find,
  question: asked,
  failed,
  /** @param {string} words */
  changed: (words) => {
    state.find = words;
    save();
    if (state.only) asksAnew();
    for (const pane of panes) pane.redraw();
  },
  marked: () => {
    for (const lane of timeline.lanes) lane.marks = search.marksOf(lane.name);
    timeline.draw();
  },
});

// -- buttons and keys -----------------------------------------------------------------------------------

/** @param {string} id @param {boolean} on */
const press = (id, on) => $(id).setAttribute('aria-pressed', String(on));

function drawButtons() {
  press('wrap', state.wrap);
  press('fold', state.fold);
  press('follow', panes.length > 0 && panes.every((pane) => pane.following));
  /** @type {HTMLInputElement} */ ($('only')).checked = state.only;
}

const acts = {
  find: () => { $('find').focus(); /** @type {HTMLInputElement} */ ($('find')).select(); },
  next: () => search.step(1),
  previous: () => search.step(-1),
  only: () => { state.only = !state.only; if (state.find) asksAnew(); save(); drawButtons(); },
  wrap: () => { state.wrap = !state.wrap; for (const pane of panes) pane.redraw(); save(); drawButtons(); },
  fold: () => { state.fold = !state.fold; for (const pane of panes) pane.redraw(); save(); drawButtons(); },
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
    const gaps = (pane && abouts.get(pane.name)?.gaps) || [];
    const to = way > 0 ? gaps.find((gap) => gap.at > at) : gaps.findLast((gap) => gap.at < at);
    if (to) void pane.goto(to.at, true).then(() => around.moved(pane, true));
  },
  timeline: () => $('chart').focus(),
  zoom: () => {
    if (state.since === null && state.until === null) return;
    state.zoom = !state.zoom;
    save();
    void learn();
  },
  clear: () => {
    if (state.since !== null || state.until !== null) selectTime(null, null);
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
for (const id of ['since', 'until']) {
  $(id).addEventListener('change', () => {
    const [since, until] = ['since', 'until'].map((one) => {
      const ms = Date.parse(/** @type {HTMLInputElement} */ ($(one)).value);
      return Number.isNaN(ms) ? null : ms / 1000;
    });
    selectTime(since, until);
  });
}
$('panes').addEventListener('click', (event) => {
  if (document.body.classList.contains('side') && event.target) document.body.classList.remove('side');
});
onKeys(acts);
addEventListener('popstate', () => location.reload());
document.addEventListener('visibilitychange', () => { if (!document.hidden) void look(); });

// -- again and again ------------------------------------------------------------------------------------

async function look() {
  try {
    recordings = (await ask('recordings')).recordings;
    if (!panes.length && !state.panes.length && recordings.length) {
      state.panes.push({ name: recordings[0].name, at: null });
    }
    for (const { name, at } of state.panes.slice(panes.length)) addPane(name, at);
    if (!started) changedPanes();
    started = true;
    drawRecordings();
    if (!$('trouble').hidden && !follower.source) trouble('');
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
setInterval(() => { if (panes.some((pane) => pane.following)) void learn(); }, 2000);
