// What is looked at, as the address bar has it: whoever opens the address sees the same place. Pure.

/**
 * @typedef {Object} Place
 * @property {string} name of a recording
 * @property {number|null} at the offset of the first line that is shown; null: the end is followed
 */

/**
 * @typedef {Object} State
 * @property {Place[]} panes
 * @property {string} find an expression whose matches are marked
 * @property {boolean} only whether lines without a match are left out
 * @property {string[]} senders whose lines are shown; none: everybody's
 * @property {number|null} since seconds of the epoch
 * @property {number|null} until seconds of the epoch
 * @property {boolean} zoom whether the timeline shows what lies between the two alone
 * @property {boolean} wrap
 * @property {boolean} fold whether repeats and tracebacks are folded
 */

export const MOST_PANES = 6;

/** @returns {State} */
export function empty() {
  return {
    panes: [], find: '', only: false, senders: [], since: null, until: null, zoom: false, wrap: false, fold: true,
  };
}

/**
 * @param {string} search the query of an address
 * @returns {State}
 */
export function parse(search) {
  const query = new URLSearchParams(search);
  const state = empty();
  for (const word of query.getAll('r').slice(0, MOST_PANES)) {
    const found = /^(.*?)(?:@(\d{1,15}))?$/s.exec(word);
    if (found && found[1]) state.panes.push({ name: found[1], at: found[2] === undefined ? null : Number(found[2]) });
  }
  state.find = (query.get('q') ?? '').slice(0, 1000);
  state.only = query.get('only') === '1';
  state.senders = query.getAll('s').slice(0, 100);
  state.since = moment(query.get('since'));
  state.until = moment(query.get('until'));
  state.zoom = query.get('zoom') === '1';
  state.wrap = query.get('wrap') === '1';
  state.fold = query.get('fold') !== '0';
  return state;
}

/**
 * @param {State} state
 * @returns {string} the query of an address, with its question mark
 */
export function format(state) {
  const query = new URLSearchParams();
  for (const { name, at } of state.panes) query.append('r', at === null ? name : `${name}@${at}`);
  if (state.find) query.set('q', state.find);
  if (state.only) query.set('only', '1');
  for (const sender of state.senders) query.append('s', sender);
  if (state.since !== null) query.set('since', String(state.since));
  if (state.until !== null) query.set('until', String(state.until));
  if (state.zoom) query.set('zoom', '1');
  if (state.wrap) query.set('wrap', '1');
  if (!state.fold) query.set('fold', '0');
  const words = query.toString().replaceAll('%40', '@');
  return words ? `?${words}` : '';
}

/**
 * @param {State} state
 * @returns {URLSearchParams} the part of it that chooses lines, as the server wants it
 */
export function question(state) {
  const query = new URLSearchParams();
  if (state.find && state.only) query.set('grep', state.find);
  for (const sender of state.senders) query.append('sender', sender);
  if (state.since !== null) query.set('since', String(state.since));
  if (state.until !== null) query.set('until', String(state.until));
  return query;
}

/** @param {string|null} word */
function moment(word) {
  const value = word ? Number(word) : NaN;
  return Number.isFinite(value) && value >= 0 ? value : null;
}
