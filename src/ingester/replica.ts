import type { HeadExemplarRequest, HeadLabels, HeadSelect, IngesterClient } from '../contract/ingester.ts';
import type { ReplicaAnswer, ReplicaReader } from '../contract/replica.ts';
import type { RingStamp } from '../contract/ring-stamp.ts';
import { ringErrors } from '../model/errors-ring.ts';
import type { ShardsClient } from './shard/shard-client.ts';

/** The newest version of the ring that is known; a `RingSource` does. */
interface NewestVersion {
  current(): { readonly newest: { readonly number: number }; readonly hash: string } | undefined;
}

export interface ReplicaOptions {
  readonly ring: NewestVersion;
  readonly shards: IngesterClient & Pick<ShardsClient, 'losses'>;
  /** Why no reads are answered now (it was taken out of the ring: others have what came since); undefined: they are. */
  readonly refusing?: () => string | undefined;
}

/** This ingester as one of a ring: what its shards answer, with what makes the answer count. Shards that replay throw. */
export class Replica implements ReplicaReader {
  readonly #options: ReplicaOptions;

  constructor(options: ReplicaOptions) {
    this.#options = options;
  }

  async select(request: HeadSelect, version: RingStamp, signal: AbortSignal) {
    const slices = this.#options.shards.select(request, signal)[Symbol.asyncIterator]();
    return this.#answer(version, request, async () => {
      const first = slices.next();
      first.catch(() => {}); // whoever reads the slices hears of it
      return bytesOf(slices, first);
    });
  }

  labels(request: HeadLabels, version: RingStamp, signal: AbortSignal) {
    return this.#answer(version, request, () => this.#options.shards.labels(request, signal));
  }

  metadata(tenant: string, version: RingStamp, signal: AbortSignal) {
    return this.#answer(version, undefined, () => this.#options.shards.metadata(tenant, signal));
  }

  headStats(request: { readonly tenant: string; readonly limit: number }, version: RingStamp, signal: AbortSignal) {
    return this.#answer(version, undefined, () =>
      this.#options.shards.headStats(request.tenant, request.limit, signal),
    );
  }

  exemplars(request: HeadExemplarRequest, version: RingStamp, signal: AbortSignal) {
    return this.#answer(version, request, () => this.#options.shards.exemplars(request, signal));
  }

  /** @throws ringVersionUnknown, ringReaderAway */
  async #answer<T>(
    version: RingStamp,
    range: { readonly startMs: number; readonly endMs: number } | undefined,
    answer: () => Promise<T>,
  ): Promise<ReplicaAnswer<T>> {
    const newer = this.#newer(version);
    // one who asks under an older version learns the newer one, and with it whom to ask
    const reason = newer === undefined ? this.#options.refusing?.() : undefined;
    if (reason !== undefined) throw ringErrors.ringReaderAway({ reason });
    // Shards are asked for what they hold before they are asked what they lost: one that was started again meanwhile says so.
    const asked = answer();
    asked.catch(() => {}); // its turn to fail comes below
    const losses = range === undefined ? [] : await this.#options.shards.losses(range.startMs, range.endMs);
    return { newer, losses, value: await asked };
  }

  #newer({ number, hash }: RingStamp): RingStamp | undefined {
    const view = this.#options.ring.current();
    const known = view?.newest.number ?? 0;
    if (view === undefined || known < number) throw ringErrors.ringVersionUnknown({ number, known });
    if (known > number) return { number: known, hash: view.hash };
    if (view.hash !== hash) throw ringErrors.ringVersionUnknown({ number, known });
    return undefined;
  }
}

/** The bytes of slices of which the first is asked for already. No generator: one that nobody began would not close them. */
function bytesOf(
  slices: AsyncIterator<{ readonly bytes: Uint8Array }>,
  first: Promise<IteratorResult<{ readonly bytes: Uint8Array }>>,
): AsyncIterable<Uint8Array> {
  let ahead: typeof first | undefined = first;
  const iterator: AsyncIterator<Uint8Array> = {
    async next() {
      const next = ahead ?? slices.next();
      ahead = undefined;
      const { done, value } = await next;
      return done === true ? { done, value: undefined } : { done: false, value: value.bytes };
    },
    async return() {
      await slices.return?.();
      return { done: true, value: undefined };
    },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}
