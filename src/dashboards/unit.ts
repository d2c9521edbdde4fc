import type { Unit } from './dashboard.ts';

/** The last words of a metric's name, and their units. Longer ones come first. */
const SUFFIXES: readonly (readonly [suffix: string, unit: Unit])[] = [
  ['_milliseconds', 'milliseconds'],
  ['_seconds', 'seconds'],
  ['_ms', 'milliseconds'],
  ['_bytes', 'bytes'],
  ['_ratio', 'percent-decimal'],
  ['_percent', 'percent'],
  ['_celsius', 'celsius'],
  ['_volts', 'volts'],
  ['_amperes', 'amperes'],
  ['_watts', 'watts'],
  ['_hertz', 'hertz'],
];

/** Units as OpenMetrics and UCUM write them. */
const WRITTEN: Readonly<Record<string, Unit>> = {
  seconds: 'seconds',
  s: 'seconds',
  milliseconds: 'milliseconds',
  ms: 'milliseconds',
  bytes: 'bytes',
  By: 'bytes',
  ratio: 'percent-decimal',
  '1': 'decimal',
  '%': 'percent',
  percent: 'percent',
  celsius: 'celsius',
  Cel: 'celsius',
  volts: 'volts',
  V: 'volts',
  amperes: 'amperes',
  A: 'amperes',
  watts: 'watts',
  W: 'watts',
  hertz: 'hertz',
  Hz: 'hertz',
};

/** The unit of a metric's values, by its metadata, else by its name. @param name without `_total`, `_sum` and the like */
export function unitOf(name: string, written = ''): Unit {
  const known = WRITTEN[written];
  if (known !== undefined && known !== 'decimal') return known;
  for (const [suffix, unit] of SUFFIXES) if (name.endsWith(suffix)) return unit;
  return 'decimal';
}

/** The unit of a rate. Seconds a second are a share of time, the words of a name say what is counted. */
export function rateUnitOf(name: string, written = ''): Unit {
  switch (unitOf(name, written)) {
    case 'bytes':
      return 'bytes/sec';
    case 'seconds':
      return 'percent-decimal';
    default:
      if (/requests?(_|$)/.test(name)) return 'requests/sec';
      if (/messages?(_|$)/.test(name)) return 'messages/sec';
      if (/packets?(_|$)/.test(name)) return 'packets/sec';
      if (/(operations|ops|commands|queries)(_|$)/.test(name)) return 'ops/sec';
      return 'counts/sec';
  }
}
