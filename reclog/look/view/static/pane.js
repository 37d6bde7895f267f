// One recording's lines: a stretch of them in the page, whatever the file's size, known by byte offsets.
//
// Rules kept here:
// - At most LIMIT items are held; what is scrolled away from is let go and asked for again.
// - What is asked for and not wanted any more is dropped: the last wish counts.

import { ask } from './ask.js';
import { size } from './clock.js';
import { Rail } from './rail.js';
import { Rows, element } from './rows.js';

/** @typedef {import('./ask.js').Line} Line */
/** @typedef {import('./ask.js').Gap} Gap */
/** @typedef {import('./ask.js').Stretch} Stretch */

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
    this.first = this.size = 0;
    this.done = true;
    this.following = false;
    /** @type {number|null} offset of the line that was gone to */
    this.here = null;
    /** @type {Set<number>} */
    this.open = new Set();
    this.wish = new AbortController();
    this.busy = false;
    this.hand = -1e9;
    this.rows = new Rows(`Lines of ${name}`);
    this.list = this.rows.element;
    this.rail = new Rail(name, (part) => {
      void (part > 0.999 ? this.end() : this.goto(Math.floor(this.first + part * (this.size - this.first)))).then(() => around.moved(this, true));
    });
    this.element = element('section', 'pane');
    this.element.setAttribute('aria-label', name);
    this.badge = element('span', 'badge');
    this.where = element('span', 'where');
    const close = element('button', 'quiet close', '\u00d7');
    close.setAttribute('aria-label', `Close ${name}`);
    close.addEventListener('click', () => around.close(this));
    const head = element('header', 'pane-head');
    head.append(element('h2', '', name), this.badge, this.where, close);
    this.note = element('p', 'note');
    this.note.setAttribute('role', 'status');
    const body = element('div', 'pane-body');
    body.append(this.list, this.note, this.rail.element);
    this.element.append(head, body);
    this.list.addEventListener('scroll', () => this._scrolled(), { passive: true });
    for (const kind of ['wheel', 'touchmove', 'pointerdown', 'keydown']) {
      this.list.addEventListener(kind, () => { this.hand = performance.now(); }, { passive: true });
    }
    this.list.addEventListener('click', (event) => this._clicked(event));
    new ResizeObserver(() => {
      if (this.following) this.list.scrollTop = this.list.scrollHeight;
      this._place();
    }).observe(this.list);
  }

  /** Show the last lines, and follow from there. */
  async end() {
    this.following = true;
    this.here = null;
    await this._anew(async (signal) => this._take(await this._ask({ count: STEP }, signal), signal));
  }

  /** @param {number} at an offset @param {boolean} [mark] whether the line there is marked */
  async goto(at, mark = false) {
    this.following = false;
    this.here = mark ? at : null;
    const top = mark ? this.list.clientHeight / 3 : 0;
    if (at >= this.from && this.items.some((item) => item.at === at)) {
      this._draw({ at, top });
      this._settle();
      return;
    }
    await this._anew(async (signal) => {
      const [above, below] = await Promise.all([
        at > 0 ? this._ask({ end: at, count: ABOVE }, signal) : null,
        this._ask({ begin: at, count: STEP }, signal),
      ]);
      const first = below.items[0] ?? above?.items.at(-1);
      const items = [...above?.items ?? [], ...below.items];
      this._take({ ...below, items, from: above?.from ?? 0 }, signal, first ? { at: first.at, top } : null);
    });
  }

  /** @param {number} seconds of the epoch */
  async gotoTime(seconds) {
    try {
      await this.goto((await ask('at', { r: this.name, time: seconds })).at);
    } catch (error) {
      this.around.failed(error);
    }
  }

  /** Ask again for what is shown: the question is another one. */
  async again() {
    const top = this.top();
    this.items = [];
    if (this.following || !top) await this.end();
    else await this.goto(top.at);
  }

  /** Take what came since `to`. @param {Stretch & {skipped: boolean, anew: boolean}} news */
  heard(news) {
    if (!this.following || (news.from !== this.to && !news.skipped && !news.anew)) return;
    if (news.skipped || news.anew) {
      this.items = [];
      this.from = news.from;
      this.open.clear();
    }
    // What was there already is told again once it is whole, or more is known of it.
    while (this.items.length && this.items[this.items.length - 1].at >= news.from) this.items.pop();
    this.items.push(...news.items);
    Object.assign(this, { to: news.to, first: news.first, size: news.size });
    this._trim(true);
    if (this.items.length) this.say('');
    this._draw(null);
  }

  /** Return the first item that is seen. */
  top() {
    return this.rows.seen()?.[0];
  }

  /** Return the times between which lines are seen, in milliseconds; null if none is known. */
  span() {
    const [first, last] = this.rows.seen() ?? [];
    return first?.t && last?.t ? { begin: first.t, end: last.t } : null;
  }

  /** Do what is wished for now; what was before is not any more. @param {(signal: AbortSignal) => Promise<void>} work */
  async _anew(work) {
    this.wish.abort();
    const { signal } = this.wish = new AbortController();
    this.busy = true;
    this.say(this.items.length ? '' : 'Reading \u2026');
    try {
      await work(signal);
      while (!signal.aborted && this.from > 0 && this.list.scrollHeight < this.list.clientHeight + NEAR) {
        await this._more(true, signal);
      }
      while (!signal.aborted && !this.following && !this.done && this._below() < NEAR) await this._more(false, signal);
    } catch (error) {
      if (!signal.aborted) this.around.failed(error);
    }
    if (signal.aborted) return;
    this.busy = false;
    this._settle();
  }

  /** Ask for what is above what is held, or below. @param {boolean} above @param {AbortSignal} signal */
  async _more(above, signal) {
    const found = await this._ask(above ? { end: this.from, count: STEP } : { begin: this.to, count: STEP }, signal);
    if (signal.aborted) return;
    const anchor = this.rows.anchor();
    if (above) {
      this.items.unshift(...found.items);
      this.from = found.from;
    } else {
      while (this.items.length && this.items[this.items.length - 1].at >= found.from) this.items.pop();
      this.items.push(...found.items);
      this.to = found.to;
      this.done = found.done;
    }
    Object.assign(this, { first: found.first, size: found.size });
    if (!above || !this.following) this._trim(!above);
    this._draw(anchor);
    if (!this.items.length) {
      const part = ((above ? this.from : this.to) - this.first) / Math.max(1, this.size - this.first);
      this.say(`Looking for lines \u2026 ${Math.round(100 * Math.max(0, above ? 1 - part : part))} %`);
    }
  }

  _below() {
    return this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight;
  }

  /** @param {Record<string, string|number>} words @param {AbortSignal} signal @returns {Promise<Stretch>} */
  _ask(words, signal) {
    return ask('lines', { r: this.name, ...words }, this.around.question(), signal);
  }

  /** @param {Stretch} found @param {AbortSignal} signal @param {{at: number, top: number}|null} [anchor] */
  _take({ items, from, to, first, size: bytes, done }, signal, anchor = null) {
    if (signal.aborted) return;
    Object.assign(this, { items, from, to, first, size: bytes, done });
    this.open.clear();
    this._draw(anchor);
  }

  /** @param {boolean} front whether what is let go is at the front */
  _trim(front) {
    const over = this.items.length - LIMIT;
    if (over <= 0) return;
    if (front) {
      this.items.splice(0, over);
      this.from = this.items[0].at;
    } else {
      this.to = this.items.splice(LIMIT, over)[0].at;
      this.done = false;
    }
  }

  /** Show what is held. @param {{at: number, top: number}|null} anchor see Rows.anchor */
  _draw(anchor) {
    this.rows.draw(this.items, { ...this.around.view(), open: this.open, here: this.here });
    const row = !this.following && anchor && this.rows.rowAt(anchor.at);
    if (this.following) this.list.scrollTop = this.list.scrollHeight;
    else if (anchor && row) this.list.scrollTop = row.offsetTop - anchor.top;
    this._place();
    this.around.drawn(this);
  }

  /** Show anew what is held: wrapped, folded otherwise. */
  redraw() {
    this._draw(this.rows.anchor());
  }

  _settle() {
    this.say(this.items.length ? '' : this.size ? 'No line is what you ask for.' : 'Nothing has been said yet.');
    this._place();
    this.around.moved(this, false);
  }

  /** @param {string} words */
  say(words) {
    if (this.note.textContent !== words) this.note.textContent = words;
  }

  _scrolled() {
    const byHand = performance.now() - this.hand < 1500;
    if (byHand && !this.busy) this.following = this._below() <= 40 && this.to >= this.size;
    this._place();
    if (byHand) this.around.moved(this, true);
    const above = this.list.scrollTop < NEAR && this.from > 0;
    if (this.busy || (!above && (this.following || this.done || this._below() >= NEAR))) return;
    this.busy = true;
    const { signal } = this.wish;
    void this._more(above, signal).catch((error) => { if (!signal.aborted) this.around.failed(error); })
      .then(() => { if (!signal.aborted) this.busy = false; });
  }

  /** Show where in the file this is. */
  _place() {
    const [first, last] = this.rows.seen() ?? [];
    const all = this.size - this.first, at = Math.max(0, (first?.at ?? 0) - this.first);
    const held = first && last ? ('end' in last ? last.end : last.at) - first.at : all;
    const room = all - held;
    const words = this.following ? `following \u00b7 ${size(all)}` : `${size(at)} of ${size(all)}`;
    this.rail.show(this.following || room <= 0 ? 1 : Math.min(1, at / room), held / Math.max(1, all), words);
    this.where.textContent = words;
  }

  /** @param {MouseEvent} event */
  _clicked(event) {
    const button = /** @type {HTMLElement} */ (event.target).closest('button');
    const row = /** @type {import('./rows.js').Row|null|undefined} */ (button?.closest('li'));
    if (!button || !row) return;
    this.following = false;
    const { at } = row.item;
    if (button.dataset.whole) {
      void ask('line', { r: this.name, at }).then((line) => {
        this.items = this.items.map((item) => (item === row.item ? line : item));
        this.redraw();
      }).catch(this.around.failed);
      return;
    }
    if (!this.open.delete(at)) this.open.add(at);
    this._draw({ at, top: row.offsetTop - this.list.scrollTop });
    const first = this.rows.rowAt(at);
    let last = /** @type {Element|null|undefined} */ (first);
    while (last?.nextElementSibling?.classList.contains('inside')) last = last.nextElementSibling;
    last?.scrollIntoView({ block: 'nearest' });
    /** @type {HTMLElement|null|undefined} */ (first?.querySelector('.fold'))?.focus({ preventScroll: true });
  }
}
