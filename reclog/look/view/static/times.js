// What the timeline is drawn of, and what is selected on it.

import { Gone, ask } from './ask.js';
import { field, lasting } from './clock.js';
import { Timeline, stepOf } from './timeline.js';

/** @typedef {import('./ask.js').About} About */
/** @typedef {import('./pane.js').Pane} Pane */

/** @param {string} id */
const $ = (id) => /** @type {HTMLInputElement & HTMLButtonElement & HTMLCanvasElement} */ (document.getElementById(id));

/**
 * @typedef {Object} Around
 * @property {import('./state.js').State} state
 * @property {Pane[]} panes
 * @property {(name: string) => [number, number|null][]} marksOf
 * @property {(time: number|null) => void} changed what is selected; the panes are to be at `time`
 * @property {() => void} learned
 * @property {(error: unknown) => void} failed
 */

export class Times {
  /** @param {Around} around */
  constructor(around) {
    this.around = around;
    this.state = around.state;
    /** @type {Map<string, About>} what is known of each recording */
    this.abouts = new Map();
    /** @type {Map<string, import('./ask.js').Lane>} */
    this.lanes = new Map();
    this.learning = false;
    this.sizes = '';
    this.timeline = new Timeline($('chart'), $('canvas'), $('tip'), {
      go: (ms) => { for (const pane of around.panes) void pane.gotoTime(ms / 1000); },
      select: (begin, end) => this.select(begin / 1000, end / 1000),
    });
    $('pick').addEventListener('click', () => {
      $('range').classList.add('picks');
      $('pick').setAttribute('aria-expanded', 'true');
      $('since').focus();
    });
    for (const id of ['since', 'until']) {
      $(id).addEventListener('change', () => {
        const [since, until] = [$('since'), $('until')].map(({ value }) => (value ? Date.parse(value) / 1000 : null));
        this.select(since, until);
      });
    }
  }

  /** @param {number|null} since @param {number|null} until seconds of the epoch */
  select(since, until) {
    /** @param {number|null} time */
    const round = (time) => (time === null ? null : Math.round(time * 1000) / 1000);
    [this.state.since, this.state.until] = [round(since), round(until)];
    if (!this.selects) this.state.zoom = false;
    this.around.changed(since);
    void this.learn();
  }

  get selects() {
    return this.state.since !== null || this.state.until !== null;
  }

  draw() {
    const { since, until, zoom } = this.state;
    const { timeline, selects } = this;
    $('since').value = since === null ? '' : field(since * 1000);
    $('until').value = until === null ? '' : field(until * 1000);
    $('zoom').setAttribute('aria-pressed', String(zoom));
    $('range').classList.toggle('selects', selects);
    if (selects) $('range').classList.remove('picks');
    $('range').hidden = !timeline.known && !selects;
    $('sum').textContent = since !== null && until !== null ? lasting(until - since) : '';
    timeline.selection = selects
      ? { begin: (since ?? timeline.begin / 1000) * 1000, end: (until ?? timeline.end / 1000) * 1000 } : null;
    for (const lane of timeline.lanes) {
      lane.seen = this.around.panes.find((pane) => pane.name === lane.name)?.span() ?? null;
      lane.marks = this.around.marksOf(lane.name);
    }
    timeline.draw();
  }

  zoom() {
    if (!this.selects) return;
    this.state.zoom = !this.state.zoom;
    void this.learn();
  }

  /** Ask again if there is more. */
  learnMore() {
    const sizes = this.around.panes.map((pane) => `${pane.name} ${pane.size}`).join();
    if (sizes !== this.sizes) void this.learn();
    this.sizes = sizes;
  }

  /** Ask what is known of the panes' recordings, and their lanes. */
  async learn() {
    if (this.learning || document.hidden) return;
    this.learning = true;
    try {
      const names = this.around.panes.map((pane) => pane.name);
      const told = await Promise.all(names.map((r) => /** @type {Promise<About>} */ (ask('about', { r }))));
      names.forEach((name, number) => this.abouts.set(name, told[number]));
      this._span(told);
      if (this.timeline.known) await this._count(names);
      this.timeline.lanes = names.map((name) => ({
        name, begin: 0, step: 1, buckets: [], ...this.lanes.get(name), gaps: this.abouts.get(name)?.gaps ?? [],
        marks: [], seen: null,
      }));
      this.around.learned();
      this.draw();
    } catch (error) {
      if (!(error instanceof Gone)) this.around.failed(error);
    } finally {
      this.learning = false;
    }
  }

  /** @param {About[]} abouts */
  _span(abouts) {
    let begin = Math.min(...abouts.map((one) => one.begin ?? Infinity));
    let end = Math.max(...abouts.map((one) => one.end ?? -Infinity)) + 1;
    if (this.state.zoom && this.state.since !== null) begin = this.state.since * 1000;
    if (this.state.zoom && this.state.until !== null) end = this.state.until * 1000;
    const known = Number.isFinite(begin) && end > begin;
    [this.timeline.begin, this.timeline.end] = known ? [Math.floor(begin), Math.ceil(end)] : [0, 0];
  }

  /** @param {string[]} names */
  async _count(names) {
    const { begin, end, columns } = this.timeline;
    const step = stepOf((end - begin) / columns);
    const first = Math.floor(begin / step) * step;
    const asks = { begin: first, step, count: Math.ceil((end - first) / step) };
    const found = await Promise.all(names.map((r) => ask('timeline', { r, ...asks })));
    names.forEach((name, number) => this.lanes.set(name, found[number]));
    if (found.some((lane) => !lane.done)) setTimeout(() => this.learn(), 50);
  }
}
