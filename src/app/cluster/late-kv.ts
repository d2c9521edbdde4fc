import type { KvClient, KvEntry } from '../../kv/client.ts';
import { unlessAborted } from '../../lib/aborted.ts';
import type { Clock } from '../../lib/clock.ts';

/** A key-value store that is opened when it is first asked, and again where that failed: a process starts without it. */
export class LateKv implements KvClient {
  readonly #open: () => Promise<OpenedKv>;
  readonly #clock: Clock;
  #opened: Promise<OpenedKv> | undefined;
  /** Monotonic time of its last answer; as long as there was none, of when this was made. */
  answeredMs: number;

  constructor(open: () => Promise<OpenedKv>, clock: Clock) {
    this.#open = open;
    this.#clock = clock;
    this.answeredMs = clock.monotonicMs();
  }

  async get(key: string, signal?: AbortSignal): Promise<KvEntry | undefined> {
    const entry = await (await this.#kv(signal)).get(key, signal);
    this.answeredMs = this.#clock.monotonicMs();
    return entry;
  }

  async put(key: string, value: Uint8Array, signal?: AbortSignal): Promise<void> {
    await (await this.#kv(signal)).put(key, value, signal);
  }

  async compareAndSet(key: string, expected: string | undefined, next: Uint8Array, signal?: AbortSignal) {
    return (await this.#kv(signal)).compareAndSet(key, expected, next, signal);
  }

  async remove(key: string, expected: string, signal?: AbortSignal): Promise<boolean> {
    return (await this.#kv(signal)).remove(key, expected, signal);
  }

  async *watch(prefix: string, signal: AbortSignal): AsyncGenerator<KvEntry> {
    yield* (await this.#kv(signal)).watch(prefix, signal);
  }

  async close(): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined);
    await opened?.close();
  }

  async #kv(signal: AbortSignal | undefined): Promise<KvClient> {
    this.#opened ??= this.#open().catch((thrown) => {
      this.#opened = undefined;
      throw thrown;
    });
    return (await unlessAborted(this.#opened, signal)).kv;
  }
}

export interface OpenedKv {
  readonly kv: KvClient;
  close(): Promise<void>;
}
