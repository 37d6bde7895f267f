// Search: where an expression is found, in all panes; the step to the next place, in the one that is looked at.

import { ask } from './ask.js';
import { count } from './clock.js';

/** @typedef {import('./pane.js').Pane} Pane */
/** @typedef {import('./ask.js').Found} Found */

/**
 * @typedef {Object} Around
 * @property {() => Pane[]} panes
 * @property {() => Pane|undefined} current
 * @property {() => string} find
 * @property {() => URLSearchParams} question
 * @property {(words: string) => void} changed
 * @property {() => void} marked
 * @property {(error: unknown) => void} failed
 */

const MOST_MARKS = 4000;

export class Search {
  /** @param {HTMLElement} field @param {HTMLElement} told @param {Around} around */
  constructor(field, told, around) {
    this.field = /** @type {HTMLInputElement} */ (field);
    this.told = told;
    this.around = around;
    /** @type {Map<string, {marks: [number, number|null][], count: number, done: boolean, part: number}>} */
    this.found = new Map();
    this.wish = new AbortController();
    /** @type {ReturnType<typeof setTimeout>|undefined} */
    this.later = undefined;
    field.addEventListener('input', () => {
      clearTimeout(this.later);
      this.later = setTimeout(() => this.take(), 250);
    });
    field.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter') return;
      event.preventDefault();
      if (this.take()) return;
      void this.step(event.shiftKey ? -1 : 1);
    });
  }

  /** @param {string} words */
  begin(words) {
    this.field.value = words;
  }

  /** Search for what is in the field now. Returns whether that is something new. */
  take() {
    clearTimeout(this.later);
    const words = this.field.value;
    if (words === this.around.find()) return false;
    this.around.changed(words);
    this.again(true);
    return true;
  }

  /** @param {string} name @returns {[number, number|null][]} */
  marksOf(name) {
    return this.found.get(name)?.marks ?? [];
  }

  /** Search in all panes. @param {boolean} [go] whether to go to the nearest place */
  again(go = false) {
    this.wish.abort();
    const wish = this.wish = new AbortController();
    this.found.clear();
    this.field.removeAttribute('aria-invalid');
    this.told.textContent = '';
    this.around.marked();
    if (!this.around.find()) return;
    if (go) void this.step(this.around.current()?.following ? -1 : 0);
    for (const pane of this.around.panes()) {
      void this._in(pane, wish.signal).catch((error) => {
        if (wish.signal.aborted) return;
        this.field.setAttribute('aria-invalid', 'true');
        this.told.textContent = error instanceof Error ? error.message : String(error);
      });
    }
  }

  /** @param {Pane} pane @param {AbortSignal} signal */
  async _in(pane, signal) {
    const all = { marks: /** @type {[number, number|null][]} */ ([]), count: 0, done: false, part: 0 };
    this.found.set(pane.name, all);
    for (let begin = 0; !all.done;) {
      /** @type {Found & {size: number}} */
      const some = await ask('search', { r: pane.name, begin, grep: this.around.find() }, this._question(), signal);
      if (signal.aborted) return;
      all.count += some.count;
      all.part = some.to / Math.max(1, some.size);
      if (all.marks.length < MOST_MARKS) all.marks.push(...some.marks);
      all.done = some.done || some.to <= begin;
      begin = some.to;
      this._tell();
      this.around.marked();
    }
  }

  /** What is asked for besides the expression. */
  _question() {
    const query = this.around.question();
    query.delete('grep');
    return query;
  }

  _tell() {
    const all = [...this.found.values()];
    const sum = all.reduce((before, one) => before + one.count, 0);
    const part = Math.min(1, ...all.map((one) => (one.done ? 1 : one.part)));
    this.told.textContent = part < 1 ? `${count(sum)} \u00b7 ${Math.floor(part * 100)} %`
      : sum ? `${count(sum)} ${sum === 1 ? 'line' : 'lines'}` : 'not found';
  }

  /** Go to the next match (1), the one before (-1), the nearest one on from here (0). @param {number} way */
  async step(way) {
    const pane = this.around.current();
    if (!pane || !this.around.find()) return;
    const top = pane.top();
    const from = pane.here ?? (pane.following ? pane.size : top?.at ?? 0);
    const query = this._question();
    query.set('grep', this.around.find());
    try {
      let at = way < 0 ? from : from + (way && pane.here !== null ? 1 : 0);
      for (;;) {
        /** @type {import('./ask.js').Stretch & {done: boolean}} */
        const some = await ask('lines', { r: pane.name, count: 1, [way < 0 ? 'end' : 'begin']: at }, query);
        const line = some.items.findLast((item) => !('gap' in item));
        if (line) {
          await pane.goto(line.at, true);
          return;
        }
        const to = way < 0 ? some.from : some.to;
        if (way < 0 ? to <= 0 : some.done || to <= at) return;
        at = to;
      }
    } catch (error) {
      this.around.failed(error);
    }
  }
}
