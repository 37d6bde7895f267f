// A worker: where an expression matches in texts. One that takes for ever is ended from outside, with this worker.

self.addEventListener('message', (event) => {
  const { source, flags, texts } = event.data;
  const expression = new RegExp(source, flags);
  /** @type {[number, number][][]} */
  const found = [];
  for (const text of texts) {
    /** @type {[number, number][]} */
    const ranges = [];
    for (const match of text.matchAll(expression)) {
      if (match[0]) ranges.push([match.index, match.index + match[0].length]);
      if (ranges.length >= 50) break;
    }
    found.push(ranges);
  }
  self.postMessage(found);
});
