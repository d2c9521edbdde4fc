import type { Logger } from '../../kit/observe/log.ts';
import type { Service } from '../../kit/service/service.ts';
import type { KvClient } from '../../kv/client.ts';
import { type Clock, timeout } from '../../lib/clock.ts';
import { systemBytes } from '../../lib/random.ts';
import { processErrors } from '../../model/errors-process.ts';
import { SESSION_KEY_BYTES } from '../session-key.ts';

/** Key in the store of the ring. */
const KEY = 'sessions/key';
const CALL_MS_MAX = 10_000;
/** A start waits no longer than this for it; sessions are answered 503 until it is known. */
const WAIT_MS_MAX = 10_000;
const AGAIN_MS = 1000;
const LOOK_MS = 60_000;

export interface ClusterSessionKeyOptions {
  readonly kv: KvClient;
  readonly log: Logger;
  readonly clock: Clock;
}

/**
 * The key that signs sessions, the same for all processes of a cluster: it lies with the ring, and is made by whoever comes first.
 * One that was taken out of the store is replaced within a minute or two, and all sessions end.
 */
export class ClusterSessionKey implements Service {
  readonly name = 'session-key';
  readonly #options: ClusterSessionKeyOptions;
  readonly #stopping = new AbortController();
  #known: Uint8Array | undefined;
  #looking: Promise<void> = Promise.resolve();

  constructor(options: ClusterSessionKeyOptions) {
    this.#options = options;
  }

  /** @throws processErrors.sessionKeyAway */
  get key(): Uint8Array {
    if (this.#known === undefined) throw processErrors.sessionKeyAway({});
    return this.#known;
  }

  async start(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const { promise: first, resolve } = Promise.withResolvers<void>();
    this.#looking = this.#look(resolve);
    const limit = timeout(clock, WAIT_MS_MAX);
    const either = AbortSignal.any([signal, limit.signal]);
    const { promise: given, resolve: giveUp } = Promise.withResolvers<void>();
    either.addEventListener('abort', () => giveUp(), { once: true });
    await Promise.race([first, given]).finally(() => limit.cancel());
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopping'));
    await this.#looking;
  }

  /** Looks until it stops: often until the key is known, then each minute. */
  async #look(onFirst: () => void): Promise<void> {
    const { clock, log } = this.#options;
    const { signal } = this.#stopping;
    let said = '';
    while (!signal.aborted) {
      try {
        this.#known = await this.#readOrMake(signal);
        onFirst();
        said = '';
      } catch (thrown) {
        const { message } = thrown as Error;
        if (!signal.aborted && message !== said) log.warn({ err: message }, 'the key of sessions could not be read');
        said = message;
      }
      await clock.sleep(this.#known === undefined ? AGAIN_MS : LOOK_MS, signal).catch(() => {});
    }
  }

  async #readOrMake(signal: AbortSignal): Promise<Uint8Array> {
    const { kv, clock } = this.#options;
    const limit = timeout(clock, CALL_MS_MAX);
    const either = AbortSignal.any([signal, limit.signal]);
    try {
      for (;;) {
        const entry = await kv.get(KEY, either);
        if (entry?.value.length === SESSION_KEY_BYTES) return entry.value;
        await kv.compareAndSet(KEY, entry?.revision, systemBytes(SESSION_KEY_BYTES), either);
      }
    } finally {
      limit.cancel();
    }
  }
}
