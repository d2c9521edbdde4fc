import type { Node } from 'yaml';
import { ConfigError } from '../fields/config-error.ts';
import { type Field, listOf, readFields, text } from '../fields/field.ts';
import type { Reading } from '../fields/reading.ts';
import {
  type MinuteSpan,
  parseDaysOfMonth,
  parseLocation,
  parseMonths,
  parseTimes,
  parseWeekdays,
  parseYears,
  type Span,
  type TimeInterval,
  TimeIntervalError,
} from '../time-interval.ts';

export interface NamedTimeInterval {
  readonly name: string;
  readonly intervals: readonly TimeInterval[];
}

function parsed<T>(parse: (text: string) => T): (reading: Reading, node: Node | null) => T {
  return ({ yaml }, node) => verdictOf(() => parse(yaml.string(node)));
}

function verdictOf<T>(parse: () => T): T {
  try {
    return parse();
  } catch (thrown) {
    throw thrown instanceof TimeIntervalError ? new ConfigError(thrown.message) : thrown;
  }
}

/** Undefined where it is not given: an empty list holds for no time. */
function spans<T>(read: (reading: Reading, node: Node | null) => T, type: string): Field<readonly T[] | undefined> {
  const list = listOf(read, type);
  return {
    initial: undefined,
    read: (reading, node) => (reading.yaml.isNothing(node) ? undefined : list.read(reading, node)),
  };
}

const TIMES = { start_time: text(), end_time: text() };

function readTimes(reading: Reading, node: Node | null): MinuteSpan {
  const problems = reading.yaml.problems.length;
  const { start_time, end_time } = readFields(reading, node, 'timeinterval.yamlTimeRange', TIMES);
  if (reading.yaml.problems.length > problems) return { startMinute: 0, endMinute: 0 };
  return verdictOf(() => parseTimes(start_time, end_time));
}

const span = (parse: (text: string) => Span, type: string) => spans(parsed(parse), `timeinterval.${type}`);

const INTERVAL = {
  times: spans(readTimes, 'timeinterval.TimeRange'),
  weekdays: span(parseWeekdays, 'WeekdayRange'),
  days_of_month: span(parseDaysOfMonth, 'DayOfMonthRange'),
  months: span(parseMonths, 'MonthRange'),
  years: span(parseYears, 'YearRange'),
  location: {
    initial: undefined,
    read: (reading, node) => (reading.yaml.isNothing(node) ? undefined : parsed(parseLocation)(reading, node)),
  } satisfies Field<ReturnType<typeof parseLocation> | undefined>,
};

function readInterval(reading: Reading, node: Node | null): TimeInterval {
  const { times, weekdays, days_of_month, months, years, location } = readFields(
    reading,
    node,
    'timeinterval.TimeInterval',
    INTERVAL,
  );
  return {
    ...(times && { times }),
    ...(weekdays && { weekdays }),
    ...(days_of_month && { daysOfMonth: days_of_month }),
    ...(months && { months }),
    ...(years && { years }),
    ...(location && { zone: location }),
  };
}

const NAMED = { name: text(), time_intervals: listOf(readInterval, 'timeinterval.TimeInterval') };

/** @param what `time interval` or `mute time interval`, for errors */
export function namedTimeIntervals(what: string): Field<readonly NamedTimeInterval[]> {
  return listOf((reading, node) => {
    const { name, time_intervals } = readFields(reading, node, 'config.plain', NAMED, (values) => {
      if (values.name === '') throw new ConfigError(`missing name in ${what}`);
    });
    return { name, intervals: time_intervals };
  }, 'config.TimeInterval');
}
