import { quoteGoCut } from '../../model/labels.ts';

/** A text that is no duration; the message is Prometheus'. */
export class DurationSyntaxError extends Error {}

/** In milliseconds, and the place that a unit has among the others: bigger ones come first. */
const UNITS: Readonly<Record<string, { readonly ms: bigint; readonly place: number }>> = {
  ms: { ms: 1n, place: 7 },
  s: { ms: 1000n, place: 6 },
  m: { ms: 60_000n, place: 5 },
  h: { ms: 3_600_000n, place: 4 },
  d: { ms: 86_400_000n, place: 3 },
  w: { ms: 604_800_000n, place: 2 },
  y: { ms: 31_536_000_000n, place: 1 },
};

/** Go's `time.Duration` holds nanoseconds in 63 bits. */
const DURATION_NS_MAX = (1n << 63n) - 1n;

/**
 * `1h30m` in milliseconds.
 * @throws DurationSyntaxError
 */
export function parseDuration(text: string): number {
  if (text === '0') return 0;
  if (text === '') throw new DurationSyntaxError('empty duration string');
  const invalid = () => new DurationSyntaxError(`not a valid duration string: ${quoteGoCut(text)}`);
  let totalMs = 0n;
  let lastPlace = 0;
  for (let pos = 0; pos < text.length; ) {
    const digits = runEnd(text, pos, true);
    const unitEnd = runEnd(text, digits, false);
    if (digits === pos || digits - pos > 20 || unitEnd === digits) throw invalid();
    const amount = BigInt(text.slice(pos, digits));
    if (amount >= 1n << 64n) throw invalid();
    const unitText = text.slice(digits, unitEnd);
    const unit = Object.hasOwn(UNITS, unitText) ? UNITS[unitText] : undefined;
    if (unit === undefined) {
      throw new DurationSyntaxError(`unknown unit ${quoteGoCut(unitText)} in duration ${quoteGoCut(text)}`);
    }
    if (unit.place <= lastPlace) throw invalid();
    lastPlace = unit.place;
    totalMs += amount * unit.ms;
    if (totalMs * 1_000_000n > DURATION_NS_MAX) throw new DurationSyntaxError('duration out of range');
    pos = unitEnd;
  }
  return Number(totalMs);
}

/** The length that Go makes of one that `time.Duration` cannot hold, NaN above all. */
export const OVERFLOWN_MS = Number(-(1n << 63n) / 1_000_000n);

/** The milliseconds of a length in seconds, as Go's `time.Duration` has them: whole nanoseconds in 63 bits. */
export function secondsToMs(seconds: number): number {
  const ns = seconds * 1e9;
  if (!(Math.abs(ns) < 2 ** 63)) return OVERFLOWN_MS;
  const rounded = BigInt(Math.round(Math.abs(ns))) / 1_000_000n;
  return ns < 0 ? -Number(rounded) + 0 : Number(rounded);
}

function runEnd(text: string, start: number, digits: boolean): number {
  let end = start;
  for (; end < text.length; end++) {
    const code = text.charCodeAt(end);
    if ((code >= 0x30 && code <= 0x39) !== digits) break;
  }
  return end;
}

/** `5400000` → `1h30m`. Years and weeks only where nothing remains. */
export function formatDuration(durationMs: number): string {
  let rest = BigInt(Math.trunc(durationMs));
  if (rest === 0n) return '0s';
  let text = '';
  for (const name of ['y', 'w', 'd', 'h', 'm', 's', 'ms']) {
    const { ms } = UNITS[name]!;
    if ((name === 'y' || name === 'w') && rest % ms !== 0n) continue;
    const amount = rest / ms;
    if (amount <= 0n) continue;
    text += `${amount}${name}`;
    rest -= amount * ms;
  }
  return text;
}
