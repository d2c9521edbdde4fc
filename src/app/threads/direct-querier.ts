import { PromApi } from '../../api/backend.ts';
import type { ApiSources } from '../../api/sources.ts';
import { type OpenedStore, openStore } from '../../chunkstore/open.ts';
import type { ApiRequest, ApiResponse } from '../../contract/api.ts';
import type { HeadSelect, HeadSlice } from '../../contract/ingester.ts';
import type { QueryRunner } from '../../contract/query.ts';
import { HeldRange } from '../../ingester/head/held-range.ts';
import { type DirectMiss, DirectReads } from '../../ingester/shard/direct-reads.ts';
import { KeptBudget } from '../../ingester/shard/kept-budget.ts';
import { ShardsClient } from '../../ingester/shard/shard-client.ts';
import type { ShardRole } from '../../ingester/shard/shard-messages.ts';
import { withTrace } from '../../kit/observe/trace.ts';
import { Channel } from '../../kit/thread/channel.ts';
import { IdleCollector } from '../../kit/thread/idle-collector.ts';
import { Link } from '../../kit/thread/link.ts';
import type { Clock } from '../../lib/clock.ts';
import { systemRandom } from '../../lib/random.ts';
import { SharedRoom } from '../../lib/shared-room.ts';
import type { Turns } from '../../lib/turns.ts';
import type { JoinedLimits } from '../../limits/query-limits.ts';
import { processErrors } from '../../model/errors-process.ts';
import type { Engine } from '../../promql/engine.ts';
import { AskedMetrics } from '../../querier/asked-metrics.ts';
import { OneByOne, WorkMeter } from '../../querier/direct/one-by-one.ts';
import { listPlainTombstones } from '../../querier/direct/plain-tombstones.ts';
import { isSmallExpr, windowMsMaxOf } from '../../querier/direct/small-expr.ts';
import { NotSmall, SmallQueryable } from '../../querier/direct/small-queryable.ts';
import { Querier, querierEngine } from '../../querier/querier.ts';
import { KernelRows } from '../../querier/row-kernel.ts';
import type { Worked } from '../../querier/service.ts';
import type { QueryContext, SelectRequest } from '../../storage/queryable.ts';
import type { QueryWorkerData } from './query-role.ts';
import type { ShardHost } from './shard-thread-role.ts';

/** Reads of the heads' memory in this thread, which must not be held up: the bounds of all selectors of one moment together. */
const READS = { waits: false, seriesMax: 100, bytesMax: 32 * 1024, chunksMax: 400, triesMax: 1 };
/** Turns of others in a query: each comes after some 10 ms of work. */
const TURNS_MAX = 4;
const ROW_BYTES = 2 * 2 ** 20;
const ROW_CACHE_BYTES = 4 * 2 ** 20;
/** Reads of the store's lists within a second; a tenant has three times what it leaves free. */
const LOOKS_A_SECOND = 20;

/** Outcome of a query that was tried. */
export interface DirectAnswer {
  /** Undefined where a query thread has to answer: it is not small, or an error. */
  readonly worked: Worked<ApiResponse> | undefined;
  /** Whether that is for want of turns only. */
  readonly isCrowded: boolean;
}

/** A tenant's use of this thread. */
export interface DirectUse {
  /** Whether the tenant has something left of what it may use. */
  readonly mayWork: () => boolean;
  readonly worked: (usedMs: number) => void;
}

export type DirectData = Pick<
  QueryWorkerData,
  'config' | 'purger' | 'store' | 'windowMs' | 'keepFlushedMs' | 'status' | 'queryRange'
>;

/** The shards, where a selector's answer is small. */
class SmallShards extends ShardsClient {
  override async selectWhole(request: HeadSelect, signal: AbortSignal): Promise<readonly HeadSlice[] | undefined> {
    const slices = await super.selectWhole(request, signal);
    if (slices === undefined) return undefined;
    let bytes = 0;
    for (const slice of slices) bytes += slice.bytes.length;
    if (bytes <= READS.bytesMax) return slices;
    for (const { giveBack } of slices) giveBack?.();
    return undefined;
  }

  protected override refusalOf(miss: DirectMiss): Error | undefined {
    return miss === 'too large' ? new NotSmall() : undefined;
  }
}

/** Evaluates small queries in this thread: the same engine as in query threads, over recent samples only. */
export class DirectQuerier {
  readonly #clock: Clock;
  readonly #engine: Engine;
  readonly #querier: Querier;
  readonly #store: OpenedStore;
  readonly #turns: OneByOne;
  readonly #asked: AskedMetrics;
  readonly #status: ApiSources['status'];
  readonly #windowMsMax: number;
  readonly #gone = Promise.withResolvers<void>();
  readonly #ports: { close(): void }[] = [];
  #looks = new SharedRoom(LOOKS_A_SECOND);
  #looksSinceMs = Number.NEGATIVE_INFINITY;

  private constructor(data: DirectData, store: OpenedStore, shards: Pick<ShardHost, 'connect'>, clock: Clock) {
    const { splitQueriesByIntervalMs: intervalMs } = data.queryRange;
    this.#windowMsMax = windowMsMaxOf(intervalMs);
    this.#status = { ...data.status, headStats: async () => undefined };
    this.#clock = clock;
    this.#store = store;
    this.#turns = new OneByOne(clock);
    this.#engine = querierEngine(data.config, new KernelRows(ROW_BYTES));
    this.#asked = new AskedMetrics(this.#engine.parsed);
    const budget = new KeptBudget();
    const ways: { readonly link: Link<ShardRole>; readonly direct: DirectReads }[] = [];
    const connections = shards.connect((shard, { port }) => {
      this.#ports.push(port);
      const reason = processErrors.workerGone({ worker: `shard-${shard}`, reason: 'it was started again' });
      const { link, direct } = ways[shard]!;
      link.replace(new Channel<ShardRole>(port), reason);
      readDirectly(link, direct);
      // the memory of the one before goes when nobody holds it
      new IdleCollector(clock).collect();
    }, this.#gone.promise);
    const ingester = new SmallShards(
      connections.map(({ port, held }) => {
        this.#ports.push(port);
        const link = new Link(new Channel<ShardRole>(port));
        const range = new HeldRange(held);
        const direct = new DirectReads(range, { ...READS, budget });
        ways.push({ link, direct });
        readDirectly(link, direct);
        return { channel: link, held: range, direct };
      }),
      true,
    );
    this.#querier = new Querier({
      config: data.config,
      purger: data.purger,
      engine: this.#engine,
      ingester,
      schema: store.schema,
      blockCache: undefined,
      rowCacheBytesMax: ROW_CACHE_BYTES,
      windowMs: data.windowMs,
      keepFlushedMs: data.keepFlushedMs,
      clock,
      random: systemRandom,
      listTombstones: listPlainTombstones,
      evaluation: { begin: () => ({ turn: fewTurns(clock, this.#turns), end() {} }) },
    });
  }

  static async open(data: DirectData, shards: Pick<ShardHost, 'connect'>, clock: Clock): Promise<DirectQuerier> {
    return new DirectQuerier(data, await openStore(data.store, clock), shards, clock);
  }

  /** @param worked told of the CPU time of this thread when it is over, however it ends */
  async handle(
    request: ApiRequest,
    limits: JoinedLimits,
    signal: AbortSignal,
    { mayWork, worked }: DirectUse,
  ): Promise<DirectAnswer> {
    const { tenant, trace, params } = request;
    const meter = new WorkMeter(threadCpuMs);
    meter.go();
    const { over, ...sources } = this.#querier.sources(tenant, limits);
    const queryable = new SmallQueryable({
      inner: sources.queryable(tenant),
      turns: this.#turns,
      meter,
      look: (...asked) => this.#look(tenant, ...asked),
      mayWork,
    });
    const api = new PromApi({
      ...sources,
      queries: this.#runnerOver(over(queryable)),
      queryable: () => queryable,
      status: this.#status,
    });
    try {
      const answer = await withTrace(trace, () => api.handle(request, signal));
      if (answer.status !== 200 || answer.parts !== undefined) {
        await answer.parts?.[Symbol.asyncIterator]().return?.();
        return { worked: undefined, isCrowded: queryable.isCrowded };
      }
      const metrics = await this.#asked.of(params.find(([name]) => name === 'query')?.[1] ?? '', NO_TURNS);
      // what it waited for others is none of its work
      return { worked: { answer, cache: undefined, metrics, workedMs: meter.usedMs }, isCrowded: false };
    } finally {
      queryable.end();
      worked(meter.usedMs);
    }
  }

  /** Instants alone, whose expression is small. */
  #runnerOver(inner: QueryRunner): QueryRunner {
    return {
      range: refuse,
      partial: refuse,
      instant: async (tenant, request, context) => {
        const expr = await this.#engine.parsed.of(request.expr, NO_TURNS);
        if (!isSmallExpr(expr, this.#windowMsMax)) throw new NotSmall();
        return inner.instant(tenant, request, context);
      },
    };
  }

  /** @returns false where the tenant has looked too often within a second */
  async #look(tenant: string, request: SelectRequest, context: QueryContext): Promise<boolean> {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#looksSinceMs >= 1000) {
      this.#looksSinceMs = nowMs;
      this.#looks = new SharedRoom(LOOKS_A_SECOND);
    }
    if (!this.#looks.take(tenant, 1)) return false;
    await this.#querier.lookAtStore(tenant, request, context);
    return true;
  }

  async close(): Promise<void> {
    this.#gone.resolve();
    for (const port of this.#ports) port.close();
    await this.#store.close();
  }
}

function readDirectly(link: Link<ShardRole>, direct: DirectReads): void {
  // of a shard that is gone there is nothing to read
  direct.connect(link).catch(() => {});
}

function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** Lets others run some times; what takes longer is not small. */
function fewTurns(clock: Pick<Clock, 'turn'>, evaluations: OneByOne): () => Promise<void> {
  let turns = 0;
  return async () => {
    if (++turns > TURNS_MAX) throw new NotSmall();
    await clock.turn();
    evaluations.goOn();
  };
}

const refuse = (): Promise<never> => Promise.reject(new NotSmall());

/** Turns of work that is not small where it has to pause. */
const NO_TURNS: Turns = { due: false, pause: refuse };
