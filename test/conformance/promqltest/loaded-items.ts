import { ClassicHistogram } from '../../../src/model/classic-histogram.ts';
import { isIntegerHistogram, toFloatHistogram } from '../../../src/model/histogram-integer.ts';
import { type Labels, METRIC_NAME } from '../../../src/model/labels.ts';
import type { Item, SeriesLine } from '../../../src/ruler/unit-test/series-line.ts';
import type { LoadCommand } from './script.ts';

export interface LoadedItem {
  readonly labels: Labels;
  readonly timeMs: number;
  readonly item: Item;
  /** 0 where unknown. */
  readonly startMs: number;
}

/** Items that a `load` command puts into a storage: series by series, each by time. */
export function* loadedItems({ stepMs, series, withCustomBuckets }: LoadCommand): Iterable<LoadedItem> {
  const lines = new Map<string, SeriesLine>();
  for (const line of series) lines.set(line.labels.key, line);
  for (const { labels, items, starts } of lines.values()) {
    for (const [i, item] of items.entries()) {
      const timeMs = i * stepMs;
      const offsetMs = starts?.[i];
      yield { labels, timeMs, item, startMs: offsetMs === undefined ? 0 : timeMs + offsetMs };
    }
  }
  if (withCustomBuckets) yield* customBuckets([...lines.values()], stepMs);
}

function* customBuckets(lines: readonly SeriesLine[], stepMs: number): Iterable<LoadedItem> {
  const classics = new Map<string, { labels: Labels; at: Map<number, ClassicHistogram> }>();
  for (const { labels, items } of lines) {
    const match = /^(.*)_(bucket|count|sum)$/.exec(labels.metricName);
    if (match === null) continue;
    const [, name, part] = match;
    const own = labels.with('le', '').with(METRIC_NAME, name!);
    let classic = classics.get(own.key);
    if (classic === undefined) {
      classic = { labels: own, at: new Map() };
      classics.set(own.key, classic);
    }
    const bound = part === 'bucket' ? boundOf(labels.get('le')) : 0;
    if (bound === undefined) continue;
    for (const [i, item] of items.entries()) {
      if (item === undefined || item === 'stale' || !('value' in item)) continue;
      let histogram = classic.at.get(i);
      if (histogram === undefined) {
        histogram = new ClassicHistogram();
        classic.at.set(i, histogram);
      }
      if (part === 'bucket') histogram.setBucket(bound, item.value);
      else if (part === 'count') histogram.setCount(item.value);
      else histogram.setSum(item.value);
    }
  }
  for (const { labels, at } of classics.values()) {
    for (const [i, classic] of [...at].sort(([a], [b]) => a - b)) {
      const native = classic.toNative();
      const histogram = isIntegerHistogram(native) ? toFloatHistogram(native) : native;
      yield { labels, timeMs: i * stepMs, item: { histogram }, startMs: 0 };
    }
  }
}

function boundOf(le: string): number | undefined {
  if (/^[+-]?inf$/i.test(le)) return le.startsWith('-') ? -Infinity : Infinity;
  return le !== '' && Number.isFinite(Number(le)) ? Number(le) : undefined;
}
