import { Kernel } from '../chunk/kernel.ts';
import { formatTimestamp } from './timestamp-text.ts';

/** Points that are written at once. */
const POINTS_MAX = 4096;
const PREFIX_BYTES = 32;
/** Bytes of a point at most, with those that wide stores touch behind it (kernel/digits.ts). */
const POINT_BYTES = 64;

/** Points of series as JSON: `[1767225600.5,"4"]`, separated by commas. One serves a thread. */
class PointTexts {
  readonly #kernel = Kernel.create();
  readonly #exports = this.#kernel.exports;
  readonly #values = this.#kernel.reserve(POINTS_MAX * 8);
  /** `,[1767225600.5,"` of each time of the points written last: most series of an answer have the same times. */
  readonly #prefixes = this.#kernel.reserve(POINTS_MAX * PREFIX_BYTES);
  readonly #out = this.#kernel.reserve(POINTS_MAX * POINT_BYTES + PREFIX_BYTES);
  readonly #times = new Float64Array(POINTS_MAX);
  /** Times that hold, at the beginning of `#times`. */
  #count = 0;

  constructor() {
    const { view } = this.#kernel;
    let at = this.#exports.digitPowers();
    for (const power of powersOf10()) {
      view.setBigUint64(at, power >> 64n, true);
      view.setBigUint64(at + 8, power & 0xffffffffffffffffn, true);
      at += 16;
    }
  }

  /** The bytes handed to `take` hold until it returns. */
  write(times: Float64Array, values: Float64Array, take: (bytes: Uint8Array) => void): void {
    for (let from = 0; from < values.length; from += POINTS_MAX) {
      const to = Math.min(from + POINTS_MAX, values.length);
      this.#prepare(times.subarray(from, to));
      this.#kernel.f64.set(values.subarray(from, to), this.#values / 8);
      const bytes = this.#exports.writePoints(this.#values, to - from, this.#prefixes, this.#out);
      // before the very first point there is no comma
      take(this.#kernel.u8.subarray(this.#out + (from === 0 ? 1 : 0), this.#out + bytes));
    }
  }

  #prepare(times: Float64Array): void {
    let i = 0;
    const known = Math.min(this.#count, times.length);
    while (i < known && times[i] === this.#times[i]) i++;
    const { u8 } = this.#kernel;
    for (; i < times.length; i++) {
      const text = `,[${formatTimestamp(times[i]!)},"`;
      const at = this.#prefixes + i * PREFIX_BYTES;
      for (let c = 0; c < text.length; c++) u8[at + c] = text.charCodeAt(c);
      u8[at + PREFIX_BYTES - 1] = text.length;
      this.#times[i] = times[i]!;
      this.#count = i + 1;
    }
  }
}

/** 10^k for k from −292 to 324, 128 bits of each, rounded up. */
function* powersOf10(): Iterable<bigint> {
  for (let k = -292; k <= 324; k++) {
    const whole = 10n ** BigInt(Math.abs(k));
    const bits = BigInt(whole.toString(2).length);
    if (k < 0) yield ceilDivide(1n << (127n + bits), whole);
    else yield bits <= 128n ? whole << (128n - bits) : ceilDivide(whole, 1n << (bits - 128n));
  }
}

function ceilDivide(a: bigint, b: bigint): bigint {
  return (a + b - 1n) / b;
}

let ofThread: PointTexts | undefined;

/** The points of a series in one or more parts; what is handed to `take` holds until it returns. */
export function writePointTexts(times: Float64Array, values: Float64Array, take: (bytes: Uint8Array) => void): void {
  ofThread ??= new PointTexts();
  ofThread.write(times, values, take);
}
