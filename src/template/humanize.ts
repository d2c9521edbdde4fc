import { formatFloat, parseFloat64 } from './float-text.ts';
import { quote } from './quote.ts';
import { DURATION, durationSeconds, timeOfMs, timeText } from './time.ts';
import { CallError, INT, INT64, type TimeValue, typeOf, type Value, wholeOf } from './value.ts';

/** Numbers for people, as Prometheus' template functions write them. */

/** @throws CallError */
export function toFloat(value: Value): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'string') {
    const number = parseFloat64(value);
    if (typeof number === 'string') throw new CallError(`strconv.ParseFloat: parsing ${quote(value)}: ${number}`);
    return number;
  }
  const type = value === undefined ? undefined : typeOf(value);
  if (type === INT || type === INT64) return Number(wholeOf(value));
  if (type === DURATION) return durationSeconds(wholeOf(value)!);
  throw new CallError(`can't convert ${type?.name ?? '<nil>'} to float`);
}

function fourDigits(value: number): string {
  return formatFloat(value, 'g', 4);
}

const LARGE = ['k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'];
const SMALL = ['m', 'u', 'n', 'p', 'f', 'a', 'z', 'y'];
const BINARY = ['ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei', 'Zi', 'Yi'];

export function humanize(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return fourDigits(value);
  return Math.abs(value) >= 1 ? scaledDown(value, 1000, LARGE) : scaledUp(value);
}

export function humanize1024(value: number): string {
  if (Math.abs(value) <= 1 || !Number.isFinite(value)) return fourDigits(value);
  return scaledDown(value, 1024, BINARY);
}

function scaledDown(value: number, by: number, prefixes: readonly string[]): string {
  let prefix = '';
  let scaled = value;
  for (const next of prefixes) {
    if (Math.abs(scaled) < by) break;
    prefix = next;
    scaled /= by;
  }
  return fourDigits(scaled) + prefix;
}

function scaledUp(value: number): string {
  let prefix = '';
  let scaled = value;
  for (const next of SMALL) {
    if (Math.abs(scaled) >= 1) break;
    prefix = next;
    scaled *= 1000;
  }
  return fourDigits(scaled) + prefix;
}

export function humanizeDuration(value: number): string {
  if (!Number.isFinite(value)) return fourDigits(value);
  if (value === 0) return `${fourDigits(value)}s`;
  if (Math.abs(value) < 1) return `${scaledUp(value)}s`;
  const sign = value < 0 ? '-' : '';
  const size = Math.abs(value);
  const whole = toInt64(size);
  const [seconds, minutes, hours, days] = [whole % 60n, (whole / 60n) % 60n, (whole / 3600n) % 24n, whole / 86_400n];
  if (days !== 0n) return `${sign}${days}d ${hours}h ${minutes}m ${seconds}s`;
  if (hours !== 0n) return `${sign}${hours}h ${minutes}m ${seconds}s`;
  if (minutes !== 0n) return `${sign}${minutes}m ${seconds}s`;
  return `${sign}${fourDigits(size)}s`;
}

/** As a 64-bit processor converts: what does not fit becomes the least number. */
export function toInt64(value: number): bigint {
  return Math.abs(value) < 2 ** 63 ? BigInt(Math.trunc(value)) : -(2n ** 63n);
}

export function humanizePercentage(value: number): string {
  return `${fourDigits(value * 100)}%`;
}

/** @throws CallError */
export function humanizeTimestamp(value: number): string {
  return Number.isFinite(value) ? timeText(toTime(value)) : fourDigits(value);
}

/**
 * Unix seconds as a time, in whole milliseconds.
 * @throws CallError
 */
export function toTime(value: number): TimeValue {
  if (!Number.isFinite(value)) throw new CallError('value is NaN or Inf');
  const nanos = value * 1e9;
  if (Math.abs(nanos) > 2 ** 63) {
    const shown = formatFloat(value, 'g', -1);
    throw new CallError(`${shown} cannot be represented as a nanoseconds timestamp since it overflows int64`);
  }
  return timeOfMs(Number(toInt64(nanos) / 1_000_000n));
}
