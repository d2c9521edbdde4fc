import { quoteGoCut } from '../model/labels.ts';
import { parseDuration as parsePrometheusDuration } from '../promql/parser/duration.ts';

/** A time as Go holds it: what is added up wraps at 64 bits, and some of that shows in answers. */
export interface GoTime {
  readonly seconds: bigint;
  /** 0 … 999,999,999 */
  readonly nanos: number;
}

const NANOS = 1_000_000_000n;
const INT64_MIN = -(1n << 63n);
const INT64_MAX = (1n << 63n) - 1n;

/** As far back as a time can be given. */
export const MIN_TIME: GoTime = { seconds: INT64_MIN / 1000n + 62_135_596_801n, nanos: 0 };
export const MAX_TIME: GoTime = { seconds: INT64_MAX / 1000n - 62_135_596_801n, nanos: 999_999_999 };

export function timeOfMs(timeMs: number): GoTime {
  const seconds = Math.floor(timeMs / 1000);
  return { seconds: BigInt(seconds), nanos: Math.round((timeMs - seconds * 1000) * 1e6) };
}

/** Unix seconds with fractions, or RFC 3339; undefined where it is neither. */
export function parseTime(text: string): GoTime | undefined {
  const seconds = parseGoFloat(text);
  if (seconds !== undefined) {
    const whole = Math.trunc(seconds);
    // Go takes what no int64 can hold for the least one
    const fraction = Number.isFinite(seconds) ? Math.round((seconds - whole) * 1000) / 1000 : Number.NaN;
    return normalised(int64(whole), int64(Math.trunc(fraction * 1e9)));
  }
  return parseRfc3339(text);
}

/** As the query engine counts: through nanoseconds of 64 bits, towards zero. */
export function engineMs({ seconds, nanos }: GoTime): number {
  return Number(BigInt.asIntN(64, seconds * NANOS + BigInt(nanos)) / 1_000_000n);
}

/** As the storage counts; times beyond what a double holds exactly are the first or last that it does. */
export function storageMs({ seconds, nanos }: GoTime): number {
  const ms = BigInt.asIntN(64, seconds * 1000n) + BigInt(Math.floor(nanos / 1e6));
  if (ms > BigInt(Number.MAX_SAFE_INTEGER)) return Number.MAX_SAFE_INTEGER;
  return ms < BigInt(Number.MIN_SAFE_INTEGER) ? Number.MIN_SAFE_INTEGER : Number(ms);
}

export function isBefore(a: GoTime, b: GoTime): boolean {
  return a.seconds === b.seconds ? a.nanos < b.nanos : a.seconds < b.seconds;
}

/** `a − b` in nanoseconds, at most what an int64 holds. */
export function nanosBetween(a: GoTime, b: GoTime): bigint {
  const nanos = (a.seconds - b.seconds) * NANOS + BigInt(a.nanos - b.nanos);
  return nanos > INT64_MAX ? INT64_MAX : nanos < INT64_MIN ? INT64_MIN : nanos;
}

/** The text is no duration; the message is Prometheus'. */
export class DurationParamError extends Error {}

/** A number of seconds or a Prometheus duration, in nanoseconds. @throws DurationParamError */
export function parseDurationNanos(text: string): bigint {
  const seconds = parseGoFloat(text);
  if (seconds !== undefined) {
    const nanos = seconds * 1e9;
    if (nanos > 2 ** 63 || nanos < -(2 ** 63)) {
      throw new DurationParamError(`cannot parse ${quoteGoCut(text)} to a valid duration. It overflows int64`);
    }
    return int64(Math.trunc(nanos));
  }
  try {
    return BigInt(parsePrometheusDuration(text)) * 1_000_000n;
  } catch {
    throw new DurationParamError(`cannot parse ${quoteGoCut(text)} to a valid duration`);
  }
}

/** No number that anybody writes is longer, and none is read beyond it. */
const NUMBER_CHARS_MAX = 1_000;

/** As Go's `strconv.ParseFloat`, but for hexadecimal numbers; undefined where it would refuse. */
function parseGoFloat(text: string): number | undefined {
  if (text.length > NUMBER_CHARS_MAX) return undefined;
  const word = /^([+-]?)(inf|infinity|nan)$/i.exec(text);
  if (word !== null) {
    if (word[2]!.toLowerCase() === 'nan') return word[1] === '' ? Number.NaN : undefined;
    return word[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  }
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}

function int64(value: number): bigint {
  return value >= -(2 ** 63) && value < 2 ** 63 ? BigInt(value) : INT64_MIN;
}

function normalised(seconds: bigint, nanos: bigint): GoTime {
  let whole = nanos / NANOS;
  let rest = nanos - whole * NANOS;
  if (rest < 0n) {
    rest += NANOS;
    whole--;
  }
  return { seconds: BigInt.asIntN(64, seconds + whole), nanos: Number(rest) };
}

const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(Z|([+-])(\d\d):(\d\d))$/;
const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function parseRfc3339(text: string): GoTime | undefined {
  const found = RFC3339.exec(text);
  if (found === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction = '', , sign, zoneHour = '0', zoneMinute = '0'] = found;
  const [y, mo, d, h, mi, s] = [year, month, day, hour, minute, second].map(Number) as number[];
  const leap = (y! % 4 === 0 && y! % 100 !== 0) || y! % 400 === 0;
  const days = mo === 2 && leap ? 29 : DAYS[mo! - 1];
  if (days === undefined || d! < 1 || d! > days || h! > 23 || mi! > 59 || s! > 59) return undefined;
  if (Number(zoneHour) > 24 || Number(zoneMinute) > 59) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(y!, mo! - 1, d!); // years below 100 too
  date.setUTCHours(h!, mi!, s!);
  const zoneSeconds = (Number(zoneHour) * 60 + Number(zoneMinute)) * 60 * (sign === '-' ? -1 : 1);
  return { seconds: BigInt(date.getTime() / 1000 - zoneSeconds), nanos: Number(fraction.slice(0, 9).padEnd(9, '0')) };
}
