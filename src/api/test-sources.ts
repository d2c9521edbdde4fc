import type { ApiRequest } from '../contract/api.ts';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import { Labels } from '../model/labels.ts';
import { Engine } from '../promql/engine.ts';
import { EngineRunner, type EngineRunnerOptions } from '../querier/engine-runner.ts';
import { QueryTurns } from '../querier/turns.ts';
import type { SampleColumns } from '../storage/columns.ts';
import type { Queryable } from '../storage/queryable.ts';
import { PromApi } from './backend.ts';
import type { ApiSources } from './sources.ts';

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

/** What a test gives in place of what there is. */
export type TestParts = Partial<ApiSources & Pick<EngineRunnerOptions, 'engine'>>;

export function testSources(
  list: readonly TestSeries[],
  { engine = new Engine(), ...more }: TestParts = {},
): ApiSources {
  const queryable = listQueryable(list);
  const limits = more.limits ?? (() => DEFAULT_LIMITS);
  const timeoutMs = more.timeoutMs ?? 120_000;
  return {
    queries: new EngineRunner({ engine, queryable: () => queryable, limits, turns: new QueryTurns(), timeoutMs }),
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
    deletes: undefined,
    limits,
    clock: { nowMs: () => 1767231000000, sleep: async () => {} },
    perStepStats: true,
    searchEnabled: true,
    timeoutMs,
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
  const { status, contentType, body } = await new PromApi(sources).handle(request, new AbortController().signal);
  const text = new TextDecoder().decode(body);
  return { status, text, json: contentType === 'application/json' && text !== '' ? JSON.parse(text) : undefined };
}
