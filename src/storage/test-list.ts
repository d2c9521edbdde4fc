import { encodeLabels } from '../model/canonical.ts';
import { Labels } from '../model/labels.ts';
import { labelsHash } from '../model/labels-hash.ts';
import { shardHas } from '../model/series-shard.ts';
import type { SampleColumns } from './columns.ts';
import type { Queryable } from './queryable.ts';

/** A series as tests write it: labels, then `[timeMs, value]` pairs. */
export type TestSeries = readonly [labels: Readonly<Record<string, string>>, ...samples: (readonly [number, number])[]];

/** A small real store: everything in one list, matched one by one. */
export function listQueryable(list: readonly TestSeries[]): Queryable {
  const all = list
    .map(([record, ...samples]) => ({ labels: Labels.of(record), samples }))
    .sort((a, b) => Labels.compare(a.labels, b.labels));
  type One = (typeof all)[number];
  const within = ({ samples }: One, startMs: number, endMs: number) =>
    samples.filter(([timeMs]) => timeMs >= startMs && timeMs <= endMs);
  const pick = (
    lists: readonly (readonly { name: string; matches(value: string): boolean }[])[],
    startMs: number,
    endMs: number,
  ) =>
    all.filter(
      (one) =>
        within(one, startMs, endMs).length > 0 &&
        (lists.length === 0 || lists.some((matchers) => matchers.every((m) => m.matches(one.labels.get(m.name))))),
    );
  return {
    async select({ matchers, startMs, endMs, limit = 0, shard }, { budget }) {
      const ofShard = pick([matchers], startMs, endMs).filter(
        ({ labels }) => shard === undefined || shardHas(shard, labelsHash(encodeLabels(labels))),
      );
      const found = ofShard.slice(0, limit === 0 ? undefined : limit);
      budget.addSeries(found.length);
      return {
        series: found.map(({ labels }) => labels),
        warnings: [],
        read(index: number, out: SampleColumns) {
          out.clear();
          for (const [timeMs, value] of within(found[index]!, startMs, endMs)) out.pushFloat(timeMs, value);
        },
        close() {},
      };
    },
    async labelNames({ matchers, startMs, endMs }) {
      const names = pick(matchers, startMs, endMs).flatMap(({ labels }) => [...labels].map(([name]) => name));
      return { values: [...new Set(names)].sort(), warnings: [] };
    },
    async labelValues(name, { matchers, startMs, endMs }) {
      const values = pick(matchers, startMs, endMs).map(({ labels }) => labels.get(name));
      return { values: [...new Set(values)].filter((value) => value !== '').sort(), warnings: [] };
    },
  };
}
