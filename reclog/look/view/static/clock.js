// Times and sizes for a person: local time, as the page has it. Pure.

/** @param {number} number @param {number} [width] */
const two = (number, width = 2) => String(number).padStart(width, '0');

/** @param {number} ms */
export function time(ms) {
  const day = new Date(ms);
  return `${two(day.getHours())}:${two(day.getMinutes())}:${two(day.getSeconds())}.${two(day.getMilliseconds(), 3)}`;
}

/** @param {number} ms */
export function date(ms) {
  const day = new Date(ms);
  return `${day.getFullYear()}-${two(day.getMonth() + 1)}-${two(day.getDate())}`;
}

/** @param {number} ms the value of an input of the type datetime-local */
export function field(ms) {
  return `${date(ms)}T${time(ms).slice(0, 8)}`;
}

/** @param {number} bytes */
export function size(bytes) {
  let value = bytes;
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (value < 1024 || unit === 'GiB') return `${unit === 'B' ? value : value.toFixed(value < 10 ? 1 : 0)} ${unit}`;
    value /= 1024;
  }
  return '';
}

/** @param {number} seconds */
export function lasting(seconds) {
  for (const [unit, length] of /** @type {[string, number][]} */ ([['d', 86400], ['h', 3600], ['min', 60]])) {
    if (seconds >= 2 * length) return `${Math.round(seconds / length)} ${unit}`;
  }
  return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
}

/** @param {number} number */
export function count(number) {
  return number.toLocaleString('en').replaceAll(',', '\u2009');
}

const SECOND = 1000;
const STEPS = [
  0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200,
  86400, 172800, 604800, 1209600, 2592000, 7776000, 31536000,
];

/**
 * Return round moments in [begin, end], at most `most`, and how each is written.
 * @param {number} begin @param {number} end @param {number} most
 * @returns {{at: number, label: string}[]}
 */
export function ticks(begin, end, most) {
  const wanted = (end - begin) / SECOND / Math.max(1, most);
  const step = (STEPS.find((one) => one >= wanted) ?? wanted) * SECOND;
  const shift = new Date(begin).getTimezoneOffset() * 60 * SECOND;
  const found = [];
  for (let at = Math.ceil((begin - shift) / step) * step + shift; at <= end && found.length <= most; at += step) {
    const words = time(at);
    const label = step >= 86400 * SECOND ? date(at).slice(5)
      : words.startsWith('00:00:00.000') ? date(at).slice(5)
      : step >= 60 * SECOND ? words.slice(0, 5)
      : step >= SECOND ? words.slice(0, 8)
      : words.slice(3);
    found.push({ at, label });
  }
  return found;
}
