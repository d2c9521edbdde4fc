import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import type { IngesterConfig } from '../../ingester/config.ts';
import { HeldRange } from '../../ingester/held-range.ts';
import { shardFolders } from '../../ingester/shard-folder.ts';
import type { ShardCalls } from '../../ingester/shard-messages.ts';
import type { HoldToken } from '../../kit/folder/hold.ts';
import type { Logger } from '../../kit/observe/log.ts';
import type { Service } from '../../kit/service/service.ts';
import { Channel } from '../../kit/thread/channel.ts';
import { WorkerThread, workerUrl } from '../../kit/thread/worker.ts';
import type { PooledWorker } from '../../kit/thread/worker-pool.ts';
import type { EdgeRole } from './edge-role.ts';
import type { ThreadLayout } from './layout.ts';
import type { ShardConnection, ShardHost, ShardThreadRole } from './shard-thread-role.ts';
import type { ShardData } from './shard-worker.ts';

export interface ShardThreadsOptions {
  readonly config: IngesterConfig;
  readonly layout: ThreadLayout;
  /** Folder of the shards. */
  readonly dir: string;
  /** This process' hold on the data folder. */
  readonly hold: HoldToken;
  readonly log: Logger;
}

const LOG_POLL_MS = 1000;

/** The shards of this process, each in a thread. */
export class ShardThreads implements Service, ShardHost {
  readonly name = 'shard-threads';
  readonly #options: ShardThreadsOptions;
  readonly #threads: WorkerThread<ShardThreadRole>[] = [];
  /** The memory of each shard's `HeldRange`. */
  readonly #held: SharedArrayBuffer[] = [];
  readonly seriesSecret: Uint8Array = Uint8Array.from(randomBytes(16));
  #polls: NodeJS.Timeout | undefined;
  #stopping = false;

  constructor(options: ShardThreadsOptions) {
    this.#options = options;
  }

  /** Every shard, in order; those that take writes come first. */
  get all(): readonly ShardCalls[] {
    return this.#threads.map(({ channel }) => channel);
  }

  connect(): ShardConnection[] {
    return this.#threads.map(({ channel }, i) => {
      const { port1, port2 } = new MessageChannel();
      channel.call('connect', { port: port1 }, { transfer: [port1] }).catch(() => {});
      return { port: port2, held: this.#held[i]! };
    });
  }

  edgeWithin(rawBytesMax: number): PooledWorker<EdgeRole> {
    const [shard] = this.#threads;
    if (shard === undefined || this.#options.layout.shards !== 1)
      throw new Error('bug: an edge within one of several shards');
    const { port1, port2 } = new MessageChannel();
    shard.channel.call('connectEdge', { port: port1, rawBytesMax }, { transfer: [port1] }).catch(() => {});
    const channel = new Channel<EdgeRole>(port2);
    void shard.gone.then((error) => channel.close(error));
    // it ends with its shard, and the process with that
    return { channel, gone: shard.gone, terminate: async () => port2.close() };
  }

  async start(): Promise<void> {
    const { log, config, layout, dir, hold } = this.#options;
    const writable = Array.from({ length: layout.shards }, (_, i) => i);
    const earlier = shardFolders(dir).filter((number) => number >= layout.shards);
    for (const i of [...writable, ...earlier]) {
      const held = HeldRange.everything().buffer;
      this.#held.push(held);
      const data: ShardData = {
        held,
        hold,
        folder: path.join(dir, `shard-${i}`),
        windowMs: config.windowMs,
        headBytesMax: config.headBytesMax,
        seriesSecret: this.seriesSecret,
        fsync: config.walFsync,
        fsyncIntervalMs: config.walFsyncIntervalMs,
        keepFlushedMs: config.keepFlushedMs,
      };
      const url = workerUrl('./shard-worker', import.meta.url);
      this.#threads.push(WorkerThread.start({ name: `shard-${i}`, url, data }));
    }
    for (const [i, shard] of this.#threads.entries()) {
      void shard.gone.then((error) => {
        if (this.#stopping) return;
        // what it held is in its log, but nobody else may serve it: only a new start of the process is safe
        log.error({ shard: i, error: error.message }, 'a shard is gone, ending');
        process.exitCode = 1;
        process.kill(process.pid, 'SIGTERM');
      });
    }
    this.#polls = setInterval(() => void this.#takeLogLines(), LOG_POLL_MS);
  }

  async #takeLogLines(): Promise<void> {
    const { log } = this.#options;
    const taken = this.#threads.map(async ({ channel }, shard) => {
      for (const { level, text, fields } of await channel.call('takeLogLines', {})) {
        log[level]({ shard, ...fields }, text);
      }
    });
    await Promise.allSettled(taken);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#polls);
    await this.#takeLogLines();
    await Promise.all(this.#threads.map((shard) => shard.terminate()));
  }
}
