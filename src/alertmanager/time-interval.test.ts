import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  containsTime,
  parseDaysOfMonth,
  parseLocation,
  parseMonths,
  parseTimes,
  parseWeekdays,
  parseYears,
  type TimeInterval,
} from './time-interval.ts';

const at = (text: string) => Date.parse(text);

test('a time is within where each list has an entry for it', () => {
  const holds = (interval: TimeInterval, inside: readonly string[], outside: readonly string[]) => {
    for (const time of inside) assert.ok(containsTime(interval, at(time)), `${time} is within`);
    for (const time of outside) assert.ok(!containsTime(interval, at(time)), `${time} is not within`);
  };
  holds(
    { times: [parseTimes('09:00', '17:00')], weekdays: [parseWeekdays('monday:friday')] },
    ['2026-11-27T09:00:00Z', '2026-11-27T16:59:59Z'],
    ['2026-11-27T17:00:00Z', '2026-11-27T08:59:59Z', '2026-11-28T10:00:00Z'],
  );
  holds(
    { weekdays: [parseWeekdays('Saturday:monday')] },
    ['2026-11-29T10:00:00Z', '2026-11-30T10:00:00Z'],
    ['2026-12-01T10:00:00Z'],
  );
  holds({ times: [parseTimes('23:00', '24:00')] }, ['2026-11-27T23:59:59Z'], ['2026-11-28T00:00:00Z']);
  holds(
    { daysOfMonth: [parseDaysOfMonth('-3:-1')] },
    ['2026-02-26T00:00:00Z', '2026-02-28T00:00:00Z'],
    ['2026-02-25T00:00:00Z'],
  );
  holds({ daysOfMonth: [parseDaysOfMonth('29:31')] }, ['2024-02-29T00:00:00Z'], ['2026-02-28T00:00:00Z']);
  holds(
    { months: [parseMonths('may:8')], years: [parseYears('2025:2026')] },
    ['2026-08-31T23:00:00Z'],
    ['2026-09-01T00:00:00Z', '2027-06-01T00:00:00Z'],
  );
  holds({ weekdays: [] }, [], ['2026-11-27T00:00:00Z']);
  holds({}, ['2026-11-27T00:00:00Z'], []);
});

test('zones, and the hours that summer time takes and gives', () => {
  const interval = { times: [parseTimes('02:00', '03:00')], zone: parseLocation('Europe/Berlin') };
  assert.ok(containsTime(interval, at('2026-03-28T01:30:00Z')));
  assert.ok(!containsTime(interval, at('2026-03-29T01:30:00Z')), 'there was no 02:30 on that day');
  assert.ok(!containsTime(interval, at('2026-03-29T00:59:00Z')));
  assert.ok(containsTime(interval, at('2026-10-25T00:30:00Z')));
  assert.ok(containsTime(interval, at('2026-10-25T01:30:00Z')), '02:30 came twice');
  assert.ok(
    containsTime(
      { times: [parseTimes('05:00', '06:00')], zone: parseLocation('Asia/Kathmandu') },
      at('2026-01-01T23:15:00Z'),
    ),
  );
});

test('verdicts', () => {
  for (const [parse, message] of [
    [() => parseTimes('9:00', '10:00'), "couldn't parse timestamp 9:00, invalid format"],
    [() => parseTimes('10:00', '10:00'), 'start time cannot be equal or greater than end time'],
    [() => parseTimes('', '10:00'), 'both start and end times must be provided'],
    [() => parseWeekdays('mo'), 'mo is not a valid weekday'],
    [() => parseWeekdays('a:b:c'), "couldn't parse range a:b:c, invalid format"],
    [() => parseDaysOfMonth('0'), '0 is not a valid day of the month: out of range'],
    [() => parseDaysOfMonth('-1:5'), 'end day must be negative if start day is negative'],
    [() => parseDaysOfMonth('10:5'), 'end day 5 is always before start day 10'],
    [() => parseMonths('13'), '13 is not a valid month: out of range'],
    [() => parseMonths('june:may'), 'end month may is before start month june'],
    [() => parseMonths('jun'), 'jun is not a valid month'],
    [() => parseYears('2026:2025'), 'end year 2025 is before start year 2026'],
    [() => parseYears('x'), 'strconv.Atoi: parsing "x": invalid syntax'],
    [() => parseLocation('Mars/Base'), 'unknown time zone Mars/Base'],
  ] as const) {
    assert.throws(parse, { message });
  }
});
