import type { Bytes } from './bytes.ts';
import { quote } from './quote.ts';
import { CallError } from './value.ts';

/** Durations as Go's `time` prints them and as Prometheus reads them. Nanoseconds, as in Go. */

const second = 1_000_000_000n;

/** As `time.Duration` prints itself: `1h0m0.5s`, `2.5ms`. As bytes. */
export function durationText(nanos: bigint): string {
  const size = nanos < 0n ? -nanos : nanos;
  const sign = nanos < 0n ? '-' : '';
  if (size === 0n) return '0s';
  if (size < 1_000n) return `${sign}${size}ns`;
  // the micro sign, in UTF-8
  if (size < 1_000_000n) return `${sign}${withFraction(size, 1_000n)}\xc2\xb5s`;
  if (size < second) return `${sign}${withFraction(size, 1_000_000n)}ms`;
  const seconds = size / second;
  const last = `${withFraction((seconds % 60n) * second + (size % second), second)}s`;
  if (seconds < 60n) return sign + last;
  const minutes = seconds / 60n;
  if (minutes < 60n) return `${sign}${minutes}m${last}`;
  return `${sign}${minutes / 60n}h${minutes % 60n}m${last}`;
}

function withFraction(value: bigint, unit: bigint): string {
  const fraction = (value % unit)
    .toString()
    .padStart(unit.toString().length - 1, '0')
    .replace(/0+$/, '');
  return `${value / unit}${fraction === '' ? '' : `.${fraction}`}`;
}

/** In nanoseconds, the largest first. */
const UNITS: readonly (readonly [name: string, nanos: bigint])[] = [
  ['y', 31_536_000n * second],
  ['w', 604_800n * second],
  ['d', 86_400n * second],
  ['h', 3600n * second],
  ['m', 60n * second],
  ['s', second],
  ['ms', 1_000_000n],
];
const nanosMax = 2n ** 63n - 1n;

/**
 * Prometheus' duration, which may be negative, in seconds. Bytes.
 * @throws CallError
 */
export function parseDurationSeconds(text: Bytes): number {
  const size = text.startsWith('-') ? text.slice(1) : text;
  const seconds = size === '0' ? 0 : parseSize(size);
  return text.startsWith('-') ? 0 - seconds : seconds;
}

function parseSize(size: Bytes): number {
  if (size === '') throw new CallError('empty duration string');
  const invalid = () => new CallError(`not a valid duration string: ${quote(size)}`);
  let nanos = 0n;
  let after = -1;
  for (let rest = size; rest !== ''; ) {
    // a 64-bit number has at most 20 digits
    const [all, digits, name] = /^(\d{1,20})(\D+)/.exec(rest) ?? [];
    if (all === undefined || BigInt(digits!) >= 2n ** 64n) throw invalid();
    const index = UNITS.findIndex(([unit]) => unit === name);
    if (index < 0) throw new CallError(`unknown unit ${quote(name!)} in duration ${quote(size)}`);
    if (index <= after) throw invalid();
    after = index;
    nanos += BigInt(digits!) * UNITS[index]![1];
    if (nanos > nanosMax) throw new CallError('duration out of range');
    rest = rest.slice(all.length);
  }
  return Number(nanos) / 1e9;
}
