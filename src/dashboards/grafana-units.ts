/** Units as Grafana and as Perses name them; of several with one meaning, the first is written. */
const PAIRS: readonly (readonly [grafana: string, perses: string])[] = [
  ['short', 'decimal'],
  ['none', 'decimal'],
  ['percent', 'percent'],
  ['percentunit', 'percent-decimal'],
  ['s', 'seconds'],
  ['ms', 'milliseconds'],
  ['µs', 'microseconds'],
  ['ns', 'nanoseconds'],
  ['m', 'minutes'],
  ['h', 'hours'],
  ['d', 'days'],
  ['bytes', 'bytes'],
  ['decbytes', 'decbytes'],
  ['binBps', 'bytes/sec'],
  ['Bps', 'bytes/sec'],
  ['bps', 'bits/sec'],
  ['reqps', 'requests/sec'],
  ['ops', 'ops/sec'],
  ['iops', 'ops/sec'],
  ['rps', 'reads/sec'],
  ['wps', 'writes/sec'],
  ['mps', 'messages/sec'],
  ['pps', 'packets/sec'],
  ['cps', 'counts/sec'],
  ['rowsps', 'rows/sec'],
  ['celsius', 'celsius'],
  ['volt', 'volts'],
  ['amp', 'amperes'],
  ['watt', 'watts'],
  ['hertz', 'hertz'],
];
const PERSES = new Map(PAIRS);
const GRAFANA = new Map(PAIRS.toReversed().map(([grafana, perses]) => [perses, grafana]));

/** A unit that neither knows keeps its name. */
export function persesUnit(grafana: string): string {
  return PERSES.get(grafana) ?? grafana;
}

export function grafanaUnit(perses: string): string {
  return GRAFANA.get(perses) ?? perses;
}
