// A scrollbar that stands for a whole file, whatever part of it is in the page.

import { element } from './rows.js';

/** Milliseconds between two places that are gone to while it is dragged. */
const EVERY = 100;

export class Rail {
  /** @param {string} name @param {(part: number) => void} go told the part of the file, 0 to 1, that is wanted */
  constructor(name, go) {
    this.go = go;
    this.element = element('div', 'rail');
    this.element.tabIndex = 0;
    for (const [key, value] of Object.entries({
      'role': 'scrollbar', 'aria-orientation': 'vertical', 'aria-valuemin': '0', 'aria-valuemax': '1000',
      'aria-label': `Place in ${name}`,
    })) this.element.setAttribute(key, value);
    this.thumb = element('div', 'thumb');
    this.element.append(this.thumb);
    this.part = 1;
    this._pointers();
    this.element.addEventListener('keydown', (event) => {
      const way = /** @type {Record<string, number>} */ ({ ArrowUp: -1, ArrowDown: 1, PageUp: -10, PageDown: 10 })[event.key];
      if (!way) return;
      event.preventDefault();
      go(Math.min(1, Math.max(0, this.part + way / 100)));
    });
  }

  /** @param {number} part before what is seen @param {number} held how much of the file that is @param {string} words */
  show(part, held, words) {
    this.part = part;
    const tall = this.element.clientHeight;
    const thumb = Math.min(tall, Math.max(28, tall * held));
    this.thumb.style.height = `${thumb}px`;
    this.thumb.style.transform = `translateY(${part * (tall - thumb)}px)`;
    this.element.setAttribute('aria-valuenow', String(Math.round(part * 1000)));
    this.element.setAttribute('aria-valuetext', words);
  }

  _pointers() {
    /** @type {number|null} where in the thumb it is held */
    let grip = null;
    let last = 0;
    /** @type {ReturnType<typeof setTimeout>|undefined} */
    let later;
    /** @param {PointerEvent} event @param {boolean} over */
    const move = (event, over) => {
      if (grip === null) return;
      const box = this.element.getBoundingClientRect();
      const room = box.height - this.thumb.offsetHeight;
      const part = room > 0 ? Math.min(1, Math.max(0, (event.clientY - box.top - grip) / room)) : 1;
      this.thumb.style.transform = `translateY(${part * room}px)`;
      clearTimeout(later);
      const go = () => {
        last = performance.now();
        this.go(part);
      };
      if (over || performance.now() - last > EVERY) go();
      else later = setTimeout(go, EVERY);
    };
    this.element.addEventListener('pointerdown', (event) => {
      this.element.setPointerCapture(event.pointerId);
      const thumb = this.thumb.getBoundingClientRect();
      const on = event.clientY >= thumb.top && event.clientY <= thumb.bottom;
      grip = on ? event.clientY - thumb.top : thumb.height / 2;
      if (!on) move(event, false);
    });
    this.element.addEventListener('pointermove', (event) => move(event, false));
    this.element.addEventListener('pointerup', (event) => { move(event, true); grip = null; });
    this.element.addEventListener('pointercancel', () => { grip = null; });
  }
}
