// Recordings, senders, gaps: what there is to choose from.

import { count, date, size, time } from './clock.js';
import { colourOf } from './colours.js';
import { element, gapWords } from './rows.js';

/** @typedef {import('./ask.js').About} About */
/** @typedef {import('./ask.js').Known} Known */
/** @typedef {import('./pane.js').Pane} Pane */

/** @param {string} id */
const $ = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/**
 * Change a list's rows, and leave the focus where it is.
 * @param {string} id @param {HTMLElement[][]} rows what is in each
 */
function fill(id, rows) {
  const list = $(id);
  const had = [...list.querySelectorAll('button')].indexOf(/** @type {any} */ (document.activeElement));
  list.replaceChildren(...rows.map((parts) => {
    const row = element('li', '');
    row.append(...parts);
    return row;
  }));
  if (had >= 0) list.querySelectorAll('button')[had]?.focus();
}

/** @param {boolean|null} pressed @param {string} title @param {Element[]} parts @param {(event: MouseEvent) => void} act */
function facet(pressed, title, parts, act) {
  const button = element('button', 'facet');
  if (pressed !== null) button.setAttribute('aria-pressed', String(pressed));
  button.title = title;
  button.append(...parts);
  button.addEventListener('click', act);
  return button;
}

/**
 * @param {Known[]} recordings @param {Set<string>} shown
 * @param {(name: string, wanted: boolean, alone: boolean) => void} show
 */
export function drawRecordings(recordings, shown, show) {
  fill('recordings', recordings.map(({ name, state, live, file, host, size: bytes }) => {
    const dot = element('span', `dot ${state}`);
    const parts = [dot, element('span', 'name', name), element('span', 'faint', size(bytes)),
      element('span', 'faint', live && state === 'recording' ? '' : state)];
    const is = shown.has(name);
    const button = facet(is, host ? `${file}, through ${host}` : file, parts, () => show(name, !is, true));
    if (is || !shown.size) return [button];
    const beside = element('button', 'quiet beside', '+');
    beside.title = `Show ${name} beside the others`;
    beside.setAttribute('aria-label', beside.title);
    beside.addEventListener('click', () => show(name, true, false));
    return [button, beside];
  }));
}

/** @param {About[]} abouts @param {string[]} chosen @param {(sender: string) => void} choose */
export function drawSenders(abouts, chosen, choose) {
  /** @type {Map<string, number>} */
  const bytes = new Map(chosen.map((sender) => [sender, 0]));
  for (const [sender, number] of abouts.flatMap((about) => about.senders)) {
    bytes.set(sender, (bytes.get(sender) ?? 0) + number);
  }
  const most = Math.max(1, ...bytes.values());
  fill('senders', [...bytes].sort((a, b) => b[1] - a[1]).map(([sender, number]) => {
    const bar = element('span', 'bar-of');
    bar.style.width = `${number / most * 100}%`;
    const parts = [element('span', 'swatch'), element('span', 'name', sender), element('span', 'faint', size(number)), bar];
    const button = facet(chosen.includes(sender), `The lines of ${sender} alone, or not`, parts, () => choose(sender));
    button.classList.add(colourOf(sender));
    return [button];
  }));
  const others = abouts.reduce((sum, about) => sum + about.others, 0);
  $('others').textContent = others ? `and ${count(others)} more` : bytes.size ? '' : 'Nothing tells who said what.';
}

/** @param {[Pane, About][]} abouts @param {(pane: Pane, at: number) => void} go */
export function drawGaps(abouts, go) {
  const gaps = abouts.flatMap(([pane, about]) => about.gaps.map((gap) => ({ pane, gap })));
  $('gaps-head').textContent = gaps.length ? `Gaps (${count(gaps.length)})` : 'No gaps';
  fill('gaps', gaps.slice(-100).reverse().map(({ pane, gap }) => {
    const when = gap.t === null ? '' : time(gap.t).slice(0, 8);
    const parts = [element('span', 'faint', when), element('span', 'name', gapWords(gap))];
    const button = facet(null, gap.t === null ? '' : `${date(gap.t)} ${when}`, parts, () => go(pane, gap.at));
    button.classList.add('gap-facet');
    return [button];
  }));
}
