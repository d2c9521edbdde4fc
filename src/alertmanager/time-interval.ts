import { civilOf, daysIn, zoneOf } from '../template/civil.ts';
import { timeOfMs } from '../template/time.ts';
import type { Zone } from '../template/value.ts';

/** Both ends inclusive. */
export interface Span {
  readonly begin: number;
  readonly end: number;
}

/** Minutes of the day, the end exclusive. */
export interface MinuteSpan {
  readonly startMinute: number;
  readonly endMinute: number;
}

/** A time is within where each list that is given has an entry for it. */
export interface TimeInterval {
  readonly times?: readonly MinuteSpan[];
  /** 0 is Sunday; an end before its begin goes over the end of the week. */
  readonly weekdays?: readonly Span[];
  /** Negative ones count from the end of the month. */
  readonly daysOfMonth?: readonly Span[];
  readonly months?: readonly Span[];
  readonly years?: readonly Span[];
  readonly zone?: Zone;
}

/** A text that is no part of a time interval; worded as the Alertmanager does. */
export class TimeIntervalError extends Error {}

export function containsTime(interval: TimeInterval, timeMs: number): boolean {
  const civil = civilOf(timeOfMs(timeMs + offsetMs(interval.zone, timeMs)));
  const minute = civil.hour * 60 + civil.minute;
  const holds = (spans: readonly Span[] | undefined, within: (span: Span) => boolean) =>
    spans === undefined || spans.some(within);
  const between = (value: number) => (span: Span) => value >= span.begin && value <= span.end;
  const monthDays = daysIn(civil.month, civil.year);
  return (
    (interval.times?.some(({ startMinute, endMinute }) => minute >= startMinute && minute < endMinute) ?? true) &&
    holds(interval.daysOfMonth, (span) => {
      const day = (given: number) => (given < 0 ? monthDays + given + 1 : given);
      const [begin, end] = [day(span.begin), day(span.end)];
      if (begin > monthDays) return false;
      const clamp = (value: number) => Math.max(-monthDays, Math.min(monthDays, value));
      return civil.day >= clamp(begin) && civil.day <= clamp(end);
    }) &&
    holds(interval.months, between(civil.month)) &&
    holds(interval.weekdays, ({ begin, end }) =>
      begin <= end ? civil.weekday >= begin && civil.weekday <= end : civil.weekday >= begin || civil.weekday <= end,
    ) &&
    holds(interval.years, between(civil.year))
  );
}

const offsetSlotMs = 15 * 60_000;
const offsets = new WeakMap<Zone, { readonly slot: number; readonly offsetMs: number }>();

/** Zones change at whole quarters of an hour; asking one is slow. */
function offsetMs(zone: Zone | undefined, timeMs: number): number {
  if (zone === undefined) return 0;
  const slot = Math.floor(timeMs / offsetSlotMs);
  const known = offsets.get(zone);
  if (known?.slot === slot) return known.offsetMs;
  const offsetMs = zone.at((slot * offsetSlotMs) / 1000).offset * 1000;
  offsets.set(zone, { slot, offsetMs });
  return offsetMs;
}

const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];
const MONTHS = [
  'january',
  'february',
  'march',
  'april',
  'may',
  'june',
  'july',
  'august',
  'september',
  'october',
  'november',
  'december',
];

/** Go's `strconv.Atoi`. */
function integer(text: string): number | undefined {
  return /^[+-]?\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function number(text: string): number {
  const value = integer(text);
  if (value === undefined) throw new TimeIntervalError(`strconv.Atoi: parsing "${text}": invalid syntax`);
  return value;
}

function span(given: string, member: (text: string) => number): Span {
  const text = given.toLowerCase();
  if (!text.includes(':')) {
    const value = member(text);
    return { begin: value, end: value };
  }
  const parts = text.split(':');
  if (parts.length !== 2) throw new TimeIntervalError(`couldn't parse range ${text}, invalid format`);
  return { begin: member(parts[0]!), end: member(parts[1]!) };
}

/** @throws TimeIntervalError */
export function parseWeekdays(text: string): Span {
  return span(text, (name) => {
    const day = WEEKDAYS.indexOf(name);
    if (day < 0) throw new TimeIntervalError(`${name} is not a valid weekday`);
    return day;
  });
}

/** @throws TimeIntervalError */
export function parseDaysOfMonth(text: string): Span {
  const { begin, end } = span(text, number);
  for (const day of [begin, end]) {
    if (day === 0 || day < -31 || day > 31)
      throw new TimeIntervalError(`${day} is not a valid day of the month: out of range`);
  }
  if (begin < 0 && end > 0) throw new TimeIntervalError('end day must be negative if start day is negative');
  const inShortest = (day: number) => (day < 0 ? 28 + day : day);
  if (inShortest(begin) > inShortest(end)) {
    throw new TimeIntervalError(`end day ${end} is always before start day ${begin}`);
  }
  return { begin, end };
}

/** @throws TimeIntervalError */
export function parseMonths(text: string): Span {
  const { begin, end } = span(text, (name) => {
    const month = MONTHS.indexOf(name) + 1 || integer(name);
    if (month === undefined) throw new TimeIntervalError(`${name} is not a valid month`);
    return month;
  });
  for (const month of [begin, end]) {
    if (month < 1 || month > 12) throw new TimeIntervalError(`${month} is not a valid month: out of range`);
  }
  if (begin > end) {
    throw new TimeIntervalError(`end month ${MONTHS[end - 1]} is before start month ${MONTHS[begin - 1]}`);
  }
  return { begin, end };
}

/** @throws TimeIntervalError */
export function parseYears(text: string): Span {
  const { begin, end } = span(text, number);
  if (begin > end) throw new TimeIntervalError(`end year ${end} is before start year ${begin}`);
  return { begin, end };
}

/** @throws TimeIntervalError */
export function parseTimes(start: string, end: string): MinuteSpan {
  if (start === '' || end === '') throw new TimeIntervalError('both start and end times must be provided');
  const [startMinute, endMinute] = [minuteOf(start), minuteOf(end)];
  if (startMinute >= endMinute) throw new TimeIntervalError('start time cannot be equal or greater than end time');
  return { startMinute, endMinute };
}

function minuteOf(text: string): number {
  if (!/^(?:(?:[01]\d|2[0-3]):[0-5]\d|24:00)$/.test(text)) {
    throw new TimeIntervalError(`couldn't parse timestamp ${text}, invalid format`);
  }
  return Number(text.slice(0, 2)) * 60 + Number(text.slice(3));
}

/** @throws TimeIntervalError */
export function parseLocation(name: string): Zone {
  const zone = zoneOf(name);
  if (zone === undefined) throw new TimeIntervalError(`unknown time zone ${name}`);
  return zone;
}
