// Lines and gaps as elements, and the list of them. Text goes in by textContent alone; classes are of a fixed set.

import { date, lasting, size, time } from './clock.js';
import { colourOf } from './colours.js';
import { grouped } from './fold.js';

/** @typedef {import('./ask.js').Line} Line */
/** @typedef {import('./ask.js').Gap} Gap */
/** @typedef {HTMLLIElement & {item: Line|Gap}} Row */

/** @param {string} name @param {string} className @param {string} [text] */
export function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** @param {Gap} gap */
export function gapWords(gap) {
  return gap.sec === null ? gap.gap : `${lasting(gap.sec)}: ${gap.gap}`;
}

/** @param {Line} line @param {Line|Gap|undefined} before what stands above it */
function lineRow(line, before) {
  const row = element('li', `row ${colourOf(line.s)}`);
  const when = element('time', 'when', line.t === null ? '' : time(line.t));
  when.title = line.t === null ? 'Not known when it came' : `${date(line.t)} ${time(line.t)}`;
  if (line.t && before?.t && date(before.t) !== date(line.t)) row.dataset.day = date(line.t);
  const who = element('span', 'who', line.s ?? '');
  who.title = line.s ?? 'Not known who sent it';
  const same = before && !('gap' in before) && before.s === line.s;
  who.classList.toggle('same', same);
  when.classList.toggle('soon', Boolean(same && line.t && before.t && line.t - before.t < 1000));
  const text = element('span', 'text');
  for (const piece of line.p) {
    text.append(typeof piece === 'string' ? piece : element('span', piece[1].replace(/[^a-z0-9 ]/g, ''), piece[0]));
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
function gapRow(gap) {
  const row = element('li', 'row gap');
  row.append(element('time', 'when', gap.t === null ? '' : time(gap.t)), element('span', 'what', gapWords(gap)));
  return row;
}

/** @param {import('./fold.js').Group} group @param {boolean} open */
function foldButton(group, open) {
  const repeats = group.kind === 'repeats';
  const button = element('button', 'fold', repeats ? `\u00d7 ${group.items.length}` : `${group.items.length - 1} more lines`);
  button.setAttribute('aria-expanded', String(open));
  button.title = repeats ? 'The same, said again' : 'What is indented below it';
  return button;
}

/** A list of rows that is changed only where it differs, so that a selection and the place stay. */
export class Rows {
  /** @param {string} label */
  constructor(label) {
    this.element = element('ol', 'log');
    this.element.tabIndex = 0;
    this.element.setAttribute('aria-label', label);
    /** @type {Map<string, Row>} */
    this.made = new Map();
  }

  /**
   * @param {(Line|Gap)[]} items
   * @param {{fold: boolean, wrap: boolean, open: Set<number>, here: number|null}} view folds that are open, by
   *   the offset of their first line; the line that was gone to
   */
  draw(items, { fold, wrap, open, here }) {
    this.element.classList.toggle('wrap', wrap);
    /** @type {Map<string, Row>} */
    const wanted = new Map();
    /** @type {Line|Gap|undefined} */
    let before;
    for (const group of fold ? grouped(items) : items.map((item) => ({ items: [item], kind: /** @type {const} */ ('') }))) {
      const opened = open.has(group.items[0].at);
      const shown = group.kind === '' || opened ? group.items : group.items.slice(0, 1);
      for (const [number, item] of shown.entries()) {
        const folds = number === 0 && group.kind !== '';
        const key = JSON.stringify(['gap' in item ? item : [item.at, item.end, item.t, item.more], folds && [group.items.length, opened], number > 0]);
        const row = this.made.get(key) ?? /** @type {Row} */ ('gap' in item ? gapRow(item) : lineRow(item, before));
        if (!this.made.has(key)) {
          if (folds) row.append(foldButton(group, opened));
          row.classList.toggle('inside', number > 0);
          row.item = item;
        }
        row.classList.toggle('here', item.at === here && !('gap' in item));
        wanted.set(key, row);
        before = item;
      }
    }
    for (const [key, row] of this.made) if (wanted.get(key) !== row) row.remove();
    this.made = wanted;
    let next = this.element.firstElementChild;
    for (const row of wanted.values()) {
      if (row === next) next = next.nextElementSibling;
      else this.element.insertBefore(row, next);
    }
  }

  /** @returns {Row[]} those in sight, and some around them */
  near() {
    const { scrollTop, clientHeight } = this.element;
    return /** @type {Row[]} */ ([...this.element.children]).filter(
      (row) => row.offsetTop + row.offsetHeight > scrollTop - 400 && row.offsetTop < scrollTop + clientHeight + 400);
  }

  /** @returns {[Line|Gap, Line|Gap]|null} the first and the last one in sight */
  seen() {
    const rows = /** @type {Row[]} */ ([...this.element.children]);
    if (!rows.length) return null;
    const { scrollTop, clientHeight } = this.element;
    /** @param {number} y */
    const at = (y) => {
      let low = 0, high = rows.length - 1;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (rows[middle].offsetTop + rows[middle].offsetHeight <= y) low = middle + 1;
        else high = middle;
      }
      return rows[low].item;
    };
    return [at(scrollTop + 1), at(scrollTop + clientHeight - 2)];
  }

  /** @param {number} at an offset @returns {Row|undefined} the row of it, or of what follows */
  rowAt(at) {
    const rows = /** @type {Row[]} */ ([...this.element.children]);
    return rows.find((row) => row.item.at >= at && !('gap' in row.item && row.item.at === at)) ?? rows.at(-1);
  }

  /** Return the first offset in sight, and how far below the upper edge its row begins. */
  anchor() {
    const first = this.seen()?.[0];
    const row = first && this.rowAt(first.at);
    return row ? { at: row.item.at, top: row.offsetTop - this.element.scrollTop } : null;
  }
}
