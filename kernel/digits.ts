// Points of an answer as text. Digits: the fewest that read back as the same double, and of those the closest, as JavaScript and Go
// print them. Source: Raffaello Giulietti, "The Schubfach way to render doubles" (2020), and Alexander Bolz' Drachennest.

const POWER_MIN: i32 = -292;

/** 10^k for k from −292 to 324 in 128 bits, the highest of them set, rounded up: u64 high, u64 low. JavaScript writes them. */
const powers: usize = memory.data(9872);
/** Digits, right-aligned before byte 20; wide loads go beyond. */
const digits: usize = memory.data(48);

/** The power of ten of what `shortest` answered. */
let exponent: i32 = 0;

export function digitPowers(): usize {
  return powers;
}

/** The high 64 bits of (high, low) · x, the lowest of them set where anything is left below. */
// @ts-ignore: decorator
@inline function roundToOdd(high: u64, low: u64, x: u64): u64 {
  const xl = x & 0xffffffff;
  const xh = x >> 32;
  let al = low & 0xffffffff;
  let ah = low >> 32;
  let t = al * xl;
  let m = ah * xl + (t >> 32);
  let m2 = al * xh + (m & 0xffffffff);
  const carry = ah * xh + (m >> 32) + (m2 >> 32);
  al = high & 0xffffffff;
  ah = high >> 32;
  t = al * xl;
  m = ah * xl + (t >> 32);
  m2 = al * xh + (m & 0xffffffff);
  let y1 = ah * xh + (m >> 32) + (m2 >> 32);
  let y0 = (m2 << 32) | (t & 0xffffffff);
  y0 += carry;
  if (y0 < carry) y1++;
  return y1 | <u64>(y0 > 1);
}

/** The decimal of a positive, finite double: what is returned times 10^exponent. */
function shortest(bits: u64): u64 {
  const fraction = bits & 0xfffffffffffff;
  const biased = <i32>(bits >> 52);
  let c = fraction;
  let q: i32 = -1074;
  if (biased != 0) {
    c |= 0x10000000000000;
    q = biased - 1075;
    // whole numbers need no search
    if (q <= 0 && q > -53 && (c & (((<u64>1) << (<u64>-q)) - 1)) == 0) {
      exponent = 0;
      return c >> <u64>-q;
    }
  }
  const open = c & 1;
  // below a power of two the next double is only half as far away
  const closer = fraction == 0 && biased > 1;
  const k = (q * 1262611 - (closer ? 524031 : 0)) >> 22;
  const h = <u64>(q + ((-k * 1741647) >> 19) + 1);
  const power = powers + ((<usize>(-k - POWER_MIN)) << 4);
  const high = load<u64>(power);
  const low = load<u64>(power, 8);
  const lower = roundToOdd(high, low, (4 * c - 2 + <u64>closer) << h) + open;
  const value = roundToOdd(high, low, (4 * c) << h);
  const upper = roundToOdd(high, low, (4 * c + 2) << h) - open;
  const s = value >> 2;
  if (s >= 10) {
    const tens = s / 10;
    const below = lower <= 40 * tens;
    const above = 40 * tens + 40 <= upper;
    if (below != above) {
      exponent = k + 1;
      return tens + <u64>above;
    }
  }
  const below = lower <= 4 * s;
  const above = 4 * s + 4 <= upper;
  exponent = k;
  if (below != above) return s + <u64>above;
  const middle = 4 * s + 2;
  return s + <u64>(value > middle || (value == middle && (s & 1) != 0));
}

// @ts-ignore: decorator
@inline function twoDigits(at: usize, x: u32): void {
  const tens = x / 10;
  store<u16>(at, <u16>((48 + tens) | ((48 + x - tens * 10) << 8)));
}

/** As Prometheus prints values; at most 26 bytes, and up to 20 behind them are touched. Returns where it ends. */
function putNumber(value: f64, to: usize): usize {
  let p = to;
  if (value != value) {
    store<u32>(p, 0x4e614e); // NaN
    return p + 3;
  }
  let bits = reinterpret<u64>(value);
  const negative = <i64>bits < 0;
  bits &= 0x7fffffffffffffff;
  if (bits == 0x7ff0000000000000) {
    store<u32>(p, negative ? 0x666e492d : 0x666e492b); // -Inf, +Inf
    return p + 4;
  }
  if (negative) store<u8>(p++, 45);
  if (bits == 0) {
    store<u8>(p, 48);
    return p + 1;
  }
  let number = shortest(bits);
  let k = exponent;
  if (k != 0) {
    for (let tenth = number / 10; tenth * 10 == number; tenth = number / 10) {
      number = tenth;
      k++;
    }
  }
  let q = digits + 20;
  while (number >= 100) {
    const rest = number / 100;
    q -= 2;
    twoDigits(q, <u32>(number - rest * 100));
    number = rest;
  }
  if (number >= 10) {
    q -= 2;
    twoDigits(q, <u32>number);
  } else store<u8>(--q, <u8>(48 + number));
  const n = <i32>(digits + 20 - q);
  /** Digits before the point. */
  const whole = n + k;
  if (whole > 0 && whole <= 21) {
    v128.store(p, v128.load(q));
    store<u32>(p, load<u32>(q, 16), 16);
    if (whole >= n) {
      memory.fill(p + n, 48, whole - n);
      return p + whole;
    }
    store<u8>(p + whole, 46);
    v128.store(p + whole + 1, v128.load(q + whole));
    return p + n + 1;
  }
  if (whole <= 0 && whole > -6) {
    store<u16>(p, 0x2e30); // 0.
    p += 2;
    memory.fill(p, 48, -whole);
    p += -whole;
    v128.store(p, v128.load(q));
    store<u32>(p, load<u32>(q, 16), 16);
    return p + n;
  }
  store<u8>(p++, load<u8>(q));
  if (n > 1) {
    store<u8>(p++, 46);
    v128.store(p, v128.load(q + 1));
    p += n - 1;
  }
  store<u8>(p++, 101); // e
  let e = whole - 1;
  store<u8>(p++, e < 0 ? 45 : 43);
  if (e < 0) e = -e;
  if (e >= 100) {
    store<u8>(p++, <u8>(48 + e / 100));
    e %= 100;
  }
  twoDigits(p, <u32>e);
  return p + 2;
}

/**
 * Writes for each of `n` values `prefix value "]`. Prefixes stand 32 bytes apart at `prefixes`, the last byte of each its length.
 * `out` has room for 64·n + 32 bytes. Returns how many were written.
 */
export function writePoints(values: usize, n: u32, prefixes: usize, out: usize): u32 {
  let p = out;
  for (let i: u32 = 0; i < n; i++) {
    const prefix = prefixes + ((<usize>i) << 5);
    v128.store(p, v128.load(prefix));
    v128.store(p, v128.load(prefix, 16), 16);
    p = putNumber(load<f64>(values + ((<usize>i) << 3)), p + <usize>load<u8>(prefix, 31));
    store<u16>(p, 0x5d22); // "]
    p += 2;
  }
  return <u32>(p - out);
}
