import { formatG } from '../../lib/go-float.ts';
import { quoteGo } from '../../model/labels.ts';

// Numbers and texts as Go reads and quotes them. Texts here are bytes: one character each, below 256.

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const SPECIAL = /^(?:([+-]?)inf(?:inity)?|nan)$/i;

/** A float in the formats of the text expositions. @returns the fault's text where it is none */
export function parseGoFloat(text: string): number | string {
  if (/[pP_]/.test(text)) return 'unsupported character in float';
  const special = SPECIAL.exec(text);
  if (special !== null) {
    if (special[1] === undefined) return Number.NaN;
    return special[1] === '-' ? -Infinity : Infinity;
  }
  if (!NUMBER.test(text)) return `strconv.ParseFloat: parsing ${quoteBytes(text)}: invalid syntax`;
  const value = Number(text);
  return Number.isFinite(value) ? value : `strconv.ParseFloat: parsing ${quoteBytes(text)}: value out of range`;
}

/** A signed 64-bit integer, not exact beyond ±2^53. @returns the fault's text where it is none */
export function parseGoInt(digits: string): number | string {
  if (BigInt(digits.slice(0, 40)) < 1n << 63n && digits.length <= 40) return Number(digits);
  return `strconv.ParseInt: parsing ${quoteBytes(digits)}: value out of range`;
}

/** As OpenMetrics writes bounds and quantiles: 1 is `1.0`. */
export function formatOpenMetrics(value: number): string {
  const text = formatG(value);
  return /^[+-]?\d+$/.test(text) ? `${text}.0` : text;
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text that the bytes are, or `undefined` where they are not UTF-8. */
export function textOfBytes(bytes: string): string | undefined {
  if (!/[\x80-\xff]/.test(bytes)) return bytes;
  try {
    return strict.decode(Uint8Array.from(bytes, (char) => char.charCodeAt(0)));
  } catch {
    return undefined;
  }
}

/** As Go's `%q` prints them: with what is not UTF-8 as `\xff`. */
export function quoteBytes(bytes: string): string {
  const whole = textOfBytes(bytes);
  if (whole !== undefined) return quoteGo(whole);
  let out = '';
  for (let at = 0; at < bytes.length; ) {
    let size = 4;
    let char: string | undefined;
    // a character is one to four bytes: the shortest that is one
    for (size = 1; size <= 4 && char === undefined; size++) char = textOfBytes(bytes.slice(at, at + size));
    if (char === undefined) out += `\\x${bytes.charCodeAt(at++).toString(16).padStart(2, '0')}`;
    else {
      out += quoteGo(char).slice(1, -1);
      at += size - 1;
    }
  }
  return `"${out}"`;
}
