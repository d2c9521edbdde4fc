import { type Bytes, bytesOf } from './bytes.ts';
import { type Civil, civilOf, daysIn, fixedZone, isLeap, MONTHS, secondsOf, UTC, WEEKDAYS } from './civil.ts';
import { durationText } from './duration.ts';
import {
  BOOL,
  CallError,
  FLOAT64,
  INT,
  INT64,
  type IntValue,
  integer,
  type Method,
  STRING,
  stringOf,
  type TimeValue,
  type Type,
  type Value,
  wholeOf,
  type Zone,
} from './value.ts';

/** `time.Time` and `time.Duration`, with the methods that templates call, and layouts to write and read times. */

const methods = new Map<string, Method>();
const durationMethods = new Map<string, Method>();
const monthMethods = new Map<string, Method>();
const weekdayMethods = new Map<string, Method>();

export const TIME: Type = { kind: 'struct', name: 'time.Time', methods };
export const DURATION: Type = { kind: 'int', name: 'time.Duration', methods: durationMethods };
const MONTH: Type = { kind: 'int', name: 'time.Month', methods: monthMethods };
const WEEKDAY: Type = { kind: 'int', name: 'time.Weekday', methods: weekdayMethods };

const nanosPerSecond = 1_000_000_000;
const nanosMax = 2n ** 63n - 1n;

export function time(seconds: number, nanos: number, zone: Zone): TimeValue {
  return { tag: 'time', type: TIME, seconds, nanos, zone };
}

export function timeOfMs(ms: number): TimeValue {
  const seconds = Math.floor(ms / 1000);
  return time(seconds, Math.round((ms - seconds * 1000) * 1e6), UTC);
}

/** The year 1, which Go takes for no time. */
export const zeroTime: TimeValue = time(-62_135_596_800, 0, UTC);

export function duration(nanos: bigint): IntValue {
  return integer(nanos, DURATION);
}

/** b − a, held within what a duration can hold. */
export function timeBetween(a: TimeValue, b: TimeValue): bigint {
  const nanos = nanosOf(b) - nanosOf(a);
  return nanos > nanosMax ? nanosMax : nanos < -nanosMax - 1n ? -nanosMax - 1n : nanos;
}

function nanosOf({ seconds, nanos }: TimeValue): bigint {
  return BigInt(seconds) * BigInt(nanosPerSecond) + BigInt(nanos);
}

function timeAt(nanos: bigint, zone: Zone): TimeValue {
  const per = BigInt(nanosPerSecond);
  const rest = ((nanos % per) + per) % per;
  return time(Number((nanos - rest) / per), Number(rest), zone);
}

export function timeText(value: TimeValue): Bytes {
  return formatTime(value, '2006-01-02 15:04:05.999999999 -0700 MST');
}

function asTime(value: Value): TimeValue {
  return value as TimeValue;
}

function method(name: string, types: readonly Type[], out: Type, call: Method['call']): void {
  methods.set(name, { in: types, out, call });
}

function civilPart(name: string, type: Type, part: (civil: Civil) => number): void {
  method(name, [], type, (receiver) => {
    const value = BigInt(part(civilOf(asTime(receiver))));
    return type === INT ? value : integer(value, type);
  });
}

civilPart('Year', INT, ({ year }) => year);
civilPart('Month', MONTH, ({ month }) => month);
civilPart('Day', INT, ({ day }) => day);
civilPart('Hour', INT, ({ hour }) => hour);
civilPart('Minute', INT, ({ minute }) => minute);
civilPart('Second', INT, ({ second }) => second);
civilPart('YearDay', INT, ({ yearDay }) => yearDay);
civilPart('Weekday', WEEKDAY, ({ weekday }) => weekday);
method('Nanosecond', [], INT, (receiver) => BigInt(asTime(receiver).nanos));
method('Unix', [], INT64, (receiver) => integer(BigInt(asTime(receiver).seconds), INT64));
method('UnixMilli', [], INT64, (receiver) => integer(floorDiv(nanosOf(asTime(receiver)), 1_000_000n), INT64));
method('UnixMicro', [], INT64, (receiver) => integer(floorDiv(nanosOf(asTime(receiver)), 1000n), INT64));
method('UnixNano', [], INT64, (receiver) => integer(BigInt.asIntN(64, nanosOf(asTime(receiver))), INT64));
method('String', [], STRING, (receiver) => timeText(asTime(receiver)));
method('Format', [STRING], STRING, (receiver, [layout], budget) => {
  const bytes = stringOf(layout)!;
  // the longest name that a layout asks for is a time zone's
  budget.make(bytes.length * 8);
  return formatTime(asTime(receiver), bytes);
});
method('UTC', [], TIME, (receiver) => ({ ...asTime(receiver), zone: UTC }));
method('Local', [], TIME, (receiver) => ({ ...asTime(receiver), zone: UTC }));
method('IsZero', [], BOOL, (receiver) => nanosOf(asTime(receiver)) === nanosOf(zeroTime));
method('Before', [TIME], BOOL, (receiver, [other]) => nanosOf(asTime(receiver)) < nanosOf(asTime(other)));
method('After', [TIME], BOOL, (receiver, [other]) => nanosOf(asTime(receiver)) > nanosOf(asTime(other)));
method('Equal', [TIME], BOOL, (receiver, [other]) => nanosOf(asTime(receiver)) === nanosOf(asTime(other)));
method('Sub', [TIME], DURATION, (receiver, [other]) => duration(timeBetween(asTime(other), asTime(receiver))));
method('Add', [DURATION], TIME, (receiver, [by]) =>
  timeAt(nanosOf(asTime(receiver)) + wholeOf(by)!, asTime(receiver).zone),
);
method('AddDate', [INT, INT, INT], TIME, (receiver, [years, months, days]) => {
  const at = asTime(receiver);
  const { year, month, day, hour, minute, second } = civilOf(at);
  const [y, m, d] = [years, months, days].map((part) => Number(BigInt.asIntN(32, wholeOf(part)!))) as [
    number,
    number,
    number,
  ];
  const local = secondsOf(year + y, month + m, day + d, hour, minute, second);
  if (!Number.isFinite(local)) throw new CallError('time out of range');
  return time(local - at.zone.at(local).offset, at.nanos, at.zone);
});
method('Truncate', [DURATION], TIME, (receiver, [by]) => rounded(asTime(receiver), wholeOf(by)!, false));
method('Round', [DURATION], TIME, (receiver, [by]) => rounded(asTime(receiver), wholeOf(by)!, true));

/** Multiples count from the year 1. */
function rounded(at: TimeValue, by: bigint, toNearest: boolean): TimeValue {
  if (by <= 0n) return at;
  const since = nanosOf(at) - nanosOf(zeroTime);
  const rest = since - floorDiv(since, by) * by;
  const up = toNearest && rest * 2n >= by ? by : 0n;
  return timeAt(nanosOf(at) - rest + up, at.zone);
}

function floorDiv(value: bigint, by: bigint): bigint {
  const quotient = value / by;
  return value % by < 0n ? quotient - 1n : quotient;
}

function durationMethod(name: string, out: Type, call: (nanos: bigint) => Value): void {
  durationMethods.set(name, { in: [], out, call: (receiver) => call(wholeOf(receiver)!) });
}

durationMethod('String', STRING, (nanos) => durationText(nanos));
durationMethod('Seconds', FLOAT64, durationSeconds);
durationMethod('Minutes', FLOAT64, (nanos) => wholeAndRest(nanos, 60_000_000_000n));
durationMethod('Hours', FLOAT64, (nanos) => wholeAndRest(nanos, 3_600_000_000_000n));
durationMethod('Milliseconds', INT64, (nanos) => integer(nanos / 1_000_000n, INT64));
durationMethod('Microseconds', INT64, (nanos) => integer(nanos / 1000n, INT64));
durationMethod('Nanoseconds', INT64, (nanos) => integer(nanos, INT64));
durationMethod('Abs', DURATION, (nanos) => duration(nanos < 0n ? -nanos : nanos));
durationMethods.set('Truncate', {
  in: [DURATION],
  out: DURATION,
  call: (receiver, [by]) => {
    const [nanos, unit] = [wholeOf(receiver)!, wholeOf(by)!];
    return duration(unit <= 0n ? nanos : nanos - (nanos % unit));
  },
});
durationMethods.set('Round', {
  in: [DURATION],
  out: DURATION,
  call: (receiver, [by]) => {
    const [nanos, unit] = [wholeOf(receiver)!, wholeOf(by)!];
    if (unit <= 0n) return duration(nanos);
    const rest = nanos % unit;
    const size = rest < 0n ? -rest : rest;
    const away = size * 2n >= unit ? (nanos < 0n ? -unit : unit) : 0n;
    return duration(nanos - rest + away);
  },
});

export function durationSeconds(nanos: bigint): number {
  return wholeAndRest(nanos, 1_000_000_000n);
}

function wholeAndRest(nanos: bigint, unit: bigint): number {
  return Number(nanos / unit) + Number(nanos % unit) / Number(unit);
}

monthMethods.set('String', {
  in: [],
  out: STRING,
  call: (receiver) => MONTHS[Number(wholeOf(receiver)) - 1] ?? `%!Month(${wholeOf(receiver)})`,
});
weekdayMethods.set('String', {
  in: [],
  out: STRING,
  call: (receiver) => WEEKDAYS[Number(wholeOf(receiver))] ?? `%!Weekday(${wholeOf(receiver)})`,
});

/** One element of a layout, and the text before it. */
interface Chunk {
  readonly prefix: Bytes;
  readonly element: string;
  readonly suffix: Bytes;
}

/** In the order in which Go tries them where they begin alike. */
const ELEMENTS = [
  'January',
  'Jan',
  'Monday',
  'Mon',
  'MST',
  '01',
  '02',
  '03',
  '04',
  '05',
  '06',
  '002',
  '15',
  '1',
  '2006',
  '2',
  '_2006',
  '_2',
  '__2',
  '3',
  '4',
  '5',
  'PM',
  'pm',
  '-070000',
  '-07:00:00',
  '-0700',
  '-07:00',
  '-07',
  'Z070000',
  'Z07:00:00',
  'Z0700',
  'Z07:00',
  'Z07',
];

function nextChunk(layout: Bytes): Chunk | undefined {
  for (let at = 0; at < layout.length; at++) {
    const character = layout[at]!;
    if (character === '.' || character === ',') {
      const digit = layout[at + 1];
      if (digit !== '0' && digit !== '9') continue;
      let end = at + 1;
      while (layout[end] === digit) end++;
      if (!isDigitAt(layout, end)) return chunk(layout, at, end);
      continue;
    }
    if (!'JM0123456_PpZ-'.includes(character)) continue;
    const element = ELEMENTS.find((name) => layout.startsWith(name, at));
    if (element === undefined) continue;
    // `Jan` and `Mon` are no element in front of more letters
    if ((element === 'Jan' || element === 'Mon') && /[a-z]/.test(layout[at + 3] ?? '')) continue;
    // an underscore, and a year after it
    if (element === '_2006') return chunk(layout, at + 1, at + 5);
    return chunk(layout, at, at + element.length);
  }
  return undefined;
}

function chunk(layout: Bytes, start: number, end: number): Chunk {
  return { prefix: layout.slice(0, start), element: layout.slice(start, end), suffix: layout.slice(end) };
}

function isDigitAt(bytes: Bytes, at: number): boolean {
  const character = bytes[at];
  return character !== undefined && character >= '0' && character <= '9';
}

/** A time in a layout, both as bytes. */
export function formatTime(value: TimeValue, layout: Bytes): Bytes {
  const civil = civilOf(value);
  let text = '';
  let rest = layout;
  for (let next = nextChunk(rest); next !== undefined; next = nextChunk(rest)) {
    text += next.prefix + formatElement(next.element, civil, value.nanos);
    rest = next.suffix;
  }
  return text + rest;
}

function formatElement(element: string, civil: Civil, nanos: number): Bytes {
  const { year, month, day, hour, minute, second, weekday, yearDay, zoneName } = civil;
  const hour12 = hour % 12 === 0 ? 12 : hour % 12;
  switch (element) {
    case 'January':
      return MONTHS[month - 1]!;
    case 'Jan':
      return MONTHS[month - 1]!.slice(0, 3);
    case 'Monday':
      return WEEKDAYS[weekday]!;
    case 'Mon':
      return WEEKDAYS[weekday]!.slice(0, 3);
    case 'MST':
      return bytesOf(zoneName);
    case '2006':
      return padded(year, 4);
    case '06':
      return padded(Math.abs(year) % 100, 2);
    case '01':
      return padded(month, 2);
    case '1':
      return String(month);
    case '02':
      return padded(day, 2);
    case '_2':
      return String(day).padStart(2);
    case '2':
      return String(day);
    case '002':
      return padded(yearDay, 3);
    case '__2':
      return String(yearDay).padStart(3);
    case '15':
      return padded(hour, 2);
    case '03':
      return padded(hour12, 2);
    case '3':
      return String(hour12);
    case '04':
      return padded(minute, 2);
    case '4':
      return String(minute);
    case '05':
      return padded(second, 2);
    case '5':
      return String(second);
    case 'PM':
      return hour >= 12 ? 'PM' : 'AM';
    case 'pm':
      return hour >= 12 ? 'pm' : 'am';
  }
  if (element[0] === '.' || element[0] === ',') return fractionText(element, nanos);
  return offsetText(element, civil.offset);
}

function padded(value: number, width: number): string {
  return (value < 0 ? '-' : '') + String(Math.abs(value)).padStart(width, '0');
}

function fractionText(element: string, nanos: number): string {
  const width = element.length - 1;
  let digits = padded(nanos, 9).slice(0, width).padEnd(Math.min(width, 9), '0');
  if (element[1] === '9') {
    digits = digits.replace(/0+$/, '');
    if (digits === '') return '';
  }
  return element[0] + digits;
}

function offsetText(element: string, offset: number): string {
  if (element[0] === 'Z' && offset === 0) return 'Z';
  const size = Math.abs(offset);
  const colon = element.includes(':') ? ':' : '';
  let text = (offset < 0 ? '-' : '+') + padded(Math.floor(size / 3600), 2);
  if (element.length > 3) text += colon + padded(Math.floor(size / 60) % 60, 2);
  if (element.length > 6 && element !== 'Z07:00' && element !== '-07:00') text += colon + padded(size % 60, 2);
  return text;
}

/** As the errors of `time` quote: byte by byte what is not plain ASCII. */
function quote(bytes: Bytes): Bytes {
  let quoted = '"';
  for (const byte of bytes) {
    const code = byte.charCodeAt(0);
    if (code < 0x20 || code >= 0x80) quoted += `\\x${code.toString(16).padStart(2, '0')}`;
    else quoted += byte === '"' || byte === '\\' ? `\\${byte}` : byte;
  }
  return `${quoted}"`;
}

/** Reads one element of a layout after another. */
class TimeReader {
  rest: Bytes;

  constructor(value: Bytes) {
    this.rest = value;
  }

  /** One or two digits; two where `fixed`. */
  number(fixed: boolean, most = 2): number | undefined {
    let length = 0;
    while (length < most && isDigitAt(this.rest, length)) length++;
    if (length === 0 || (fixed && length < most)) return undefined;
    return Number(this.take(length));
  }

  take(length: number): Bytes {
    const taken = this.rest.slice(0, length);
    this.rest = this.rest.slice(length);
    return taken;
  }

  name(names: readonly string[], length?: number): number | undefined {
    const lower = this.rest.toLowerCase();
    const index = names.findIndex((name) => lower.startsWith((length ? name.slice(0, length) : name).toLowerCase()));
    if (index < 0) return undefined;
    this.take(length ?? names[index]!.length);
    return index;
  }
}

/** Fields of a time as they are read; those that did not stand in it are undefined. */
interface Read {
  year: number;
  month?: number;
  day?: number;
  yearDay?: number;
  hour: number;
  minute: number;
  second: number;
  nanos: number;
  half?: 'am' | 'pm';
  offset?: number;
  zoneName?: string;
  isUtc?: boolean;
}

/**
 * `time.ParseInLocation` in UTC.
 * @throws CallError
 */
export function parseTime(layout: Bytes, value: Bytes): TimeValue {
  const reader = new TimeReader(value);
  const read: Read = { year: 0, hour: 0, minute: 0, second: 0, nanos: 0 };
  const fail = (message: string): never => {
    throw new CallError(`parsing time ${quote(value)}: ${message}`);
  };
  const cannot = (element: Bytes, at: Bytes): never => {
    throw new CallError(
      `parsing time ${quote(value)} as ${quote(layout)}: cannot parse ${quote(at)} as ${quote(element)}`,
    );
  };
  let rest = layout;
  for (;;) {
    const next = nextChunk(rest);
    const prefix = next?.prefix ?? rest;
    if (!skipPrefix(reader, prefix)) cannot(prefix, reader.rest);
    if (next === undefined) break;
    rest = next.suffix;
    const held = reader.rest;
    const outOfRange = readElement(next.element, reader, read, rest);
    if (outOfRange === undefined) cannot(next.element, held);
    if (outOfRange !== '') fail(`${outOfRange} out of range`);
  }
  if (reader.rest !== '') fail(`extra text: ${quote(reader.rest)}`);
  if (read.half === 'pm' && read.hour < 12) read.hour += 12;
  else if (read.half === 'am' && read.hour === 12) read.hour = 0;
  placeYearDay(read, fail);
  const { year, month = 1, day = 1 } = read;
  if (day < 1 || day > daysIn(month, year)) fail('day out of range');
  const seconds = secondsOf(year, month, day, read.hour, read.minute, read.second);
  if (read.isUtc) return time(seconds, read.nanos, UTC);
  if (read.offset !== undefined) {
    const zone =
      read.offset === 0 && (read.zoneName ?? 'UTC') === 'UTC' ? UTC : fixedZone(read.zoneName ?? '', read.offset);
    return time(seconds - read.offset, read.nanos, zone.name === '' ? namelessZone(read.offset) : zone);
  }
  if (read.zoneName !== undefined) {
    const hours = /^GMT([+-]\d+)$/.exec(read.zoneName);
    return time(seconds, read.nanos, fixedZone(read.zoneName, hours === null ? 0 : Number(hours[1]) * 3600));
  }
  return time(seconds, read.nanos, UTC);
}

/** Shown by its offset. */
function namelessZone(offset: number): Zone {
  return fixedZone(offsetText('-0700', offset), offset);
}

function skipPrefix(reader: TimeReader, prefix: Bytes): boolean {
  let at = 0;
  while (at < prefix.length) {
    if (prefix[at] === ' ') {
      if (reader.rest !== '' && reader.rest[0] !== ' ') return false;
      while (prefix[at] === ' ') at++;
      reader.rest = reader.rest.replace(/^ +/, '');
      continue;
    }
    if (reader.rest[0] !== prefix[at]) return false;
    reader.take(1);
    at++;
  }
  return true;
}

/** Empty when it is read; what is out of range; undefined where it cannot be read. */
function readElement(element: string, reader: TimeReader, read: Read, layoutRest: Bytes): string | undefined {
  switch (element) {
    case '2006': {
      if (!isDigitAt(reader.rest, 0) || !/^\d{4}/.test(reader.rest)) return undefined;
      read.year = Number(reader.take(4));
      return '';
    }
    case '06': {
      const year = reader.number(true);
      if (year === undefined) return undefined;
      read.year = year + (year >= 69 ? 1900 : 2000);
      return '';
    }
    case 'January':
    case 'Jan': {
      const index = reader.name(MONTHS, element === 'Jan' ? 3 : undefined);
      if (index === undefined) return undefined;
      read.month = index + 1;
      return '';
    }
    case '01':
    case '1':
      read.month = reader.number(element === '01');
      return inRange(read.month, 1, 12, 'month');
    case 'Monday':
    case 'Mon':
      return reader.name(WEEKDAYS, element === 'Mon' ? 3 : undefined) === undefined ? undefined : '';
    case '02':
    case '_2':
    case '2':
      if (element === '_2' && reader.rest[0] === ' ') reader.take(1);
      read.day = reader.number(element === '02');
      return read.day === undefined ? undefined : '';
    case '002':
    case '__2':
      for (let i = 0; i < 2; i++) if (element === '__2' && reader.rest[0] === ' ') reader.take(1);
      read.yearDay = reader.number(element === '002', 3);
      return read.yearDay === undefined ? undefined : '';
    case '15':
    case '03':
    case '3': {
      const hour = reader.number(element === '03');
      read.hour = hour ?? 0;
      return inRange(hour, 0, element === '15' ? 23 : 12, 'hour');
    }
    case '04':
    case '4': {
      const minute = reader.number(element === '04');
      read.minute = minute ?? 0;
      return inRange(minute, 0, 59, 'minute');
    }
    case '05':
    case '5': {
      const second = reader.number(element === '05');
      read.second = second ?? 0;
      const complaint = inRange(second, 0, 59, 'second');
      // a fraction may stand in the value although the layout has none
      const upcoming = nextChunk(layoutRest)?.element[0];
      if (complaint === '' && upcoming !== '.' && upcoming !== ',') readFraction(reader, read);
      return complaint;
    }
    case 'PM':
    case 'pm': {
      const half = reader.take(2);
      if (half !== element && half !== (element === 'PM' ? 'AM' : 'am')) return undefined;
      read.half = half.toLowerCase() === 'pm' ? 'pm' : 'am';
      return '';
    }
    case 'MST':
      return readZoneName(reader, read) ? '' : undefined;
  }
  if (element[0] === '.' || element[0] === ',') {
    if (element[1] === '9') {
      readFraction(reader, read);
      return '';
    }
    const digits = new RegExp(`^[.,]\\d{${Math.min(element.length - 1, 50)}}`).exec(reader.rest);
    if (digits === null) return undefined;
    read.nanos = Number(reader.take(element.length).slice(1, 10).padEnd(9, '0'));
    return '';
  }
  return readOffset(element, reader, read);
}

function inRange(value: number | undefined, least: number, most: number, name: string): string | undefined {
  if (value === undefined) return undefined;
  return value < least || value > most ? name : '';
}

function readFraction(reader: TimeReader, read: Read): void {
  const fraction = /^[.,](\d+)/.exec(reader.rest);
  if (fraction === null) return;
  reader.take(fraction[0].length);
  read.nanos = Number(fraction[1]!.slice(0, 9).padEnd(9, '0'));
}

function readZoneName(reader: TimeReader, read: Read): boolean {
  if (reader.rest.startsWith('UTC')) {
    reader.take(3);
    read.isUtc = true;
    return true;
  }
  const name = /^(?:ChST|MeST|GMT(?:[+-]\d{1,2})?|[+-]\d{2,4}|[A-Z]{5}(?![A-Z])|[A-Z]{3,4}(?![A-Z]))/.exec(reader.rest);
  if (name === null) return false;
  read.zoneName = reader.take(name[0].length);
  return true;
}

function readOffset(element: string, reader: TimeReader, read: Read): string | undefined {
  if (element[0] === 'Z' && reader.rest[0] === 'Z') {
    reader.take(1);
    read.isUtc = true;
    return '';
  }
  const colon = element.includes(':') ? ':' : '';
  const groups = element.replace(/\D/g, '').length / 2;
  const shape = new RegExp(`^([+-])(\\d{2})${`${colon}(\\d{2})`.repeat(groups - 1)}`).exec(reader.rest);
  if (shape === null) return undefined;
  reader.take(shape[0].length);
  const [hours, minutes, seconds] = [Number(shape[2]), Number(shape[3] ?? 0), Number(shape[4] ?? 0)];
  if (hours > 24) return 'time zone offset hour';
  if (minutes > 60) return 'time zone offset minute';
  if (seconds > 60) return 'time zone offset second';
  const size = (hours * 60 + minutes) * 60 + seconds;
  read.offset = shape[1] === '-' ? -size : size;
  return '';
}

function placeYearDay(read: Read, fail: (message: string) => never): void {
  const { yearDay, year } = read;
  if (yearDay === undefined) return;
  if (yearDay < 1 || yearDay > (isLeap(year) ? 366 : 365)) fail('day-of-year out of range');
  let month = 1;
  let day = yearDay;
  while (day > daysIn(month, year)) day -= daysIn(month++, year);
  if (read.month !== undefined && read.month !== month) fail('day-of-year does not match month');
  if (read.day !== undefined && read.day !== day) fail('day-of-year does not match day');
  read.month = month;
  read.day = day;
}
