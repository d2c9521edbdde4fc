import type { TimeValue, Zone } from './value.ts';

/** An instant on the calendar and the clock of its zone. */
export interface Civil {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  /** 0 is Sunday. */
  readonly weekday: number;
  /** 1 to 366. */
  readonly yearDay: number;
  /** Seconds east of UTC. */
  readonly offset: number;
  readonly zoneName: string;
}

export const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
] as const;
export const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'] as const;

const daySeconds = 86_400;
/** Seconds beyond which JavaScript knows no date: 100,000,000 days. */
const secondsMax = 8_640_000_000_000;

export const UTC: Zone = { name: 'UTC', at: () => ({ offset: 0, name: 'UTC' }) };

export function fixedZone(name: string, offset: number): Zone {
  return { name, at: () => ({ offset, name }) };
}

const zones = new Map<string, Zone>();
const zonesMax = 1000;

/** A zone of the IANA database; undefined where it has none of that name. */
export function zoneOf(name: string): Zone | undefined {
  if (name === '' || name === 'UTC' || name === 'Local') return UTC;
  const known = zones.get(name);
  if (known !== undefined) return known;
  // names only: the formatter would also take offsets
  if (!/^[A-Za-z][\w+/-]{0,63}$/.test(name)) return undefined;
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      hourCycle: 'h23',
      era: 'short',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch {
    return undefined;
  }
  const zone: Zone = { name, at: (seconds) => offsetOf(format, name, clamp(seconds)) };
  if (zones.size < zonesMax) zones.set(name, zone);
  return zone;
}

function offsetOf(format: Intl.DateTimeFormat, name: string, seconds: number): { offset: number; name: string } {
  const parts: Record<string, string> = {};
  for (const { type, value } of format.formatToParts(seconds * 1000)) parts[type] = value;
  const year = parts.era === 'BC' ? 1 - Number(parts.year) : Number(parts.year);
  const local = secondsOf(
    year,
    Number(parts.month),
    Number(parts.day),
    Number(parts.hour),
    Number(parts.minute),
    Number(parts.second),
  );
  return { offset: local - seconds, name: shortName(name, seconds, local - seconds) };
}

/** Zones of the Americas and Europe whose short names Go's database has, and the formatter only in their own locale. */
const SHORT_NAME_LOCALES = ['en-US', 'en-GB', 'en-AU', 'en-IN', 'en-CA', 'en-NZ', 'en-ZA'];

function shortName(timeZone: string, seconds: number, offset: number): string {
  for (const locale of SHORT_NAME_LOCALES) {
    const parts = new Intl.DateTimeFormat(locale, { timeZone, timeZoneName: 'short' }).formatToParts(seconds * 1000);
    const name = parts.find(({ type }) => type === 'timeZoneName')?.value ?? '';
    if (/^[A-Z]{2,5}$/.test(name)) return name;
  }
  const size = Math.abs(offset);
  const [hours, minutes] = [Math.floor(size / 3600), Math.floor(size / 60) % 60];
  const digits = String(hours).padStart(2, '0') + (minutes === 0 ? '' : String(minutes).padStart(2, '0'));
  return `${offset < 0 ? '-' : '+'}${digits}`;
}

function clamp(seconds: number): number {
  return Math.max(-secondsMax, Math.min(secondsMax, seconds));
}

/** Unix seconds of a date and a clock in UTC; fields beyond their range carry over. */
export function secondsOf(
  year: number,
  month: number,
  day: number,
  hour: number,
  minute: number,
  second: number,
): number {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return date.getTime() / 1000 + hour * 3600 + minute * 60 + second;
}

export function civilOf({ seconds, zone }: TimeValue): Civil {
  const { offset, name } = zone.at(seconds);
  const date = new Date(clamp(seconds + offset) * 1000);
  const year = date.getUTCFullYear();
  const start = secondsOf(year, 1, 1, 0, 0, 0);
  return {
    year,
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: date.getUTCSeconds(),
    weekday: date.getUTCDay(),
    yearDay: Math.floor((clamp(seconds + offset) - start) / daySeconds) + 1,
    offset,
    zoneName: name,
  };
}

export function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

export function daysIn(month: number, year: number): number {
  if (month === 2) return isLeap(year) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}
