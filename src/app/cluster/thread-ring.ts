import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { MetricSnapshot, MetricSource } from '../../kit/observe/metrics.ts';
import { Channel, serve } from '../../kit/thread/channel.ts';
import { assert } from '../../lib/assert.ts';
import { type Clock, timeout } from '../../lib/clock.ts';
import { decodeVersion, encodeVersion, type RingVersion } from '../../ring/version.ts';
import { type RingSource, RingView } from '../../ring/view.ts';

// The ring in a worker thread: the main thread has it from its members and its store, and tells the others.

/** Addresses of members, as they say now. */
export interface AddressesTold {
  readonly addresses: ReadonlyMap<string, string>;
  /** Higher with each time that they are told: they go two ways, and older ones may come later. */
  readonly turn: number;
}

/** The ring as one thread tells another of it: versions that were told before are named only. */
export interface RingUpdate extends AddressesTold {
  /** Hashes of the versions from the floor to the newest. */
  readonly hashes: readonly string[];
  /** Documents of those that were not told before. */
  readonly added: readonly (readonly [hash: string, bytes: Uint8Array])[];
  readonly confirmed: number;
  readonly words: ReadonlyMap<string, number>;
}

/** The main thread's end. */
export type RingHostRole = {
  /** Lets this process and a member tell each other what they know. Resolves with the number of the newest version that is known then. */
  meet(request: { readonly id: string }): Promise<number>;
  /** Looks for where members are now. Resolves with their addresses, of those that are known. */
  seek(request: { readonly ids: readonly string[] }): Promise<AddressesTold>;
};

/** The other thread's end. */
export type RingThreadRole = {
  update(update: RingUpdate): void;
  /** Metrics of the thread's own ways to members. */
  metrics(request: Record<string, never>): Promise<MetricSnapshot>;
};

/** Two ports between a thread and the ring of its process, one for each direction. */
export interface RingPorts {
  readonly calls: MessagePort;
  readonly updates: MessagePort;
}

/** Ports for both ends. @returns `moved` are those of the other end, to be handed over */
export function ringPorts(): { readonly own: RingPorts; readonly other: RingPorts; readonly moved: MessagePort[] } {
  const [calls, updates] = [new MessageChannel(), new MessageChannel()];
  const other = { calls: calls.port2, updates: updates.port2 };
  return { own: { calls: calls.port1, updates: updates.port1 }, other, moved: Object.values(other) };
}

export interface RingHostOptions {
  readonly ring: RingSource;
  addresses(): ReadonlyMap<string, string>;
  meet(id: string): Promise<void>;
  seek(ids: readonly string[]): Promise<void>;
}

/** Serves the ring to a thread until `gone`. @returns the thread's metrics, asked for anew each time */
export function serveRing(
  { ring, addresses, meet, seek }: RingHostOptions,
  { calls, updates }: RingPorts,
  gone: Promise<unknown>,
): MetricSource {
  let turn = 0;
  const addressesNow = (): AddressesTold => ({ addresses: addresses(), turn: ++turn });
  const role: RingHostRole = {
    async meet({ id }) {
      await meet(id);
      return ring.current()?.newest.number ?? 0;
    },
    async seek({ ids }) {
      await seek(ids);
      return addressesNow();
    },
  };
  serve(calls, role);
  const channel = new Channel<RingThreadRole>(updates);
  const told = new Set<string>();
  const tell = (view: RingView) => {
    // a thread that has gone is told no more below
    channel.call('update', { ...updateOf(view, told), ...addressesNow() }).catch(() => {});
  };
  const stop = ring.onChange(tell);
  const view = ring.current();
  if (view !== undefined) tell(view);
  void gone.then(() => {
    stop();
    calls.close();
    updates.close();
  });
  return () => channel.call('metrics', {});
}

const DOCUMENTS = new WeakMap<RingVersion, Uint8Array>();

function documentOf(version: RingVersion): Uint8Array {
  let bytes = DOCUMENTS.get(version);
  if (bytes === undefined) {
    bytes = encodeVersion(version);
    DOCUMENTS.set(version, bytes);
  }
  return bytes;
}

/** @param told hashes of versions that were told; those of this view, afterwards */
function updateOf(view: RingView, told: Set<string>): Omit<RingUpdate, keyof AddressesTold> {
  const { chain, confirmed, words, hash } = view;
  // a version is named by its child, the newest by the view
  const hashes = chain.map((_, i) => (i === chain.length - 1 ? hash : chain[i + 1]!.parent!));
  const added = chain.flatMap((version, i) =>
    told.has(hashes[i]!) ? [] : [[hashes[i]!, documentOf(version)] as const],
  );
  told.clear();
  for (const each of hashes) told.add(each);
  return { hashes, added, confirmed, words };
}

/** How long a version that the main thread knows may take to come here. */
const UPDATE_MS_MAX = 5000;

/** The ring as a worker thread knows it. */
export class ThreadRing implements RingSource {
  readonly #clock: Clock;
  readonly #host: Channel<RingHostRole>;
  readonly #listeners = new Set<(view: RingView) => void>();
  #versions = new Map<string, RingVersion>();
  #view: RingView | undefined;
  #told: AddressesTold = { addresses: new Map(), turn: 0 };

  /** @param metrics of this thread, for the process */
  constructor({ calls, updates }: RingPorts, clock: Clock, metrics: MetricSource = async () => []) {
    this.#clock = clock;
    this.#host = new Channel<RingHostRole>(calls);
    const role: RingThreadRole = { update: (update) => this.#take(update), metrics: () => metrics() };
    serve(updates, role);
  }

  current(): RingView | undefined {
    return this.#view;
  }

  onChange(listener: (view: RingView) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** As `meet` of ring/meeting.ts. Resolves when what the process knows then is known here. */
  async meet(id: string): Promise<void> {
    const number = await this.#host.call('meet', { id });
    if ((this.#view?.newest.number ?? 0) >= number) return;
    const limit = timeout(this.#clock, UPDATE_MS_MAX);
    try {
      await new Promise<void>((resolve) => {
        const stop = this.onChange((view) => {
          if (view.newest.number >= number) done();
        });
        const done = () => {
          stop();
          resolve();
        };
        limit.signal.addEventListener('abort', done, { once: true });
      });
    } finally {
      limit.cancel();
    }
  }

  /** Has the process look for members that cannot be reached at the addresses that are known. */
  async seek(ids: readonly string[]): Promise<void> {
    this.#takeAddresses(await this.#host.call('seek', { ids }));
    const view = this.#view;
    if (view !== undefined) for (const listener of this.#listeners) listener(view);
  }

  /** Address of a member, as it says now; undefined: that of the ring holds. */
  addressOf(id: string): string | undefined {
    return this.#told.addresses.get(id);
  }

  /** Addresses of all members that matter, as they say and as the ring has them. */
  get addresses(): string[] {
    const members = this.#view?.chain.flatMap((version) => version.members) ?? [];
    return [...new Set(members.flatMap(({ id, address }) => [this.#told.addresses.get(id) ?? address, address]))];
  }

  #takeAddresses({ addresses, turn }: AddressesTold): void {
    if (turn > this.#told.turn) this.#told = { addresses, turn };
  }

  #take({ hashes, added, confirmed, words, ...told }: RingUpdate): void {
    this.#takeAddresses(told);
    const known = new Map(added.map(([hash, bytes]) => [hash, decodeVersion(bytes)]));
    this.#versions = new Map(
      hashes.map((hash) => {
        const version = known.get(hash) ?? this.#versions.get(hash);
        assert(version !== undefined, `version ${hash} was never told`);
        return [hash, version];
      }),
    );
    const chain = [...this.#versions.values()];
    const before = this.#view;
    const isSaid =
      before === undefined || before.chain[0]!.number !== chain[0]!.number || !isEqual(before.words, words);
    // later than the process heard it: rows that were listed in between count as too old, which is harmless
    const wordMs = isSaid ? this.#clock.monotonicMs() : before.wordMs;
    const view = new RingView({ chain, hash: hashes.at(-1)!, confirmed, words, wordMs });
    this.#view = view;
    for (const listener of this.#listeners) listener(view);
  }
}

function isEqual(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean {
  return a.size === b.size && [...a].every(([id, number]) => b.get(id) === number);
}
