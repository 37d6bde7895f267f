// When how much was said by whom: a lane for each recording on one axis of time. A brush for time, by hand or keys.

import { count, date, lasting, size, ticks, time } from './clock.js';
import { colourOf } from './colours.js';

/**
 * @typedef {Object} Lane
 * @property {string} name
 * @property {number} begin milliseconds of the epoch
 * @property {number} step milliseconds of each bucket
 * @property {Record<string, number>[]} buckets
 * @property {import('./ask.js').Gap[]} gaps
 * @property {[number, number|null][]} marks
 * @property {{begin: number, end: number}|null} seen
 */

/**
 * @typedef {Object} Brush what the timeline tells; times in milliseconds
 * @property {(ms: number) => void} go
 * @property {(begin: number, end: number) => void} select
 */

const LANE = 46;
const AXIS = 18;

/**
 * Return a round length of time, so that a timeline that grows keeps its buckets for a while.
 * @param {number} least milliseconds
 */
export function stepOf(least) {
  let step = 1;
  for (const times of [2, 2.5, 2].concat(...Array(12).fill([2, 2.5, 2]))) {
    if (step >= least) break;
    step *= times;
  }
  return step;
}

export class Timeline {
  /** @param {HTMLElement} chart @param {HTMLCanvasElement} canvas @param {HTMLElement} tip @param {Brush} brush */
  constructor(chart, canvas, tip, brush) {
    this.chart = chart;
    this.canvas = canvas;
    this.tip = tip;
    this.brush = brush;
    /** @type {Lane[]} */
    this.lanes = [];
    this.begin = 0;
    this.end = 0;
    /** @type {{begin: number, end: number}|null} */
    this.selection = null;
    /** @type {number|null} where the keys are */
    this.cursor = null;
    /** @type {number|null} */
    this.held = null;
    /** @type {number|null} */
    this.hover = null;
    new ResizeObserver(() => this.draw()).observe(chart);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
    this._pointers();
    chart.addEventListener('keydown', (event) => this._key(event));
    chart.addEventListener('focus', () => { this.cursor ??= this.selection?.begin ?? this.end; this.draw(); });
    chart.addEventListener('blur', () => { this.cursor = null; this.tip.hidden = true; this.draw(); });
  }

  /** How many buckets are worth asking for. */
  get columns() {
    return Math.max(50, Math.min(1000, Math.floor(this.chart.clientWidth / 3)));
  }

  /** Whether there is any time to show. */
  get known() {
    return this.end > this.begin;
  }

  /** @param {number} x pixels from the left */
  _at(x) {
    return this.begin + (this.end - this.begin) * Math.min(1, Math.max(0, x / this.chart.clientWidth));
  }

  /** @param {number} ms */
  _x(ms) {
    return (ms - this.begin) / (this.end - this.begin) * this.chart.clientWidth;
  }

  draw() {
    const width = this.chart.clientWidth;
    const tall = Math.max(1, this.lanes.length) * LANE + AXIS;
    const scale = devicePixelRatio || 1;
    if (this.chart.style.height !== `${tall}px`) this.chart.style.height = `${tall}px`;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(tall * scale);
    const pen = this.canvas.getContext('2d');
    if (!pen || !width) return;
    pen.scale(scale, scale);
    const style = getComputedStyle(this.chart);
    /** @param {string} name */
    const ink = (name) => style.getPropertyValue(name).trim();
    pen.font = `11px ${style.fontFamily}`;
    pen.textBaseline = 'middle';
    if (!this.known) {
      pen.fillStyle = ink('--faint');
      pen.fillText('Nothing tells when these lines came.', 12, tall / 2);
      this._words();
      return;
    }
    for (const { at, label } of ticks(this.begin, this.end, Math.floor(width / 90))) {
      const x = Math.round(this._x(at)) + 0.5;
      pen.strokeStyle = ink('--line');
      pen.beginPath();
      pen.moveTo(x, 0);
      pen.lineTo(x, tall - AXIS);
      pen.stroke();
      pen.fillStyle = ink('--faint');
      if (x + pen.measureText(label).width < width) pen.fillText(label, x + 3, tall - AXIS / 2);
    }
    this.lanes.forEach((lane, number) => this._lane(pen, lane, number * LANE, width, ink));
    this._selected(pen, width, tall - AXIS, ink);
    for (const ms of [this.hover, this.cursor]) {
      if (ms === null) continue;
      pen.fillStyle = ink('--accent');
      pen.fillRect(Math.round(this._x(ms)), 0, 1, tall - AXIS);
    }
    this._words();
  }

  /**
   * @param {CanvasRenderingContext2D} pen @param {Lane} lane @param {number} top @param {number} width
   * @param {(name: string) => string} ink
   */
  _lane(pen, lane, top, width, ink) {
    const bottom = top + LANE - 6, high = LANE - 12;
    for (const gap of lane.gaps) {
      if (gap.t === null) continue;
      const x = this._x(gap.t), until = this._x(gap.t + (gap.sec ?? 0) * 1000);
      if (until < 0 || x > width) continue;
      pen.fillStyle = ink('--gap-fill');
      pen.fillRect(x, top + 3, Math.max(2, until - x), LANE - 8);
      pen.fillStyle = ink('--gap');
      pen.fillRect(x, bottom - 1, Math.max(2, until - x), 2);
    }
    const most = Math.max(1, ...lane.buckets.map((bucket) => Object.values(bucket).reduce((a, b) => a + b, 0)));
    const step = this._x(lane.begin + lane.step) - this._x(lane.begin), start = this._x(lane.begin);
    const inks = /** @type {Record<string, string>} */ ({});
    lane.buckets.forEach((bucket, index) => {
      let y = bottom;
      for (const [sender, bytes] of Object.entries(bucket)) {
        if (!bytes) continue;
        const name = colourOf(sender || null);
        pen.fillStyle = inks[name] ??= ink(`--${name}`);
        const tall = Math.max(1.2, bytes / most * high);
        pen.fillRect(start + index * step, y - tall, Math.max(1, step - (step > 4 ? 1 : 0)), tall);
        y -= tall;
        if (y < top + 2) break;
      }
    });
    pen.fillStyle = ink('--line');
    pen.fillRect(0, bottom, width, 1);
    pen.fillStyle = ink('--found-line');
    for (const [, t] of lane.marks) if (t !== null) pen.fillRect(Math.round(this._x(t)) - 0.5, bottom + 1, 2, 5);
    if (lane.seen) {
      const x = this._x(lane.seen.begin), until = this._x(lane.seen.end);
      pen.strokeStyle = ink('--accent');
      pen.lineWidth = 1.5;
      pen.strokeRect(Math.min(width - 4, Math.max(1, x - 1)), top + 2, Math.max(3, until - x + 2), LANE - 6);
      pen.lineWidth = 1;
    }
    if (this.lanes.length > 1) {
      pen.fillStyle = ink('--ground');
      pen.fillRect(4, top + 2, pen.measureText(lane.name).width + 8, 14);
      pen.fillStyle = ink('--faint');
      pen.fillText(lane.name, 8, top + 9);
    }
  }

  /** @param {CanvasRenderingContext2D} pen @param {number} width @param {number} tall @param {(name: string) => string} ink */
  _selected(pen, width, tall, ink) {
    if (!this.selection) return;
    const x = Math.max(0, this._x(this.selection.begin)), until = Math.min(width, this._x(this.selection.end));
    pen.fillStyle = ink('--veil');
    pen.fillRect(0, 0, x, tall);
    pen.fillRect(until, 0, width - until, tall);
    pen.fillStyle = ink('--accent');
    pen.fillRect(x - 1, 0, 2, tall);
    pen.fillRect(until - 1, 0, 2, tall);
  }

  /** Say for who does not see it where the keys are. */
  _words() {
    const ms = this.cursor ?? this.lanes[0]?.seen?.begin ?? this.end;
    const part = this.known ? Math.round((ms - this.begin) / (this.end - this.begin) * 1000) : 0;
    this.chart.setAttribute('aria-valuenow', String(Math.min(1000, Math.max(0, part))));
    this.chart.setAttribute('aria-valuetext', this.known ? `${date(ms)} ${time(ms)}` : 'unknown');
  }

  /** @param {number} ms */
  _tell(ms) {
    if (!this.known) return;
    const words = [`${date(ms)} ${time(ms).slice(0, 8)}`];
    for (const lane of this.lanes) {
      const index = Math.floor((ms - lane.begin) / lane.step);
      const said = Object.entries(lane.buckets[index] ?? {}).filter(([, bytes]) => bytes).sort((a, b) => b[1] - a[1]);
      const who = said.slice(0, 4).map(([sender, bytes]) => `${sender || 'unknown'} ${size(bytes)}`);
      if (said.length > 4) who.push(`${count(said.length - 4)} more`);
      const gap = lane.gaps.find((one) => one.t !== null && ms >= one.t - 1 && ms <= one.t + (one.sec ?? 0) * 1000 + 1);
      if (gap) who.push(gap.sec === null ? gap.gap : `${lasting(gap.sec)}: ${gap.gap}`);
      words.push(`${this.lanes.length > 1 ? `${lane.name}: ` : ''}${who.join(', ') || 'nothing'}`);
    }
    this.tip.textContent = words.join('\n');
    this.tip.hidden = false;
    const x = this._x(ms), width = this.tip.offsetWidth;
    this.tip.style.left = `${Math.max(4, Math.min(this.chart.clientWidth - width - 4, x + 12))}px`;
  }

  _pointers() {
    const { chart } = this;
    /** @param {PointerEvent} event */
    const at = (event) => this._at(event.clientX - chart.getBoundingClientRect().left);
    let began = 0, pressed = false;
    chart.addEventListener('pointerdown', (event) => {
      if (!this.known || event.button) return;
      chart.setPointerCapture(event.pointerId);
      pressed = true;
      began = event.clientX;
      this.held = at(event);
    });
    chart.addEventListener('pointermove', (event) => {
      this.hover = at(event);
      if (pressed && this.held !== null && Math.abs(event.clientX - began) > 4) {
        this.selection = { begin: Math.min(this.held, this.hover), end: Math.max(this.held, this.hover) };
      }
      this._tell(this.hover);
      this.draw();
    });
    chart.addEventListener('pointerup', (event) => {
      if (!pressed || this.held === null) return;
      pressed = false;
      const now = at(event);
      if (Math.abs(event.clientX - began) > 4) this.brush.select(Math.min(this.held, now), Math.max(this.held, now));
      else this.brush.go(now);
      this.held = null;
    });
    chart.addEventListener('pointercancel', () => { pressed = false; this.held = null; });
    chart.addEventListener('pointerleave', () => { this.hover = null; this.tip.hidden = true; this.draw(); });
  }

  /** @param {KeyboardEvent} event */
  _key(event) {
    if (!this.known || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = (this.end - this.begin) / 100;
    const now = this.cursor ?? this.end;
    const moves = /** @type {Record<string, number>} */ ({
      ArrowLeft: now - step, ArrowRight: now + step, PageUp: now - 10 * step, PageDown: now + 10 * step,
      Home: this.begin, End: this.end,
    });
    if (event.key in moves) {
      const to = Math.min(this.end, Math.max(this.begin, moves[event.key]));
      if (event.shiftKey) {
        this.held ??= now;
        this.selection = { begin: Math.min(this.held, to), end: Math.max(this.held, to) };
      } else {
        this.held = null;
      }
      this.cursor = to;
      this._tell(to);
      this.draw();
    } else if (event.key === 'Enter') {
      if (this.held !== null && this.selection) this.brush.select(this.selection.begin, this.selection.end);
      else this.brush.go(now);
      this.held = null;
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }
}
