/** Floating-point numbers as text, by the rules of Go's `strconv`: exact digits, ties to even. */

export type FloatVerb = 'e' | 'E' | 'f' | 'g' | 'G' | 'b' | 'x' | 'X';

/** 0.DIGITS × 10^point, without a sign. No digits stand for zero. */
interface Decimal {
  readonly digits: string;
  readonly point: number;
}

const scratch = new DataView(new ArrayBuffer(8));

/** @param precision digits as the verb counts them; -1 for the fewest that read back as the same number. */
export function formatFloat(value: number, verb: FloatVerb, precision: number): string {
  if (Number.isNaN(value)) return 'NaN';
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  if (!Number.isFinite(value)) return sign === '' ? '+Inf' : '-Inf';
  const size = Math.abs(value);
  if (verb === 'b') return sign + binaryText(size);
  if (verb === 'x' || verb === 'X') {
    const text = sign + hexText(size, precision);
    return verb === 'X' ? text.toUpperCase() : text;
  }
  return sign + decimalText(size, verb, precision);
}

function decimalText(size: number, verb: 'e' | 'E' | 'f' | 'g' | 'G', precision: number): string {
  const isShortest = precision < 0;
  const all = isShortest ? shortestDigits(size) : exactDigits(size);
  const count = all.digits.length;
  switch (verb) {
    case 'e':
    case 'E': {
      const kept = isShortest ? Math.max(count - 1, 0) : precision;
      return exponentText(isShortest ? all : round(all, kept + 1), kept, verb);
    }
    case 'f': {
      const kept = isShortest ? Math.max(count - all.point, 0) : precision;
      return plainText(isShortest ? all : round(all, all.point + kept), kept);
    }
    case 'g':
    case 'G': {
      const kept = isShortest ? count : precision === 0 ? 1 : precision;
      const decimal = isShortest ? all : round(all, kept);
      const digits = decimal.digits.length;
      let exponentEnd = kept;
      if (exponentEnd > digits && digits >= decimal.point) exponentEnd = digits;
      if (isShortest) exponentEnd = 6;
      const exponent = decimal.point - 1;
      if (exponent < -4 || exponent >= exponentEnd) {
        return exponentText(decimal, Math.max(Math.min(kept, digits) - 1, 0), verb === 'g' ? 'e' : 'E');
      }
      return plainText(decimal, Math.max(digits - decimal.point, 0));
    }
  }
}

function exponentText({ digits, point }: Decimal, precision: number, letter: 'e' | 'E'): string {
  const exponent = digits === '' ? 0 : point - 1;
  const fraction = precision > 0 ? `.${digits.slice(1, precision + 1).padEnd(precision, '0')}` : '';
  return `${digits[0] ?? '0'}${fraction}${letter}${signedPair(exponent)}`;
}

function signedPair(exponent: number): string {
  return `${exponent < 0 ? '-' : '+'}${Math.abs(exponent).toString().padStart(2, '0')}`;
}

function plainText({ digits, point }: Decimal, precision: number): string {
  const whole = point > 0 ? digits.slice(0, point).padEnd(point, '0') : '0';
  if (precision <= 0) return whole;
  const zeros = point < 0 ? '0'.repeat(Math.min(-point, precision)) : '';
  return `${whole}.${(zeros + digits.slice(Math.max(point, 0))).slice(0, precision).padEnd(precision, '0')}`;
}

function shortestDigits(size: number): Decimal {
  if (size === 0) return { digits: '', point: 0 };
  const text = size.toExponential();
  const e = text.indexOf('e');
  return { digits: text.slice(0, e).replace('.', ''), point: Number(text.slice(e + 1)) + 1 };
}

/** Each finite double is a decimal with at most 767 digits. */
function exactDigits(size: number): Decimal {
  if (size === 0) return { digits: '', point: 0 };
  const { mantissa, exponent } = partsOf(size);
  const whole = exponent >= 0 ? mantissa << BigInt(exponent) : mantissa * 5n ** BigInt(-exponent);
  const text = whole.toString();
  return { digits: text.replace(/0+$/, ''), point: text.length + Math.min(exponent, 0) };
}

function round({ digits, point }: Decimal, kept: number): Decimal {
  if (kept >= digits.length) return { digits, point };
  if (kept < 0) return { digits: '', point: 0 };
  const next = digits.charCodeAt(kept) - 48;
  const isTie = next === 5 && kept + 1 === digits.length;
  const isOddBefore = kept > 0 && (digits.charCodeAt(kept - 1) - 48) % 2 === 1;
  const cut = digits.slice(0, kept);
  if (isTie ? !isOddBefore : next < 5) return trimmed(cut, point);
  const nines = /9*$/.exec(cut)![0].length;
  if (nines === kept) return { digits: '1', point: point + 1 };
  const raised = String.fromCharCode(cut.charCodeAt(kept - nines - 1) + 1);
  return { digits: cut.slice(0, kept - nines - 1) + raised, point };
}

function trimmed(digits: string, point: number): Decimal {
  const kept = digits.replace(/0+$/, '');
  return kept === '' ? { digits: '', point: 0 } : { digits: kept, point };
}

/** mantissa × 2^exponent, without a sign. */
function partsOf(size: number): { mantissa: bigint; exponent: number } {
  scratch.setFloat64(0, size);
  const bits = scratch.getBigUint64(0);
  const biased = Number(bits >> 52n) & 0x7ff;
  const fraction = bits & 0xfffffffffffffn;
  return biased === 0
    ? { mantissa: fraction, exponent: -1074 }
    : { mantissa: fraction | 0x10000000000000n, exponent: biased - 1075 };
}

function binaryText(size: number): string {
  const { mantissa, exponent } = partsOf(size);
  return `${mantissa}p${exponent < 0 ? '' : '+'}${exponent}`;
}

function hexText(size: number, precision: number): string {
  let { mantissa, exponent } = partsOf(size);
  if (mantissa === 0n) {
    exponent = 0;
  } else {
    // 1.fraction, with 60 bits of it so that they are whole hex digits
    const shift = 61 - mantissa.toString(2).length;
    mantissa <<= BigInt(shift);
    exponent += 60 - shift;
  }
  if (precision >= 0 && precision < 15) {
    const drop = BigInt((15 - precision) * 4);
    const extra = mantissa & ((1n << drop) - 1n);
    const half = 1n << (drop - 1n);
    mantissa >>= drop;
    if (extra > half || (extra === half && (mantissa & 1n) === 1n)) mantissa++;
    mantissa <<= drop;
    if (mantissa >> 61n === 1n) {
      mantissa >>= 1n;
      exponent++;
    }
  }
  const fraction = (mantissa & ((1n << 60n) - 1n)).toString(16).padStart(15, '0');
  const digits = precision < 0 ? fraction.replace(/0+$/, '') : fraction.slice(0, precision).padEnd(precision, '0');
  return `0x${mantissa >> 60n}${digits === '' ? '' : `.${digits}`}p${signedPair(exponent)}`;
}

/** The reason, as Go's `ParseFloat` words it. */
export type FloatFault = 'invalid syntax' | 'value out of range';

export function parseFloat64(text: string): number | FloatFault {
  const special = /^(?:([+-]?)(?:inf|infinity)|nan)$/i.exec(text);
  if (special !== null) return /nan/i.test(text) ? Number.NaN : special[1] === '-' ? -Infinity : Infinity;
  if (/^[+-]?0x/i.test(text)) return parseHex(text);
  if (!/^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i.test(withoutUnderscores(text))) return 'invalid syntax';
  if (text.includes('_') && !underscoresFit(text)) return 'invalid syntax';
  const value = Number(withoutUnderscores(text));
  return Number.isFinite(value) ? value : 'value out of range';
}

function parseHex(text: string): number | FloatFault {
  const parts = /^([+-]?)0x([\da-f]*)(?:\.([\da-f]*))?p([+-]?\d+)$/i.exec(withoutUnderscores(text));
  if (parts === null || !underscoresFit(text)) return 'invalid syntax';
  const [, sign, whole, fraction = '', exponentText] = parts;
  if (`${whole}${fraction}` === '') return 'invalid syntax';
  // a bound, since the exponent's digits come from outside; beyond it everything is zero or out of range
  const exponent = Math.max(-20_000, Math.min(20_000, Number(exponentText))) - fraction.length * 4;
  const digits = BigInt(`0x0${whole}${fraction}`);
  const size = scale(digits, exponent);
  if (!Number.isFinite(size)) return 'value out of range';
  return sign === '-' ? -size : size;
}

/** digits × 2^exponent, rounded once. */
function scale(digits: bigint, exponent: number): number {
  if (digits === 0n) return 0;
  const bits = digits.toString(2).length;
  if (bits + exponent > 1024) return Infinity;
  if (bits + exponent < -1080) return 0;
  if (exponent >= 0) return Number(digits << BigInt(exponent));
  // whole multiples of the least step of a double at this size
  const least = Math.max(bits + exponent - 53, -1074);
  const drop = least - exponent;
  if (drop <= 0) return Number(digits) * 2 ** Math.max(exponent, -1074);
  const shift = BigInt(drop);
  const extra = digits & ((1n << shift) - 1n);
  const half = 1n << (shift - 1n);
  let kept = digits >> shift;
  if (extra > half || (extra === half && (kept & 1n) === 1n)) kept++;
  return Number(kept) * 2 ** least;
}

export function withoutUnderscores(text: string): string {
  return text.replaceAll('_', '');
}

/** Each underscore follows a digit (or a base prefix) and is followed by one. */
export function underscoresFit(text: string): boolean {
  const [, prefix, rest] = /^[+-]?(0[box])?(.*)$/is.exec(text)!;
  const digit = prefix?.[1]?.toLowerCase() === 'x' ? /[\da-f]/i : /\d/;
  let before = prefix === undefined ? '' : '0';
  for (const character of rest!) {
    if (digit.test(character)) before = '0';
    else if (character === '_') {
      if (before !== '0') return false;
      before = '_';
    } else if (before === '_') return false;
    else before = '!';
  }
  return before !== '_';
}
