// Which lines of a stretch are folded away: repeats, and what is indented below a line. Pure; a view alone.

/** @typedef {import('./ask.js').Line} Line */
/** @typedef {import('./ask.js').Gap} Gap */

/**
 * What stands at the place of several items: the first is shown, the others below it on demand.
 * @typedef {Object} Group
 * @property {(Line|Gap)[]} items
 * @property {''|'repeats'|'indented'} kind
 */

/** Indented lines that are worth folding; fewer are read as quickly as unfolded. */
const ENOUGH = 3;
/** What begins a line and differs each time: a time, or ticks as ESP-IDF and the kernel write them. */
const STAMP = /^(?:[A-Z] )?[[(]?(?:\d{4}-\d\d-\d\d[T ])?(?:\d\d:\d\d:\d\d(?:[.,]\d+)?|\d+(?:\.\d+)?)(?:Z|[+-]\d\d:?\d\d)?[\])]?:?\s/;

/** @param {Line|Gap} item */
export function text(item) {
  if ('gap' in item) return item.gap;
  return item.p.map((piece) => (typeof piece === 'string' ? piece : piece[0])).join('');
}

/**
 * @param {(Line|Gap)[]} items
 * @returns {Group[]}
 */
export function grouped(items) {
  /** @type {Group[]} */
  const groups = [];
  for (let at = 0; at < items.length;) {
    const first = items[at];
    let end = at + 1;
    let kind = /** @type {Group['kind']} */ ('');
    if (!('gap' in first)) {
      const words = text(first);
      const said = words.replace(STAMP, '');
      while (end < items.length && isOf(first, items[end]) && text(items[end]).replace(STAMP, '') === said) end += 1;
      if (end - at > 1) {
        kind = 'repeats';
      } else if (!indented(words)) {
        while (end < items.length && isOf(first, items[end]) && indented(text(items[end]))) end += 1;
        if (end - at - 1 >= ENOUGH) kind = 'indented';
        else end = at + 1;
      }
    }
    groups.push({ items: items.slice(at, end), kind });
    at = end;
  }
  return groups;
}

/** @param {Line} first @param {Line|Gap} item */
function isOf(first, item) {
  return !('gap' in item) && item.s === first.s;
}

/** @param {string} words */
function indented(words) {
  return /^(?:\t| {2,})\S/.test(words);
}
