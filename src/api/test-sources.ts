import type { ApiRequest } from '../contract/api.ts';
import { systemClock } from '../lib/clock.ts';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import { Engine } from '../promql/engine.ts';
import { EngineRunner, type EngineRunnerOptions } from '../querier/engine-runner.ts';
import { QueryTurns } from '../querier/turns.ts';
import { listQueryable, type TestSeries } from '../storage/test-list.ts';
import { PromApi } from './backend.ts';
import type { ApiSources } from './sources.ts';

/** Parts that a test gives in place of the usual ones. */
export type TestParts = Partial<ApiSources & Pick<EngineRunnerOptions, 'engine'>>;

export function testSources(
  list: readonly TestSeries[],
  { engine = new Engine(), ...more }: TestParts = {},
): ApiSources {
  const queryable = listQueryable(list);
  const limits = more.limits ?? (() => DEFAULT_LIMITS);
  const timeoutMs = more.timeoutMs ?? 120_000;
  const clock = { ...systemClock, nowMs: () => 1767231000000 };
  return {
    queries: new EngineRunner({
      engine,
      queryable: () => queryable,
      limits,
      turns: new QueryTurns(clock),
      timeoutMs,
      clock,
    }),
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
    deleteCancelMs: 86_400_000,
    limits,
    clock,
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
