import type { ReplicaAnswer, ReplicaLoss, ReplicaReader } from '../contract/replica.ts';
import type { RingStamp } from '../contract/ring-stamp.ts';
import type { Words } from '../ring/confirmation.ts';
import { encodeVersion, hashOfVersion, type RingVersion } from '../ring/version.ts';
import { type RingSource, RingView } from '../ring/view.ts';

// Members of a ring for tests: what they hold are texts, one in a slice.

export class TestReplica implements ReplicaReader {
  readonly items = new Set<string>();
  /** Called at the beginning of each call, and before each slice but the first: what it throws is the call's error. */
  trouble: (slice: number) => Promise<void> | void = () => {};
  losses: readonly ReplicaLoss[] = [];
  newer: RingStamp | undefined;
  /** Numbers of the versions that it was asked under, a call each. */
  readonly asked: number[] = [];
  /** Calls whose end nobody waited for. */
  cut = 0;

  async select(_: unknown, { number }: RingStamp, signal: AbortSignal) {
    this.asked.push(number);
    await before(this.trouble(0), signal);
    return this.#answer(this.#slices(signal), number);
  }

  async *#slices(signal: AbortSignal): AsyncGenerator<Uint8Array> {
    let isWhole = false;
    try {
      for (const [i, item] of [...this.items].entries()) {
        if (i > 0) await before(this.trouble(i), signal);
        yield new TextEncoder().encode(item);
      }
      isWhole = true;
    } finally {
      if (!isWhole) this.cut++;
    }
  }

  async labels(_: unknown, { number }: RingStamp, signal: AbortSignal) {
    this.asked.push(number);
    await before(this.trouble(0), signal);
    return this.#answer([...this.items], number);
  }

  async metadata(_: string, { number }: RingStamp, signal: AbortSignal) {
    this.asked.push(number);
    await before(this.trouble(0), signal);
    return this.#answer(
      [...this.items].map((metric) => ({ metric, type: 'gauge' as const, help: '', unit: '' })),
      number,
    );
  }

  async headStats(_: unknown, { number }: RingStamp, signal: AbortSignal) {
    this.asked.push(number);
    await before(this.trouble(0), signal);
    const series = this.items.size;
    const byName = [...this.items].map((name) => [name, 1] as const);
    const none = { chunks: series, minTimeMs: 1, maxTimeMs: 2, valuesByLabel: [], bytesByLabel: [], seriesByPair: [] };
    return this.#answer({ ...none, series, labelPairs: series, seriesByMetric: byName }, number);
  }

  async exemplars(_: unknown, { number }: RingStamp, signal: AbortSignal) {
    this.asked.push(number);
    await before(this.trouble(0), signal);
    const exemplars = [...this.items].map((id, timeMs) => ({ timeMs, value: 1, pairs: ['trace_id', id] }));
    return this.#answer([{ pairs: ['__name__', 'm'], exemplars }], number);
  }

  #answer<T>(value: T, number: number): ReplicaAnswer<T> {
    const newer = this.newer !== undefined && this.newer.number > number ? this.newer : undefined;
    return { newer, losses: this.losses, value };
  }
}

async function before(work: Promise<void> | void, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const cut = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  await Promise.race([work, cut]);
}

/** A ring that a test sets. */
export class TestRing implements RingSource {
  #view: RingView | undefined;
  readonly #listeners = new Set<(view: RingView) => void>();

  current(): RingView | undefined {
    return this.#view;
  }

  onChange(listener: (view: RingView) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  set(chain: readonly RingVersion[], words: Words = new Map(), wordMs = 0): RingView {
    const newest = chain.at(-1)!;
    const hash = hashOfVersion(encodeVersion(newest));
    this.#view = new RingView({ chain, hash, confirmed: newest.number, words, wordMs });
    for (const listener of this.#listeners) listener(this.#view);
    return this.#view;
  }
}
