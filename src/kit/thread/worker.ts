import v8 from 'node:v8';
import { parentPort, type ResourceLimits, Worker } from 'node:worker_threads';
import { assert } from '../../lib/assert.ts';
import { systemClock } from '../../lib/clock.ts';
import { processErrors } from '../../model/errors-process.ts';
import { Channel, type Role, serve } from './channel.ts';
import { RestCollector } from './rest-collector.ts';

export interface WorkerSpec {
  /** For logs and errors: `query-worker`. */
  readonly name: string;
  /** From `workerUrl`. */
  readonly url: URL;
  /** Handed to the thread as `workerData`. */
  readonly data?: unknown;
  /** A thread that needs more heap dies alone. For short-lived objects it has NURSERY_MB unless said otherwise. */
  readonly resourceLimits?: ResourceLimits;
}

/** Enough for who works on buffers; each megabyte counts once for every thread. */
const NURSERY_MB = 3;
/** A thread that is to end has so long to load its modules: one that is ended while it loads native ones may end the process. */
const LOADED_WAIT_MS = 5_000;

/** A thread that serves one role. */
export class WorkerThread<R extends Role> {
  readonly channel: Channel<R>;
  /** Resolves with the reason when the thread is gone, whether asked to or not. */
  readonly gone: Promise<Error>;
  readonly #worker: Worker;
  /** Resolves when the thread has said something: its modules are loaded. */
  readonly #loaded: Promise<void>;

  private constructor(spec: WorkerSpec) {
    // as a flag it would stand above the limits of each thread
    v8.setFlagsFromString('--max-semi-space-size=0');
    this.#worker = new Worker(spec.url, {
      name: spec.name,
      workerData: spec.data,
      resourceLimits: { maxYoungGenerationSizeMb: NURSERY_MB, ...spec.resourceLimits },
    });
    this.channel = new Channel<R>(this.#worker);
    this.#loaded = new Promise((resolve) => {
      this.#worker.once('message', () => resolve());
    });
    let failure: NodeJS.ErrnoException | undefined;
    this.gone = new Promise((resolve) => {
      this.#worker.on('error', (error) => {
        failure = error;
      });
      this.#worker.on('exit', (code) => {
        const died = { worker: spec.name, reason: failure?.message ?? `exit code ${code}` };
        const isFull = failure?.code === 'ERR_WORKER_OUT_OF_MEMORY';
        const error = isFull ? processErrors.workerOutOfMemory(died) : processErrors.workerGone(died);
        this.channel.close(error);
        resolve(error);
      });
    });
  }

  static start<R extends Role>(spec: WorkerSpec): WorkerThread<R> {
    return new WorkerThread(spec);
  }

  async terminate(): Promise<void> {
    const waited = new AbortController();
    await Promise.race([this.#loaded, this.gone, systemClock.sleep(LOADED_WAIT_MS, waited.signal).catch(() => {})]);
    waited.abort();
    await this.#worker.terminate();
  }
}

/** In a worker's main file: answer the parent's messages. */
export function serveWorker(role: Role): void {
  assert(parentPort !== null, 'serveWorker outside of a worker');
  serve(parentPort, role);
  new RestCollector().start(systemClock);
}

/** The file of a worker beside the caller, in a checkout (`.ts`) and in an installed package (`.js`). */
export function workerUrl(name: string, from: string): URL {
  return new URL(`${name}${from.endsWith('.ts') ? '.ts' : '.js'}`, from);
}
