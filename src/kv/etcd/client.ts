import type { Clock, Timer } from '../../lib/clock.ts';
import type { RandomBytes } from '../../lib/random.ts';
import { kvErrors } from '../../model/errors-kv.ts';
import type { KvClient, KvEntry } from '../client.ts';
import { checkEntry } from '../limits.ts';
import type { EtcdConfig } from './config.ts';
import { EtcdGateway } from './gateway.ts';

const BACKEND = 'etcd';
/** Bytes that stand before each value, and are its revision: etcd's own begin anew when its data is lost. */
const NONCE_BYTES = 16;
const FORMAT = 1;
/** Entries of one answer; of the largest values some 11 MiB. */
const PAGE_ENTRIES = 8;
/** A watch that was told nothing for so long asks whether there was anything. */
const SILENCE_MS = 15_000;

interface Header {
  readonly revision?: string;
}

interface KeyValue {
  readonly key: string;
  readonly value?: string;
  readonly mod_revision?: string;
}

interface KeyRange {
  readonly key: string;
  readonly range_end: string;
}

interface RangeAnswer {
  readonly header?: Header;
  readonly kvs?: readonly KeyValue[];
  readonly more?: boolean;
}

interface TxnAnswer {
  readonly succeeded?: boolean;
}

interface WatchMessage {
  readonly error?: { readonly message?: string };
  readonly result?: {
    readonly header?: Header;
    readonly canceled?: boolean;
    readonly cancel_reason?: string;
    readonly events?: readonly { readonly type?: string; readonly kv?: KeyValue }[];
  };
}

export interface EtcdKvOptions {
  readonly config: EtcdConfig;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly silenceMs?: number;
}

/** Keys in etcd, by its JSON gateway. No key has a lease: one that ends by itself would look like a store that lost something. */
export class EtcdKv implements KvClient {
  readonly #gateway: EtcdGateway;
  readonly #clock: Clock;
  readonly #randomBytes: RandomBytes;
  readonly #prefix: string;
  readonly #silenceMs: number;

  /** @throws where the configuration is not whole */
  constructor({ config, clock, randomBytes, silenceMs = SILENCE_MS }: EtcdKvOptions) {
    this.#gateway = new EtcdGateway(config, clock);
    this.#clock = clock;
    this.#randomBytes = randomBytes;
    this.#prefix = config.keyPrefix;
    this.#silenceMs = silenceMs;
  }

  async get(key: string, signal?: AbortSignal): Promise<KvEntry | undefined> {
    signal?.throwIfAborted();
    const { kvs = [] } = await this.#range({ key: this.#key(key) }, signal);
    return kvs[0] === undefined ? undefined : this.#entryOf(kvs[0]);
  }

  async put(key: string, value: Uint8Array, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    checkEntry(BACKEND, key, value);
    const body = { key: this.#key(key), value: this.#sealed(value) };
    await this.#gateway.call('/v3/kv/put', body, { signal, isRepeatable: true });
  }

  async compareAndSet(
    key: string,
    expected: string | undefined,
    next: Uint8Array,
    signal?: AbortSignal,
  ): Promise<boolean> {
    signal?.throwIfAborted();
    checkEntry(BACKEND, key, next);
    const put = { request_put: { key: this.#key(key), value: this.#sealed(next) } };
    return this.#swap(key, expected, put, signal);
  }

  async remove(key: string, expected: string, signal?: AbortSignal): Promise<boolean> {
    signal?.throwIfAborted();
    return this.#swap(key, expected, { request_delete_range: { key: this.#key(key) } }, signal);
  }

  async *watch(prefix: string, signal: AbortSignal): AsyncGenerator<KvEntry> {
    const stop = new AbortController();
    const either = AbortSignal.any([signal, stop.signal]);
    try {
      const range = this.#rangeOf(prefix);
      const changed = new Map<string, KvEntry>();
      let revision: string | undefined;
      for await (const { header, kvs } of this.#pages(range, either)) {
        revision ??= header;
        for (const each of kvs) {
          const entry = this.#entryIn(each);
          if (entry !== undefined) changed.set(entry.key, entry);
        }
        yield* taken(changed, signal);
      }
      if (signal.aborted) return;
      const events = new EventQueue(changed);
      const told = this.#tell(range, BigInt(revision ?? '0'), events, either).then(
        () => events.end(),
        (thrown) => events.end(thrown),
      );
      const onAbort = () => events.wake();
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        while (!signal.aborted) {
          yield* taken(changed, signal);
          if (!(await events.more())) break;
        }
      } finally {
        signal.removeEventListener('abort', onAbort);
        stop.abort();
        await told;
      }
    } catch (thrown) {
      if (!signal.aborted) throw thrown;
    } finally {
      stop.abort();
    }
  }

  async close(): Promise<void> {
    await this.#gateway.close();
  }

  /** Follows changes after a revision until the signal. @throws where they cannot be followed from there on */
  async #tell(range: KeyRange, revision: bigint, events: EventQueue, signal: AbortSignal): Promise<void> {
    const stop = new AbortController();
    const either = AbortSignal.any([signal, stop.signal]);
    const request = { create_request: { ...range, start_revision: String(revision + 1n), progress_notify: true } };
    const silence = new Silence(this.#clock, this.#silenceMs, revision, () => this.#newest(range, either));
    silence.onMissed = (error) => stop.abort(error);
    try {
      for await (const message of this.#gateway.stream('/v3/watch', request, either)) {
        const { result, error } = message as WatchMessage;
        if (error !== undefined || result?.canceled) {
          const reason = error?.message ?? result?.cancel_reason ?? 'the watch was cancelled';
          throw kvErrors.kvAway({ backend: BACKEND, operation: '/v3/watch', reason });
        }
        silence.heard();
        for (const { type, kv } of result?.events ?? []) {
          if (kv === undefined) continue;
          silence.heard(BigInt(kv.mod_revision ?? '0'));
          const entry = type === 'DELETE' ? undefined : this.#entryIn(kv);
          if (entry === undefined) events.drop(this.#name(kv.key));
          else events.add(entry);
        }
      }
    } finally {
      silence.end();
    }
  }

  /** Revision of the newest change of a key that is there. */
  async #newest(range: KeyRange, signal: AbortSignal): Promise<bigint> {
    const newest = { ...range, limit: '1', keys_only: true, sort_order: 'DESCEND', sort_target: 'MOD' };
    const { kvs = [] } = await this.#range(newest, signal);
    return BigInt(kvs[0]?.mod_revision ?? '0');
  }

  /** Entries of a range as of one revision. */
  async *#pages(range: KeyRange, signal: AbortSignal) {
    let { key } = range;
    for (let revision: string | undefined; ; ) {
      const body = { ...range, key, limit: String(PAGE_ENTRIES), ...(revision === undefined ? {} : { revision }) };
      const { header, kvs = [], more = false } = await this.#range(body, signal);
      revision ??= header?.revision ?? '0';
      yield { header: revision, kvs };
      const last = kvs.at(-1);
      if (!more || last === undefined) return;
      key = Buffer.concat([Buffer.from(last.key, 'base64'), Uint8Array.of(0)]).toString('base64');
    }
  }

  #range(body: object, signal: AbortSignal | undefined): Promise<RangeAnswer> {
    return this.#gateway.call<RangeAnswer>('/v3/kv/range', body, { signal, isRepeatable: true });
  }

  async #swap(
    key: string,
    expected: string | undefined,
    change: object,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const compare = this.#compare(key, expected);
    if (compare === undefined) return false;
    const body = { compare, success: [change] };
    // made again, it would not find what it found, and say that it did nothing
    const answer = await this.#gateway.call<TxnAnswer>('/v3/kv/txn', body, { signal, isRepeatable: false });
    return answer.succeeded === true;
  }

  /** A value has a revision where it begins with its nonce; undefined: no revision is written so. */
  #compare(name: string, expected: string | undefined): object[] | undefined {
    const key = this.#key(name);
    if (expected === undefined) return [{ key, target: 'VERSION', result: 'EQUAL', version: '0' }];
    const nonce = Buffer.from(expected, 'hex');
    if (nonce.length !== NONCE_BYTES) return undefined;
    const after = Buffer.concat([nonce, Uint8Array.of(0xff)]).toString('base64');
    return [
      { key, target: 'VALUE', result: 'GREATER', value: nonce.toString('base64') },
      { key, target: 'VALUE', result: 'LESS', value: after },
    ];
  }

  #sealed(value: Uint8Array): string {
    return Buffer.concat([this.#randomBytes(NONCE_BYTES), Uint8Array.of(FORMAT), value]).toString('base64');
  }

  #entryOf(found: KeyValue): KvEntry {
    const entry = this.#entryIn(found);
    if (entry !== undefined) return entry;
    const key = this.#name(found.key);
    throw kvErrors.kvValueDamaged({ backend: BACKEND, key, reason: 'it was not written by Pallium' });
  }

  /** An entry; undefined: it is none of this client's. */
  #entryIn({ key, value = '' }: KeyValue): KvEntry | undefined {
    const bytes = Buffer.from(value, 'base64');
    if (bytes[NONCE_BYTES] !== FORMAT) return undefined;
    const revision = bytes.toString('hex', 0, NONCE_BYTES);
    return { key: this.#name(key), value: new Uint8Array(bytes.subarray(NONCE_BYTES + 1)), revision };
  }

  #key(name: string): string {
    return Buffer.from(this.#prefix + name).toString('base64');
  }

  #name(key: string): string {
    return Buffer.from(key, 'base64').toString().slice(this.#prefix.length);
  }

  #rangeOf(prefix: string): KeyRange {
    const from = Buffer.from(this.#prefix + prefix);
    const end = Buffer.from(from);
    // text has no byte 0xff
    if (end.length > 0) end[end.length - 1]!++;
    return { key: from.toString('base64') || 'AA==', range_end: end.toString('base64') || 'AA==' };
  }
}

/** Entries that changed, each taken out before it is given. */
function* taken(changed: Map<string, KvEntry>, signal: AbortSignal): Generator<KvEntry> {
  while (!signal.aborted) {
    const [first] = changed;
    if (first === undefined) return;
    changed.delete(first[0]);
    yield first[1];
  }
}

/** Changes that a watcher has not taken yet: the newest of each key. */
class EventQueue {
  readonly #changed: Map<string, KvEntry>;
  #wake = () => {};
  #end: { readonly error?: unknown } | undefined;

  constructor(changed: Map<string, KvEntry>) {
    this.#changed = changed;
  }

  add(entry: KvEntry): void {
    this.#changed.set(entry.key, entry);
    this.#wake();
  }

  drop(key: string): void {
    this.#changed.delete(key);
  }

  end(error?: unknown): void {
    this.#end = error === undefined ? {} : { error };
    this.#wake();
  }

  wake(): void {
    this.#wake();
  }

  /** Waits for more, or to be woken. @returns false: nothing comes any more @throws why nothing does */
  async more(): Promise<boolean> {
    if (this.#changed.size > 0) return true;
    if (this.#end === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#end?.error !== undefined && this.#changed.size === 0) throw this.#end.error;
    return this.#end === undefined || this.#changed.size > 0;
  }
}

/** Finds out that a connection's other side went without a word: nothing is told, though something changed. */
class Silence {
  readonly #clock: Clock;
  readonly #silenceMs: number;
  readonly #newest: () => Promise<bigint>;
  readonly #timer: Timer;
  #heardMs: number;
  #seen: bigint;
  /** Newest change that was found by asking; one that is not told by the next look is missed. */
  #found = 0n;
  #isAsking = false;
  onMissed: (error: unknown) => void = () => {};

  constructor(clock: Clock, silenceMs: number, seen: bigint, newest: () => Promise<bigint>) {
    this.#clock = clock;
    this.#silenceMs = silenceMs;
    this.#newest = newest;
    this.#seen = seen;
    this.#heardMs = clock.monotonicMs();
    this.#timer = clock.every(silenceMs / 2, () => void this.#look());
  }

  heard(revision?: bigint): void {
    this.#heardMs = this.#clock.monotonicMs();
    if (revision !== undefined && revision > this.#seen) this.#seen = revision;
  }

  end(): void {
    this.#timer.cancel();
  }

  async #look(): Promise<void> {
    if (this.#isAsking || this.#clock.monotonicMs() - this.#heardMs < this.#silenceMs) return;
    if (this.#found > this.#seen) {
      const reason = `nothing was told for ${this.#silenceMs} ms, though something changed`;
      return this.onMissed(kvErrors.kvAway({ backend: BACKEND, operation: '/v3/watch', reason }));
    }
    this.#isAsking = true;
    try {
      this.#found = await this.#newest();
    } catch (thrown) {
      this.onMissed(thrown);
    } finally {
      this.#isAsking = false;
    }
  }
}
