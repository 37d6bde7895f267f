// What keys do, wherever the focus is but in a field.

/** @typedef {Record<string, (...words: any[]) => void>} Acts */

/** @param {Acts} acts */
export function onKeys(acts) {
  /** @type {Record<string, () => void>} */
  const keys = {
    '/': () => acts.find(), n: () => acts.next(), N: () => acts.previous(), m: () => acts.only(),
    w: () => acts.wrap(), f: () => acts.fold(), d: () => acts.download(), t: () => acts.timeline(),
    g: () => acts.gap(1), G: () => acts.gap(-1), z: () => acts.zoom(), s: () => acts.side(),
    Home: () => acts.first(), End: () => acts.follow(), '[': () => acts.pane(-1), ']': () => acts.pane(1),
    '?': () => acts.help(), Escape: () => acts.clear(),
  };
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.closest('dialog')) return;
    if (target.closest('input')) {
      if (event.key !== 'Escape') return;
      event.preventDefault();  // a search field would be emptied
      target.blur();
      return;
    }
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
