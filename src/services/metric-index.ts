import type { ApiBackend } from '../contract/api.ts';
import type { MetricFacts } from '../dashboards/fallback.ts';

/** Metrics that are listed for one service. */
const METRICS_MAX = 10_000;
const METADATA_MAX = 20_000;

/** Names of metrics and labels, from the label index by way of the API. */
export class MetricIndex {
  readonly #backend: ApiBackend;

  constructor(backend: ApiBackend) {
    this.#backend = backend;
  }

  /** Names of the metrics of matching series, ascending. @param selector matchers without braces */
  metrics(tenant: string, selector: string, range: TimeRange, signal: AbortSignal): Promise<string[]> {
    const params = [['match[]', `{${selector}}`], ['limit', String(METRICS_MAX)], ...times(range)] as const;
    return this.#list(tenant, '/api/v1/label/__name__/values', params, signal);
  }

  /** Names of the labels of a metric's matching series. */
  labels(tenant: string, metric: string, selector: string, range: TimeRange, signal: AbortSignal): Promise<string[]> {
    const params = [['match[]', `${metric}{${selector}}`], ...times(range)] as const;
    return this.#list(tenant, '/api/v1/labels', params, signal);
  }

  /** Metadata by metric; empty where it cannot be had. */
  async facts(tenant: string, signal: AbortSignal): Promise<ReadonlyMap<string, MetricFacts>> {
    const params = [
      ['limit_per_metric', '1'],
      ['limit', String(METADATA_MAX)],
    ] as const;
    const data = await this.#ask(tenant, '/api/v1/metadata', params, signal).catch((thrown) => {
      signal.throwIfAborted();
      if (thrown instanceof MetricIndexError) return {};
      throw thrown;
    });
    const facts = new Map<string, MetricFacts>();
    for (const [metric, list] of Object.entries((data ?? {}) as Record<string, MetricFacts[]>)) {
      const [first] = list;
      if (first !== undefined) facts.set(metric, first);
    }
    return facts;
  }

  async #list(tenant: string, path: string, params: Params, signal: AbortSignal): Promise<string[]> {
    const data = await this.#ask(tenant, path, params, signal);
    return Array.isArray(data) ? data : [];
  }

  async #ask(tenant: string, path: string, params: Params, signal: AbortSignal): Promise<unknown> {
    const { body } = await this.#backend.handle({ tenant, method: 'GET', path, params }, signal);
    const answer = JSON.parse(new TextDecoder().decode(body)) as { status: string; data?: unknown; error?: string };
    if (answer.status !== 'success') throw new MetricIndexError(answer.error ?? `${path} was refused`);
    return answer.data;
  }
}

/** The index was asked and refused. */
export class MetricIndexError extends Error {}

export interface TimeRange {
  readonly startMs: number;
  readonly endMs: number;
}

type Params = readonly (readonly [string, string])[];

function times({ startMs, endMs }: TimeRange): Params {
  return [
    ['start', String(startMs / 1000)],
    ['end', String(endMs / 1000)],
  ];
}
