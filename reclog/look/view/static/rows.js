// A line, a gap, a fold as elements. Text goes in by textContent alone; classes are of the server's fixed set.

import { date, lasting, size, time } from './clock.js';
import { colourOf } from './colours.js';

/** @typedef {import('./ask.js').Line} Line */
/** @typedef {import('./ask.js').Gap} Gap */
/** @typedef {import('./fold.js').Group} Group */

/** @param {string} name @param {string} className @param {string} [text] */
export function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/**
 * @param {Line} line
 * @param {Line|Gap|undefined} before what stands above it
 * @returns {HTMLLIElement}
 */
export function lineRow(line, before) {
  const row = /** @type {HTMLLIElement} */ (element('li', `row ${colourOf(line.s)}`));
  const when = element('time', 'when', line.t === null ? '' : time(line.t));
  if (line.t !== null) {
    when.title = `${date(line.t)} ${time(line.t)}`;
    if (before?.t && date(before.t) !== date(line.t)) row.dataset.day = date(line.t);
  } else {
    when.title = 'Not known when it came';
  }
  const who = element('span', 'who', line.s ?? '');
  who.title = line.s ?? 'Not known who sent it';
  if (before && !('gap' in before) && before.s === line.s) who.classList.add('same');
  const text = element('span', 'text');
  for (const piece of line.p) {
    if (typeof piece === 'string') text.append(piece);
    else text.append(element('span', piece[1].replace(/[^a-z0-9 ]/g, ''), piece[0]));
  }
  row.append(when, who, text);
  if (line.more) {
    const more = element('button', 'more', `${size(line.more)} more`);
    more.dataset.whole = String(line.at);
    row.append(more);
  }
  return row;
}

/** @param {Gap} gap */
export function gapRow(gap) {
  const row = /** @type {HTMLLIElement} */ (element('li', 'row gap'));
  row.append(element('time', 'when', gap.t === null ? '' : time(gap.t)));
  const words = gap.sec === null ? gap.gap : `${lasting(gap.sec)}: ${gap.gap}`;
  row.append(element('span', 'what', words));
  return row;
}

/** @param {Group} group @param {boolean} open */
export function foldButton(group, open) {
  const rest = group.items.length - 1;
  const words = group.kind === 'repeats' ? `\u00d7 ${group.items.length}` : `${rest} more lines`;
  const button = element('button', 'fold', words);
  button.setAttribute('aria-expanded', String(open));
  button.title = group.kind === 'repeats' ? 'The same, said again' : 'What is indented below it';
  return button;
}
