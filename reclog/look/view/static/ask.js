// What the server is asked, and what it answers.

/**
 * A line: text is a list of strings, or of a string and its classes.
 * @typedef {Object} Line
 * @property {number} at offset of its first byte
 * @property {number} end offset behind it
 * @property {number|null} t when it came, milliseconds of the epoch
 * @property {string|null} s its sender
 * @property {(string|[string, string])[]} p
 * @property {number} [more] bytes that are left out
 */

/**
 * @typedef {Object} Gap
 * @property {string} gap what is the matter
 * @property {number} at
 * @property {number|null} t
 * @property {number|null} sec how long
 */

/**
 * @typedef {Object} Stretch
 * @property {(Line|Gap)[]} items
 * @property {number} from
 * @property {number} to everything in [from, to) has been looked at
 * @property {number} first where the oldest byte is that is there
 * @property {number} size where the next byte will be
 * @property {boolean} done whether that is to its end
 */

/**
 * @typedef {Object} Known
 * @property {string} name
 * @property {string} state
 * @property {boolean} live
 * @property {string} file
 * @property {string} host
 * @property {number} size
 */

/**
 * @typedef {Object} About
 * @property {number} size
 * @property {[string, number][]} senders and their bytes
 * @property {number} others how many more senders there are
 * @property {Gap[]} gaps
 * @property {number|null} begin when the first line came, milliseconds of the epoch
 * @property {number|null} end
 */

/**
 * @typedef {Object} Lane
 * @property {number} begin milliseconds of the epoch
 * @property {number} step milliseconds of each bucket
 * @property {Record<string, number>[]} buckets bytes of each sender
 * @property {boolean} done
 */

/**
 * @typedef {Object} Found
 * @property {[number, number|null][]} marks offset and time of matches, a sample where there are many
 * @property {number} count
 * @property {number} to how far the file has been searched
 * @property {boolean} done
 */

/** The server's own sentence on why it has no answer. */
export class Refusal extends Error {}

/** The server is not there any more. */
export class Gone extends Error {}

/**
 * @param {string} path
 * @param {Record<string, string|number>|URLSearchParams} [words]
 * @param {URLSearchParams} [more]
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function ask(path, words = {}, more = new URLSearchParams(), signal = undefined) {
  const query = new URLSearchParams(/** @type {any} */ (words));
  for (const [name, value] of more) query.append(name, value);
  /** @type {Response} */
  let answer;
  try {
    answer = await fetch(`/api/${path}?${query}`, { signal, cache: 'no-store', credentials: 'same-origin' });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Gone('The server has ended: `inv view` starts it again.');
  }
  if (answer.ok) return answer.json();
  let sentence = `The server answers ${answer.status}.`;
  if (answer.headers.get('content-type')?.startsWith('application/json')) sentence = (await answer.json()).error;
  else if (answer.status === 403) sentence = 'The server was started anew: open the address that it printed.';
  throw new Refusal(sentence);
}
