// Marks what an expression matches in the lines that are seen, without touching the elements (CSS highlights).

const PATIENCE = 300;  // milliseconds

/** @type {Worker|null} */
let worker = null;
let hopeless = '';
/** @type {ReturnType<typeof setTimeout>|undefined} */
let timer;
/** @type {string} */
let asked = '';

/** The only address that becomes a script here. */
const policy = /** @type {any} */ (globalThis).trustedTypes?.createPolicy('reclog', {
  /** @param {string} address */
  createScriptURL: (address) => {
    if (address !== '/static/finder.js') throw new TypeError('no script of ours');
    return address;
  },
});

/**
 * Python and ripgrep write flags for all of an expression in front of it.
 * @param {string} words
 * @returns {{source: string, flags: string}|null} null if it is no expression
 */
export function expressionOf(words) {
  const inline = /^\(\?([a-z]+)\)/.exec(words);
  const source = inline ? words.slice(inline[0].length) : words;
  const flags = `g${inline?.[1].includes('i') ? 'i' : ''}${inline?.[1].includes('s') ? 's' : ''}`;
  try {
    new RegExp(source, flags);
    return { source, flags };
  } catch {
    return null;
  }
}

/** @param {string} words an expression @param {HTMLElement[]} rows those that are seen */
export function mark(words, rows) {
  const highlights = /** @type {any} */ (CSS).highlights;
  if (!highlights) return;
  const expression = words && words !== hopeless ? expressionOf(words) : null;
  if (!expression) {
    highlights.delete('found');
    asked = '';
    return;
  }
  const elements = rows.map((row) => row.querySelector('.text')).filter((one) => one !== null);
  const texts = elements.map((one) => (one.textContent ?? '').slice(0, 4096));
  const key = JSON.stringify([words, texts]);
  if (key === asked && highlights.has('found')) return;
  asked = key;
  worker ??= new Worker(policy ? policy.createScriptURL('/static/finder.js') : '/static/finder.js');
  clearTimeout(timer);
  timer = setTimeout(() => {
    hopeless = words;
    stop();
  }, PATIENCE + 300);
  worker.onmessage = ({ data }) => {
    clearTimeout(timer);
    if (key !== asked) return;
    /** @type {Range[]} */
    const ranges = [];
    for (const [number, found] of data.entries()) {
      for (const [begin, end] of found) {
        const range = rangeIn(elements[number], begin, end);
        if (range) ranges.push(range);
      }
    }
    highlights.set('found', new /** @type {any} */ (globalThis).Highlight(...ranges));
  };
  worker.onerror = stop;
  worker.postMessage({ ...expression, texts });
}

function stop() {
  worker?.terminate();
  worker = null;
  asked = '';
}

/** @param {Element} element @param {number} begin @param {number} end */
function rangeIn(element, begin, end) {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const range = new Range();
  let at = 0, started = false;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const length = node.nodeValue?.length ?? 0;
    if (!started && begin < at + length) {
      range.setStart(node, begin - at);
      started = true;
    }
    if (started && end <= at + length) {
      range.setEnd(node, end - at);
      return range;
    }
    at += length;
  }
  return null;
}
