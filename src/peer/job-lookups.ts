import type { QueryUse } from '../contract/query.ts';
import { currentTrace } from '../kit/observe/trace.ts';
import type { Clock } from '../lib/clock.ts';
import { Pacer } from '../lib/pacer.ts';
import { MissingParts } from '../storage/missing.ts';
import type {
  LabelAnswer,
  LabelRequest,
  Queryable,
  QueryBudget,
  QueryContext,
  SelectRequest,
  SeriesSet,
} from '../storage/queryable.ts';
import type { AskJob } from './job-runner.ts';
import { encodeRequest } from './job-shapes.ts';
import {
  type AskedLookup,
  askedMatchers,
  encodeFound,
  foundHeadOf,
  foundSeries,
  foundValues,
  matchersOf,
} from './lookup-wire.ts';

/** The thread is held up for so long at a time. */
const SLICE_MS = 10;

/** Whoever looks series and labels up in another process, asked by jobs. It has no samples. */
export class JobQueryable implements Queryable {
  readonly #tenant: string;
  readonly #ask: AskJob;
  readonly #clock: Clock;
  readonly #oldestMs: number;
  /** Use of the look-ups that are through. */
  #used: QueryUse = { chunks: 0, chunkBytes: 0, fetchedBytes: 0 };

  /** @param oldestMs the oldest time that may be read, Unix ms; ANY_TIME_MS: any */
  constructor(tenant: string, ask: AskJob, clock: Clock, oldestMs: number) {
    this.#tenant = tenant;
    this.#ask = ask;
    this.#clock = clock;
    this.#oldestMs = oldestMs;
  }

  async select({ matchers, labelsOnly, limit, ...range }: SelectRequest, context: QueryContext): Promise<SeriesSet> {
    if (labelsOnly !== true) throw new Error('bug: samples are asked for where labels alone can be looked up');
    const asked = {
      method: 'series',
      name: '',
      matchers: [askedMatchers(matchers)],
      ...rangeOf(range, limit),
    } as const;
    const { head, pacer, heldBytes } = await this.#run(asked, context);
    try {
      const series = await foundSeries(head, pacer);
      const close = () => context.budget.addMemory(-heldBytes);
      return { series, warnings: head.warnings, read: (_, out) => out.clear(), close };
    } catch (thrown) {
      context.budget.addMemory(-heldBytes);
      throw thrown;
    }
  }

  labelNames(request: LabelRequest, context: QueryContext): Promise<LabelAnswer> {
    return this.#labels('labelNames', '', request, context);
  }

  labelValues(name: string, request: LabelRequest, context: QueryContext): Promise<LabelAnswer> {
    return this.#labels('labelValues', name, request, context);
  }

  async #labels(
    method: 'labelNames' | 'labelValues',
    name: string,
    { matchers, limit, ...range }: LabelRequest,
    context: QueryContext,
  ): Promise<LabelAnswer> {
    const asked = { method, name, matchers: matchers.map(askedMatchers), ...rangeOf(range, limit) };
    const { head, pacer, heldBytes } = await this.#run(asked, context);
    try {
      return { values: await foundValues(head, pacer), warnings: head.warnings };
    } finally {
      context.budget.addMemory(-heldBytes);
    }
  }

  async #run(asked: Omit<AskedLookup, 'allowPartial' | 'used'>, { budget, signal, missing }: QueryContext) {
    const lookup = { ...asked, allowPartial: missing !== undefined, used: this.#used };
    const payload = encodeRequest({ kind: 'lookup', ...lookup, trace: currentTrace(), oldestMs: this.#oldestMs });
    const answer = await this.#ask(this.#tenant, payload, signal);
    const head = foundHeadOf(answer.bytes);
    const { chunks, chunkBytes, fetchedBytes } = head.used;
    this.#used = {
      chunks: this.#used.chunks + chunks,
      chunkBytes: this.#used.chunkBytes + chunkBytes,
      fetchedBytes: this.#used.fetchedBytes + fetchedBytes,
    };
    budget.addSeries(head.series);
    budget.addChunks(chunks, chunkBytes);
    budget.addFetchedBytes(fetchedBytes);
    for (const part of head.missing) missing?.add(part);
    const heldBytes = answer.bytes.length;
    budget.addMemory(heldBytes);
    return { head, heldBytes, pacer: new Pacer(this.#clock, { sliceMs: SLICE_MS, signal }) };
  }
}

function rangeOf({ startMs, endMs }: { readonly startMs: number; readonly endMs: number }, limit = 0) {
  return { startMs, endMs, limit };
}

/** A budget that tells what it has counted. */
export interface CountedBudget extends QueryBudget {
  readonly series: number;
  readonly chunks: number;
  readonly chunkBytes: number;
  readonly fetchedBytes: number;
}

export interface LookupSources {
  readonly queryable: Queryable;
  /** Begins with what other parts have used. */
  readonly budget: CountedBudget;
  readonly clock: Clock;
}

/** The other end: the answer's bytes. */
export async function runLookup(
  { queryable, budget, clock }: LookupSources,
  { method, name, matchers, startMs, endMs, limit, allowPartial, used }: AskedLookup,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const pacer = new Pacer(clock, { sliceMs: SLICE_MS, signal });
  const missing = allowPartial ? new MissingParts() : undefined;
  const context: QueryContext = { signal, budget, missing };
  const lists = [];
  for (const list of matchers) lists.push(await matchersOf(list, pacer));
  const range = { startMs, endMs, limit };
  const found =
    method === 'series'
      ? await seriesOf(queryable, { matchers: lists[0] ?? [], ...range }, context)
      : await valuesOf(queryable, method === 'labelValues' ? name : undefined, { matchers: lists, ...range }, context);
  const use = {
    chunks: budget.chunks - used.chunks,
    chunkBytes: budget.chunkBytes - used.chunkBytes,
    fetchedBytes: budget.fetchedBytes - used.fetchedBytes,
  };
  return await encodeFound({ ...found, missing: missing?.list ?? [], used: use, series: budget.series }, pacer);
}

async function seriesOf(queryable: Queryable, request: SelectRequest, context: QueryContext) {
  const set = await queryable.select({ ...request, labelsOnly: true }, context);
  try {
    return { items: set.series.map(({ pairs }) => pairs), warnings: set.warnings };
  } finally {
    set.close();
  }
}

async function valuesOf(
  queryable: Queryable,
  name: string | undefined,
  request: LabelRequest,
  context: QueryContext,
): Promise<{ readonly items: readonly string[]; readonly warnings: readonly string[] }> {
  const { values, warnings } = await (name === undefined
    ? queryable.labelNames(request, context)
    : queryable.labelValues(name, request, context));
  return { items: values, warnings };
}
