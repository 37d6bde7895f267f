// One recording's lines: a stretch of them in the page, whatever the file's size, known by byte offsets.
//
// Rules kept here:
// - At most LIMIT items are held; what is scrolled away from is let go and asked for again.
// - The scrollbar is ours and stands for the whole file; the browser's own would stand for what is held.
// - What is asked for and not wanted any more is dropped: the last wish counts.

import { ask } from './ask.js';
import { size } from './clock.js';
import { grouped } from './fold.js';
import { element, foldButton, gapRow, lineRow } from './rows.js';

/** @typedef {import('./ask.js').Line} Line */
/** @typedef {import('./ask.js').Gap} Gap */
/** @typedef {import('./ask.js').Stretch} Stretch */
/** @typedef {import('./fold.js').Group} Group */

/**
 * @typedef {Object} Around what a pane is told of, and tells
 * @property {() => URLSearchParams} question
 * @property {() => {wrap: boolean, fold: boolean}} view
 * @property {(pane: Pane, byHand: boolean) => void} moved
 * @property {(pane: Pane) => void} drawn
 * @property {(pane: Pane) => void} close
 * @property {(error: unknown) => void} failed
 */

const LIMIT = 1200;
const STEP = 200;
/** Lines above the one that is gone to. */
const ABOVE = 60;
/** Pixels from an edge at which more is asked for. */
const NEAR = 1500;

export class Pane {
  /** @param {string} name @param {Around} around */
  constructor(name, around) {
    this.name = name;
    this.around = around;
    /** @type {(Line|Gap)[]} */
    this.items = [];
    this.from = 0;
    this.to = 0;
    this.size = 0;
    this.following = false;
    /** @type {number|null} offset of the line that was gone to */
    this.here = null;
    /** @type {Set<number>} offsets of folds that are open */
    this.open = new Set();
    /** @type {Map<string, HTMLLIElement>} */
    this.rows = new Map();
    this.wish = new AbortController();
    this.busy = false;
    this.byUs = 0;
    this._build();
  }

  _build() {
    this.element = element('section', 'pane');
    this.element.setAttribute('aria-label', this.name);
    const head = element('header', 'pane-head');
    this.title = element('h2', '', this.name);
    this.badge = element('span', 'badge');
    this.where = element('span', 'where');
    const close = element('button', 'quiet close', '\u00d7');
    close.setAttribute('aria-label', `Close ${this.name}`);
    close.addEventListener('click', () => this.around.close(this));
    head.append(this.title, this.badge, this.where, close);
    this.list = element('ol', 'log');
    this.list.tabIndex = 0;
    this.list.setAttribute('aria-label', `Lines of ${this.name}`);
    this.note = element('p', 'note');
    this.note.setAttribute('role', 'status');
    this.rail = element('div', 'rail');
    this.rail.tabIndex = 0;
    for (const [name, value] of [['role', 'scrollbar'], ['aria-orientation', 'vertical'], ['aria-valuemin', '0'],
      ['aria-valuemax', '1000'], ['aria-label', `Place in ${this.name}`]]) this.rail.setAttribute(name, value);
    this.thumb = element('div', 'thumb');
    this.rail.append(this.thumb);
    const body = element('div', 'pane-body');
    body.append(this.list, this.note, this.rail);
    this.element.append(head, body);
    this.list.addEventListener('scroll', () => this._scrolled(), { passive: true });
    for (const kind of ['wheel', 'touchmove', 'pointerdown', 'keydown']) {
      this.list.addEventListener(kind, () => { this.hand = performance.now(); }, { passive: true });
    }
    this.list.addEventListener('click', (event) => this._clicked(event));
    this._drags();
  }

  /** Show the last lines, and follow from there. */
  async end() {
    this.following = true;
    this.here = null;
    await this._anew(async (signal) => {
      const found = await this._ask({ count: STEP }, signal);
      this._take(found.items, found.from, found.to, found.size);
      this._render(null);
    });
  }

  /** @param {number} at an offset @param {boolean} [mark] whether the line there is marked */
  async goto(at, mark = false) {
    this.following = false;
    this.here = mark ? at : null;
    if (mark && at >= this.from && at < this.to && this.items.some((item) => item.at === at)) {
      this._render({ at, top: this.list.clientHeight / 3 });
      this._settle();
      return;
    }
    await this._anew(async (signal) => {
      const [above, below] = await Promise.all([
        at > 0 ? this._ask({ end: at, count: ABOVE }, signal) : null,
        this._ask({ begin: at, count: STEP }, signal),
      ]);
      const items = [...(above?.items ?? []), ...below.items];
      this._take(items, above?.from ?? 0, below.to, below.size);
      const first = below.items[0] ?? above?.items.at(-1);
      this._render(first ? { at: first.at, top: mark ? this.list.clientHeight / 3 : 0 } : null);
    });
  }

  /** @param {number} seconds of the epoch */
  async gotoTime(seconds) {
    try {
      const { at } = await ask('at', { r: this.name, time: seconds });
      await this.goto(at);
    } catch (error) {
      this.around.failed(error);
    }
  }

  /** Ask again for what is shown: the question is another one. */
  async again() {
    const top = this.top();
    if (this.following || top === null) await this.end();
    else await this.goto(top.at);
  }

  /**
   * Take what came since `to`.
   * @param {Stretch & {skipped: boolean, anew: boolean}} news
   */
  heard(news) {
    if (!this.following) return;
    if (news.skipped || news.anew) {
      this.items = [];
      this.from = news.from;
      this.open.clear();
    } else if (news.from !== this.to && news.items.length) {
      return;  // of another time: it is asked for anew
    }
    this.items.push(...news.items);
    this.to = news.to;
    this.size = news.size;
    this._trim(true);
    this._render(null);
  }

  /** Return the first item that is seen; null if there is none. */
  top() {
    return this._seen()[0];
  }

  /** Return the times between which lines are seen, in milliseconds; null if none is known. */
  span() {
    const [first, last] = this._seen();
    if (first === null || last === null || first.t === null || last.t === null) return null;
    return { begin: first.t, end: last.t };
  }

  /** @returns {[Line|Gap|null, Line|Gap|null]} */
  _seen() {
    const rows = /** @type {HTMLCollectionOf<HTMLElement>} */ (this.list.children);
    const { scrollTop, clientHeight } = this.list;
    /** @param {number} y */
    const row = (y) => {
      let low = 0, high = rows.length - 1;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (rows[middle].offsetTop + rows[middle].offsetHeight <= y) low = middle + 1;
        else high = middle;
      }
      return rows.length ? /** @type {any} */ (rows[low]).item : null;
    };
    return [row(scrollTop + 1), row(scrollTop + clientHeight - 2)];
  }

  /** @param {(signal: AbortSignal) => Promise<void>} work */
  async _anew(work) {
    this.wish.abort();
    const wish = this.wish = new AbortController();
    this.busy = true;
    this.say(this.items.length ? '' : 'Reading \u2026');
    try {
      await work(wish.signal);
      if (wish.signal.aborted) return;
      await this._fill(wish.signal);
    } catch (error) {
      if (wish.signal.aborted) return;
      this.say(error instanceof Error ? error.message : String(error));
      this.around.failed(error);
    } finally {
      if (this.wish === wish) {
        this.busy = false;
        this._settle();
      }
    }
  }

  /** Ask for more until the place is full, or nothing is left. @param {AbortSignal} signal */
  async _fill(signal) {
    while (!signal.aborted && this.from > 0 && this.list.scrollHeight < this.list.clientHeight + NEAR) {
      this._searching(1 - this.from / Math.max(1, this.size));
      await this._before(signal);
    }
    while (!signal.aborted && !this.following && this.to < this.size && this._below() < NEAR) {
      this._searching(this.to / Math.max(1, this.size));
      await this._after(signal);
    }
  }

  /** @param {number} part */
  _searching(part) {
    if (!this.items.length) this.say(`Looking for lines \u2026 ${Math.round(part * 100)} %`);
  }

  _below() {
    return this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight;
  }

  /** @param {AbortSignal} signal */
  async _before(signal) {
    const found = await this._ask({ end: this.from, count: STEP }, signal);
    if (signal.aborted) return;
    this.items.unshift(...found.items);
    this.from = found.from;
    this.size = found.size;
    if (!this.following) this._trim(false);
    this._render(this._anchor());
  }

  /** @param {AbortSignal} signal */
  async _after(signal) {
    const found = await this._ask({ begin: this.to, count: STEP }, signal);
    if (signal.aborted) return;
    const anchor = this._anchor();
    this.items.push(...found.items);
    this.to = found.to;
    this.size = found.size;
    this._trim(true);
    this._render(anchor);
  }

  /** @param {Record<string, string|number>} words @param {AbortSignal} signal @returns {Promise<Stretch>} */
  _ask(words, signal) {
    return ask('lines', { r: this.name, ...words }, this.around.question(), signal);
  }

  /** @param {(Line|Gap)[]} items @param {number} from @param {number} to @param {number} bytes */
  _take(items, from, to, bytes) {
    this.items = items;
    this.from = from;
    this.to = to;
    this.size = bytes;
    this.open.clear();
  }

  /** @param {boolean} front whether what is let go is at the front */
  _trim(front) {
    const over = this.items.length - LIMIT;
    if (over <= 0) return;
    if (front) {
      this.items.splice(0, over);
      this.from = this.items[0].at;
    } else {
      const gone = this.items.splice(LIMIT, over);
      this.to = gone[0].at;
    }
  }

  _anchor() {
    const top = this.top();
    if (top === null) return null;
    const row = this._rowOf(top.at);
    return row ? { at: top.at, top: row.offsetTop - this.list.scrollTop } : null;
  }

  /** @param {number} at @returns {HTMLElement|undefined} */
  _rowOf(at) {
    const rows = /** @type {HTMLElement[]} */ ([...this.list.children]);
    return rows.find((row) => /** @type {any} */ (row).item.at >= at) ?? rows.at(-1);
  }

  /**
   * Show what is held. `anchor`: an offset, and how far below the upper edge its row is to be.
   * @param {{at: number, top: number}|null} anchor
   */
  _render(anchor) {
    const { fold, wrap } = this.around.view();
    this.list.classList.toggle('wrap', wrap);
    /** @type {Map<string, HTMLLIElement>} */
    const kept = new Map();
    /** @type {HTMLLIElement[]} */
    const wanted = [];
    /** @type {Line|Gap|undefined} */
    let before;
    const groups = fold ? grouped(this.items) : this.items.map((item) => ({ items: [item], kind: /** @type {''} */ ('') }));
    for (const group of groups) {
      const open = group.kind !== '' && this.open.has(group.items[0].at);
      const shown = group.kind === '' || open ? group.items : group.items.slice(0, 1);
      for (const [number, item] of shown.entries()) {
        const folds = number === 0 && group.kind !== '';
        const gap = 'gap' in item;
        const key = `${item.at}${gap ? `g${item.gap}${item.sec}` : 'e' + item.end}${folds ? `f${group.items.length}${open}` : ''}`;
        let row = this.rows.get(key);
        if (!row) {
          row = gap ? gapRow(item) : lineRow(item, before);
          if (folds) row.append(foldButton(group, open));
          if (number) row.classList.add('inside');
          /** @type {any} */ (row).item = item;
        }
        row.classList.toggle('here', item.at === this.here && !gap);
        kept.set(key, row);
        wanted.push(row);
        before = item;
      }
    }
    this.rows = kept;
    this.byUs = performance.now();
    place(this.list, wanted);
    if (this.following) {
      this.list.scrollTop = this.list.scrollHeight;
    } else if (anchor) {
      const row = this._rowOf(anchor.at);
      if (row) this.list.scrollTop = row.offsetTop - anchor.top;
    }
    this._rail();
    this.around.drawn(this);
  }

  /** Show anew what is held: wrapped, folded otherwise. */
  redraw() {
    this._render(this._anchor());
  }

  _settle() {
    if (this.items.length) this.say('');
    else if (this.size === 0) this.say('Nothing has been said yet.');
    else this.say('No line is what you ask for.');
    this._rail();
    this.around.moved(this, false);
  }

  /** @param {string} words */
  say(words) {
    if (this.note.textContent !== words) this.note.textContent = words;
  }

  _scrolled() {
    const byHand = performance.now() - (this.hand ?? -1e9) < 1500;
    if (byHand && !this.busy) {
      if (this._below() > 40) this.following = false;
      else if (this.to >= this.size && !this.following) this.following = true;
    }
    this._rail();
    if (byHand) this.around.moved(this, true);
    if (!this.busy) void this._more();
  }

  async _more() {
    const { scrollTop } = this.list;
    const above = scrollTop < NEAR && this.from > 0;
    const below = !this.following && this._below() < NEAR && this.to < this.size;
    if (!above && !below) return;
    this.busy = true;
    const { signal } = this.wish;
    try {
      if (above) await this._before(signal);
      else await this._after(signal);
    } catch (error) {
      if (!signal.aborted) this.around.failed(error);
    } finally {
      if (!signal.aborted) this.busy = false;
    }
  }

  /** The part of the file that lies before what is seen, 0 to 1. */
  part() {
    if (this.following || !this.size) return 1;
    const [first, last] = this._seen();
    if (!first || !last) return 0;
    const end = 'end' in last ? last.end : last.at;
    const room = this.size - (end - first.at);
    return room <= 0 ? 1 : Math.min(1, first.at / room);
  }

  _rail() {
    const [first, last] = this._seen();
    const held = first && last ? ('end' in last ? last.end : last.at) - first.at : this.size;
    const tall = this.rail.clientHeight;
    const thumb = Math.min(tall, Math.max(28, tall * held / Math.max(1, this.size)));
    const part = this.part();
    this.thumb.style.height = `${thumb}px`;
    this.thumb.style.transform = `translateY(${part * (tall - thumb)}px)`;
    this.rail.setAttribute('aria-valuenow', String(Math.round(part * 1000)));
    const words = this.following ? `following \u00b7 ${size(this.size)}`
      : `${size(first?.at ?? 0)} of ${size(this.size)}`;
    this.rail.setAttribute('aria-valuetext', words);
    this.where.textContent = words;
  }

  _drags() {
    /** @type {number|null} */
    let grip = null;
    let last = 0;
    /** @type {ReturnType<typeof setTimeout>|undefined} */
    let later;
    /** @param {PointerEvent} event @param {boolean} over */
    const move = (event, over) => {
      if (grip === null) return;
      const box = this.rail.getBoundingClientRect();
      const room = box.height - this.thumb.offsetHeight;
      const part = Math.min(1, Math.max(0, room > 0 ? (event.clientY - box.top - grip) / room : 1));
      this.thumb.style.transform = `translateY(${part * room}px)`;
      clearTimeout(later);
      const go = () => {
        last = performance.now();
        void (part >= 0.999 ? this.end() : this.goto(Math.floor(part * this.size))).then(() => this.around.moved(this, true));
      };
      if (over || performance.now() - last > 100) go();
      else later = setTimeout(go, 100);
    };
    this.rail.addEventListener('pointerdown', (event) => {
      this.rail.setPointerCapture(event.pointerId);
      const thumb = this.thumb.getBoundingClientRect();
      const on = event.clientY >= thumb.top && event.clientY <= thumb.bottom;
      grip = on ? event.clientY - thumb.top : thumb.height / 2;
      if (!on) move(event, false);
    });
    this.rail.addEventListener('pointermove', (event) => move(event, false));
    this.rail.addEventListener('pointerup', (event) => { move(event, true); grip = null; });
    this.rail.addEventListener('pointercancel', () => { grip = null; });
  }

  /** @param {MouseEvent} event */
  _clicked(event) {
    const button = /** @type {HTMLElement} */ (event.target).closest('button');
    const row = /** @type {any} */ (button?.closest('li'));
    if (!button || !row) return;
    if (button.classList.contains('fold')) {
      const { at } = row.item;
      if (!this.open.delete(at)) this.open.add(at);
      this.following = false;
      this._render({ at, top: row.offsetTop - this.list.scrollTop });
      /** @type {HTMLElement|null|undefined} */ (this._rowOf(at)?.querySelector('.fold'))?.focus();
    } else if (button.dataset.whole) {
      void this._whole(row, Number(button.dataset.whole));
    }
  }

  /** Show all of a long line. @param {HTMLElement & {item: Line}} row @param {number} at */
  async _whole(row, at) {
    try {
      /** @type {Line} */
      const line = await ask('line', { r: this.name, at });
      const index = this.items.findIndex((item) => item === row.item);
      if (index < 0) return;
      this.items[index] = { ...line, s: row.item.s };
      this.following = false;
      this.rows.clear();
      this.redraw();
    } catch (error) {
      this.around.failed(error);
    }
  }
}

/**
 * Have `wanted` and nothing else in `list`, touching only what differs.
 * @param {HTMLElement} list @param {HTMLElement[]} wanted
 */
function place(list, wanted) {
  const keep = new Set(wanted);
  for (const child of [...list.children]) if (!keep.has(/** @type {HTMLElement} */ (child))) child.remove();
  let next = list.firstElementChild;
  for (const row of wanted) {
    if (row === next) next = next.nextElementSibling;
    else list.insertBefore(row, next);
  }
}
