// Which colour a sender has: the same in facets, timeline and lines, and after a reload.

/** How many there are: see page.css. */
const COLOURS = 10;
/** @type {Map<string, number>} */
const given = new Map();

/**
 * Name a sender's class. Who comes first has the colour that its name hashes to, who comes next another one.
 * @param {string|null} sender
 */
export function colourOf(sender) {
  if (sender === null) return 'c-none';
  let colour = given.get(sender);
  if (colour === undefined) {
    let hash = 2166136261;  // FNV-1a
    for (const character of sender) hash = Math.imul(hash ^ /** @type {number} */ (character.codePointAt(0)), 16777619);
    colour = (hash >>> 0) % COLOURS;
    const taken = new Set(given.values());
    for (let tries = 0; taken.has(colour) && tries < COLOURS; tries += 1) colour = (colour + 1) % COLOURS;
    if (given.size < 10000) given.set(sender, colour);
  }
  return `c${colour}`;
}
