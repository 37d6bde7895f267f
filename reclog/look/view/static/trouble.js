// What went wrong, for a moment; that the server is gone, for as long as it is.

import { Gone } from './ask.js';

let stays = false;
/** @type {ReturnType<typeof setTimeout>|undefined} */
let over;

/** @param {string} words @param {boolean} [lasts] until `trouble` is called again, or the server is back */
export function trouble(words, lasts = false) {
  const place = /** @type {HTMLElement} */ (document.getElementById('trouble'));
  stays = lasts;
  place.hidden = !words;
  if (place.textContent !== words) place.textContent = words;
  clearTimeout(over);
  if (words && !lasts) over = setTimeout(() => trouble(''), 8000);
}

/** @param {unknown} error */
export function failed(error) {
  if (error instanceof DOMException && error.name === 'AbortError') return;
  trouble(error instanceof Error ? error.message : String(error), error instanceof Gone);
}

/** The server has answered. */
export function back() {
  if (stays) trouble('');
}
