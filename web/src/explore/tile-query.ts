import { printDuration } from '../model/duration.ts';

/** A metric as the search tells of it. */
export interface Metric {
  readonly name: string;
  readonly type: string;
  readonly help: string;
}

export interface Matcher {
  readonly label: string;
  readonly value: string;
}

/** How a metric's values are to be read: from its type where that is told, else from its name. */
export type Kind = 'counter' | 'histogram' | 'native-histogram' | 'info' | 'timestamp' | 'gauge';

/** Names of moments; other times are durations. */
const TIMESTAMP = /(_timestamp|_(start|boot|creation|expiry|last\w*)_time)_seconds$|^node_time_seconds$/;

export function kindOf({ name, type }: Pick<Metric, 'name' | 'type'>): Kind {
  if (name.endsWith('_bucket')) return 'histogram';
  if (type === 'histogram' && !/_(count|sum)$/.test(name)) return 'native-histogram';
  if (name.endsWith('_info') || type === 'info') return 'info';
  if (TIMESTAMP.test(name)) return 'timestamp';
  if (type === 'counter' || /_(total|count|sum)$/.test(name)) return 'counter';
  return 'gauge';
}

/**
 * The metric as its samples showed it to be: of a native histogram without metadata nothing else tells.
 *
 * @param histograms names of metrics whose tiles were answered by histograms
 */
export function asSeen(metric: Metric, histograms: ReadonlySet<string>): Metric {
  return histograms.has(metric.name) ? { ...metric, type: 'histogram' } : metric;
}

/** `name{job="a"}`, also where the name is none that stands alone. */
export function selectorOf(name: string, matchers: readonly Matcher[]): string {
  const pairs = matchers.map(({ label, value }) => `${nameText(label)}=${JSON.stringify(value)}`);
  if (/^[a-zA-Z_:][\w:]*$/.test(name)) return pairs.length === 0 ? name : `${name}{${pairs.join(', ')}}`;
  return `{${[JSON.stringify(name), ...pairs].join(', ')}}`;
}

/** The range of rates: four times the step, and no less than rates of a usual scrape need. */
export function rateRange(stepMs: number): string {
  return printDuration(Math.max(4 * stepMs, 120_000));
}

/** The query that shows a metric at a glance; with `by`, for each value of a label. */
export function tileQuery(
  metric: Pick<Metric, 'name' | 'type'>,
  matchers: readonly Matcher[],
  stepMs: number,
  by?: string,
): string {
  const selector = selectorOf(metric.name, matchers);
  const rate = `rate(${selector}[${rateRange(stepMs)}])`;
  const grouped = (labels: readonly string[]) =>
    labels.length === 0 ? '' : ` by (${labels.map(nameText).join(', ')})`;
  const own = by === undefined ? [] : [by];
  switch (kindOf(metric)) {
    case 'histogram':
      return `histogram_quantile(0.9, sum${grouped([...own, 'le'])} (${rate}))`;
    case 'native-histogram':
      return `histogram_quantile(0.9, sum${grouped(own)} (${rate}))`;
    case 'counter':
      return `sum${grouped(own)} (${rate})`;
    case 'info':
      return `count${grouped(own)} (${selector})`;
    case 'timestamp':
      return `min${grouped(own)} (time() - ${selector})`;
    case 'gauge':
      return `avg${grouped(own)} (${selector})`;
  }
}

function nameText(label: string): string {
  return /^[a-zA-Z_]\w*$/.test(label) ? label : JSON.stringify(label);
}

/** The first word of a name, by which metrics of one program usually stand together. */
export function prefixOf(name: string): string {
  return /^[^_:./-]+[_:./-]?/.exec(name)?.[0] ?? name;
}

/** Prefixes with how many metrics each has, the largest first; those of a single one are left out. */
export function prefixesOf(names: readonly string[]): (readonly [prefix: string, count: number])[] {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(prefixOf(name), (counts.get(prefixOf(name)) ?? 0) + 1);
  return [...counts].filter(([, count]) => count > 1).sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
}

/** Metrics near another: those that share most words with it, from the front. */
export function relatedTo(name: string, names: readonly string[], max: number): string[] {
  const words = name.split('_');
  const shared = (other: string) => {
    const theirs = other.split('_');
    let count = 0;
    while (count < words.length && words[count] === theirs[count]) count++;
    return count;
  };
  return names
    .filter((other) => other !== name && shared(other) > 0)
    .map((other) => ({ other, count: shared(other) }))
    .sort((a, b) => b.count - a.count || (a.other < b.other ? -1 : 1))
    .slice(0, max)
    .map(({ other }) => other);
}
