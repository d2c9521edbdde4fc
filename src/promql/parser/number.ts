import { quoteGoCut } from '../../model/labels.ts';

/** A text that is no number; the message is that of Go's strconv. */
export class NumberSyntaxError extends Error {
  /** The value that Go goes on with: infinity where there is no larger number. */
  readonly value: number;

  constructor(text: string, value: number) {
    super(text);
    this.value = value;
  }
}

const INT64_MAX = (1n << 63n) - 1n;

/**
 * A number as Go's `strconv.ParseInt(text, 0, 64)` reads it (hexadecimal, octal behind a leading zero, underscores), or
 * else as `ParseFloat` does. There is no sign.
 * @throws NumberSyntaxError
 */
export function parseNumber(text: string): number {
  const integer = parseInteger(text);
  if (integer !== undefined) return integer;
  if (/^nan$/i.test(text)) return Number.NaN;
  if (/^inf$/i.test(text)) return Number.POSITIVE_INFINITY;
  const plain = text.replaceAll('_', '');
  if (!/^(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/.test(plain) || !underscoresAreRight(text)) {
    throw new NumberSyntaxError(`strconv.ParseFloat: parsing ${quoteGoCut(text)}: invalid syntax`, 0);
  }
  const value = Number(plain);
  if (!Number.isFinite(value)) {
    throw new NumberSyntaxError(`strconv.ParseFloat: parsing ${quoteGoCut(text)}: value out of range`, value);
  }
  return value;
}

function parseInteger(text: string): number | undefined {
  if (!underscoresAreRight(text)) return undefined;
  const plain = text.replaceAll('_', '');
  let value: bigint;
  if (/^0[xX][0-9a-fA-F]+$/.test(plain)) value = BigInt(plain);
  else if (/^0[0-7]+$/.test(plain)) value = BigInt(`0o${plain.slice(1)}`);
  else if (/^(0|[1-9][0-9]*)$/.test(plain)) {
    if (plain.length <= 15) return Number(plain);
    // more digits than an int64 has; a long one is not worth a BigInt
    if (plain.length > 19) return undefined;
    value = BigInt(plain);
  } else return undefined;
  return value > INT64_MAX ? undefined : Number(value);
}

/** Underscores stand between digits, or between the base's prefix and a digit. */
function underscoresAreRight(text: string): boolean {
  if (!text.includes('_')) return true;
  const hex = /^0[xX]/.test(text);
  const digits = hex ? text.slice(2) : text;
  return (
    !/(^|[^0-9a-fA-F])_|_($|[^0-9a-fA-F])/.test(hex ? `0${digits}` : digits) && (hex || !/_[eE]|[eE]_/.test(digits))
  );
}

/** As Go's `strconv.FormatFloat(value, 'f', -1, 64)`: the shortest digits, never an exponent. */
export function formatNumber(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  if (Object.is(value, -0)) return '-0';
  const text = String(value);
  const exponentAt = text.indexOf('e');
  if (exponentAt < 0) return text;
  const sign = text.startsWith('-') ? '-' : '';
  const [whole = '', fraction = ''] = text.slice(sign.length, exponentAt).split('.');
  const digits = whole + fraction;
  const point = whole.length + Number(text.slice(exponentAt + 1));
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`;
  return `${sign}${digits.padEnd(point, '0')}`;
}

/** As Go's `%f`. */
export function formatTimestampGo(value: number): string {
  if (!Number.isFinite(value)) return formatNumber(value);
  return Math.abs(value) < 1e21 ? value.toFixed(6) : `${BigInt(value)}.000000`;
}
