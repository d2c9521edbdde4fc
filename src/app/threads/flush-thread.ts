import type { StoreSpec } from '../../chunkstore/open.ts';
import type { SavedSeen } from '../../chunkstore/seen.ts';
import type { IngesterConfig } from '../../ingester/config.ts';
import type {
  DeletionsRequest,
  FlushReport,
  FlushRequest,
  FlushRunner,
  ReadBackReport,
  ReadBackRequest,
} from '../../ingester/flush/flush-contract.ts';
import type { Service } from '../../kit/service/service.ts';
import { WorkerThread, workerUrl } from '../../kit/thread/worker.ts';
import type { Clock } from '../../lib/clock.ts';
import { UseTimer } from '../../lib/use-timer.ts';
import type { FlushData, FlushRole } from './flush-role.ts';
import type { ShardConnection } from './shard-connection.ts';
import type { ShardHost } from './shard-thread-role.ts';

export interface FlushThreadOptions {
  readonly config: IngesterConfig;
  readonly store: StoreSpec;
  readonly deleteRequestCancelPeriodMs: number;
  readonly shards: ShardHost;
  readonly clock: Clock;
}

interface Worker {
  readonly thread: WorkerThread<FlushRole>;
  readonly use: UseTimer;
  /** One of the shards that it knows is gone. */
  stale: boolean;
}

/** How long the thread is kept when there is nothing to flush. */
const IDLE_MS = 3_000;

/** Flushes in a thread that comes when there is something to do, and goes afterwards with all the memory that it took. */
export class FlushThread implements Service, FlushRunner {
  readonly name = 'flush-thread';
  readonly #options: FlushThreadOptions;
  #worker: Worker | undefined;
  /** Rows that threads have written lately. */
  #seen: SavedSeen = new Map();

  constructor(options: FlushThreadOptions) {
    this.#options = options;
  }

  flush(request: FlushRequest): Promise<FlushReport> {
    return this.#with((worker) => worker.thread.channel.call('flush', request));
  }

  readDeletions(request: DeletionsRequest): Promise<void> {
    return this.#with((worker) => worker.thread.channel.call('readDeletions', request));
  }

  readBack(request: ReadBackRequest, signal: AbortSignal): Promise<ReadBackReport> {
    return this.#with((worker) => worker.thread.channel.call('readBack', request, { signal }));
  }

  async #with<T>(work: (worker: Worker) => Promise<T>): Promise<T> {
    // one that others still use ends when they are through
    if (this.#worker?.stale === true) this.#worker = undefined;
    const worker = this.#running();
    worker.use.begin();
    try {
      return await work(worker);
    } finally {
      worker.use.end();
    }
  }

  #running(): Worker {
    if (this.#worker === undefined) {
      const { store, config, deleteRequestCancelPeriodMs } = this.#options;
      const data: FlushData = {
        store,
        windowMs: config.windowMs,
        splitSeries: config.splitMetricSeries,
        deleteRequestCancelPeriodMs,
        walAgeMaxMs: config.walAgeMaxMs,
        seen: this.#seen,
      };
      const thread = WorkerThread.start<FlushRole>({
        name: 'flush',
        url: workerUrl('./flush-worker', import.meta.url),
        data,
        // labels of the groups that are being written live for a while: in less room they are copied and promoted
        resourceLimits: { maxYoungGenerationSizeMb: 36 },
      });
      const use = new UseTimer(this.#options.clock, IDLE_MS, () => void this.#end(made));
      const made: Worker = { thread, use, stale: false };
      // what a flush under way has seen of a shard does not hold for one that was started again: the next one asks anew
      const replaced = (_: number, { port }: ShardConnection) => {
        port.close();
        made.stale = true;
      };
      const shards = this.#options.shards.connect(replaced, thread.gone).map(({ port }) => port);
      thread.channel.call('connect', { shards }, { transfer: shards }).catch(() => {});
      this.#worker = made;
      void thread.gone.then(() => {
        if (this.#worker === made) this.#worker = undefined;
      });
    }
    return this.#worker;
  }

  /** Ends the thread where there is one; the next flush starts another. */
  async stop(): Promise<void> {
    if (this.#worker !== undefined) await this.#end(this.#worker);
  }

  async #end(worker: Worker): Promise<void> {
    if (this.#worker === worker) this.#worker = undefined;
    worker.use.cancel();
    // forgotten where it died: rows are then written once more, which is harmless
    this.#seen = await worker.thread.channel.call('seen', {}).catch(() => new Map());
    await worker.thread.terminate();
  }
}
