import { DEFAULT_LIMITS } from '../../limits/limits.ts';
import { errors } from '../../model/errors.ts';
import { Labels } from '../../model/labels.ts';
import { parseMetricSelector } from '../../promql/parser/parser.ts';
import { SampleColumns } from '../../storage/columns.ts';
import type { Queryable } from '../../storage/queryable.ts';
import type { ApiRequest } from '../api-contract.ts';
import { PromApi } from './backend.ts';
import type { ApiEngine, ApiSources } from './sources.ts';

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
    async select({ matchers, startMs, endMs, limit = 0 }, { budget }) {
      const found = pick([matchers], startMs, endMs).slice(0, limit === 0 ? undefined : limit);
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

/** An engine that knows two things: a number is a scalar, a name the newest samples of its series. */
export const tinyEngine: ApiEngine = {
  async query(queryable, { expr, timeMs, lookbackMs }, context) {
    if (Number.isFinite(Number(expr))) {
      return { value: { type: 'scalar', timeMs, value: Number(expr) }, warnings: [], infos: [] };
    }
    context.signal.throwIfAborted();
    if (!/^\w+$/.test(expr) || /^\d/.test(expr)) throw errors.queryFailed({ text: `this engine knows no ${expr}` });
    const matchers = parseMetricSelector(expr);
    const set = await queryable.select({ matchers, startMs: timeMs - lookbackMs + 1, endMs: timeMs }, context);
    const columns = new SampleColumns();
    const samples = set.series.map((labels, i) => {
      set.read(i, columns);
      return { labels, timeMs, value: columns.values[columns.count - 1]!, histogram: undefined };
    });
    return { value: { type: 'vector', samples }, warnings: [], infos: [] };
  },
  async queryRange(_, { expr, startMs, endMs, stepMs }) {
    const count = Math.floor((endMs - startMs) / stepMs) + 1;
    const times = Float64Array.from({ length: count }, (__, i) => startMs + i * stepMs);
    const values = new Float64Array(count).fill(Number(expr));
    return {
      value: { type: 'matrix', series: [{ labels: Labels.empty, times, values, histograms: undefined }] },
      warnings: [],
      infos: [],
    };
  },
};

export function testSources(list: readonly TestSeries[], more: Partial<ApiSources> = {}): ApiSources {
  const queryable = listQueryable(list);
  return {
    engine: tinyEngine,
    syntax: {},
    queryable: () => queryable,
    metadata: {
      metadata: async (_, { metric }) =>
        new Map(metric === '' || metric === 'up' ? [['up', [{ type: 'gauge', help: 'Is it up.', unit: '' }]]] : []),
    },
    exemplars: { exemplars: async () => [] },
    status: {
      version: '0.0.0',
      startTimeMs: 0,
      flags: { 'log.level': 'info' },
      configYaml: 'target: all\n',
      headStats: async () => undefined,
    },
    limits: () => DEFAULT_LIMITS,
    clock: { nowMs: () => 1767231000000, sleep: async () => {} },
    timeoutMs: 120_000,
    lookbackMs: 300_000,
    ...more,
  };
}

/** Asks the API as a URL does. */
export async function ask(
  sources: ApiSources,
  url: string,
  method = 'GET',
): Promise<{ status: number; text: string; json: unknown }> {
  const { pathname, searchParams } = new URL(url, 'http://test');
  const request: ApiRequest = { tenant: 't', method, path: decodeURIComponent(pathname), params: [...searchParams] };
  const { status, body } = await new PromApi(sources).handle(request, new AbortController().signal);
  const text = new TextDecoder().decode(body);
  return { status, text, json: text.startsWith('{') ? JSON.parse(text) : undefined };
}
