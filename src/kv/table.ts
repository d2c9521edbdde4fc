import { BytesError } from '../lib/bytes.ts';
import type { Clock } from '../lib/clock.ts';
import type { RandomBytes } from '../lib/random.ts';
import { AppError } from '../model/errors.ts';
import { kvErrors } from '../model/errors-kv.ts';
import type { Row, TableStore } from '../table/client.ts';
import type { KvClient, KvEntry } from './client.ts';
import { checkEntry } from './limits.ts';
import { decodeHead, encodeHead, type Head, INLINE_BYTES_MAX, NONCE_BYTES } from './table-row.ts';

const BACKEND = 'table';
/** Bytes of one part of a large value: below what a row of any backend holds. */
const PART_BYTES = 256 * 1024;
/** Keys' rows lie under one hash, so that one query reads all of them. */
const HEADS_HASH = Buffer.from('kv');
const PARTS_HASH = Buffer.from('kv-part:');
const TRIES_MAX = 16;
/**
 * A mark that a key was removed stays so long: longer than any call that read what was there before. Each process waits for up to as
 * long again, so that one of them finds most marks and takes them away before others contend for them.
 */
const REMOVED_MS = 24 * 3_600_000;
/** Marks that one look takes away. */
const REMOVALS_MAX = 16;

export interface TableKvOptions {
  readonly store: TableStore;
  /** The table's name. It is made when something is written and it is missing. */
  readonly table: string;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  /** How often a watch reads the rows. */
  readonly pollMs?: number;
}

/** Row of a key that is there. */
type Present = Exclude<Head, { kind: 'removed' }>;

interface HeldHead {
  readonly head: Head;
  /** The row's value, what a compare-and-set names. */
  readonly bytes: Uint8Array;
}

/**
 * Keys as rows of a table of the index store, so that a cluster needs no further component. Every value has a nonce, which is its
 * revision: equal bytes that are put again are another value, whatever the backend compares. All changes of a row are by
 * compare-and-set, because a backend may not order plain writes among them (docs/formats/ring.md).
 */
export class TableKv implements KvClient {
  readonly #options: TableKvOptions;
  readonly #pollMs: number;
  readonly #removedMs: number;

  constructor(options: TableKvOptions) {
    this.#options = options;
    this.#pollMs = options.pollMs ?? 2000;
    this.#removedMs = REMOVED_MS * (1 + options.randomBytes(1)[0]! / 256);
  }

  async get(key: string, signal?: AbortSignal): Promise<KvEntry | undefined> {
    signal?.throwIfAborted();
    for (let missing = ''; ; ) {
      const head = (await this.#head(key, signal))?.head;
      if (head === undefined || head.kind === 'removed') return undefined;
      const value = await this.#valueOf(head, signal);
      if (value !== undefined) return { key, value, revision: head.nonce };
      // its parts are gone: another value took its place, or they are lost
      if (missing === head.nonce) {
        throw kvErrors.kvValueDamaged({ backend: BACKEND, key, reason: `parts of it are missing` });
      }
      missing = head.nonce;
    }
  }

  async put(key: string, value: Uint8Array, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    checkEntry(BACKEND, key, value);
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      if (await this.#set(key, await this.#head(key, signal, 'replace'), value, signal)) return;
    }
    throw kvErrors.kvRaced({ backend: BACKEND, key, tries: TRIES_MAX });
  }

  async compareAndSet(
    key: string,
    expected: string | undefined,
    next: Uint8Array,
    signal?: AbortSignal,
  ): Promise<boolean> {
    signal?.throwIfAborted();
    checkEntry(BACKEND, key, next);
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const held = await this.#head(key, signal);
      const isThere = held !== undefined && held.head.kind !== 'removed';
      if ((isThere ? held.head.nonce : undefined) !== expected) return false;
      if (await this.#set(key, held, next, signal)) return true;
      // what marks a removed key was taken away meanwhile, perhaps: it is looked at once more
      if (isThere) return false;
    }
    return false;
  }

  async remove(key: string, expected: string, signal?: AbortSignal): Promise<boolean> {
    signal?.throwIfAborted();
    const held = await this.#head(key, signal);
    if (held === undefined || held.head.kind === 'removed' || held.head.nonce !== expected) return false;
    const head: Head = { kind: 'removed', nonce: this.#nonce(), atMs: this.#options.clock.nowMs() };
    if (!(await this.#swap(key, held.bytes, head, signal))) return false;
    await this.#removeParts(held.head, signal);
    return true;
  }

  async *watch(prefix: string, signal: AbortSignal): AsyncGenerator<KvEntry> {
    const { clock } = this.#options;
    let given = new Map<string, string>();
    while (!signal.aborted) {
      try {
        const heads = await this.#list(prefix, signal);
        const known = given;
        given = new Map();
        for (const [key, head] of heads) {
          const before = known.get(key);
          if (before !== undefined) given.set(key, before);
          if (before === head.nonce) continue;
          const entry = await this.#listed(key, head, signal);
          if (entry === undefined) continue;
          given.set(key, entry.revision);
          if (entry.revision !== before) yield entry;
          if (signal.aborted) return;
        }
        await clock.sleep(this.#pollMs, signal);
      } catch (thrown) {
        if (signal.aborted) return;
        throw thrown;
      }
    }
  }

  /**
   * An entry for a watcher, who goes on without one that is damaged. What is small is as the list has it: one look costs one query,
   * whatever changed; else the heartbeats of 100 members were 40 more for each of 200 processes.
   */
  async #listed(key: string, head: Present, signal: AbortSignal): Promise<KvEntry | undefined> {
    if (head.kind === 'inline') return { key, value: head.value, revision: head.nonce };
    try {
      return await this.get(key, signal);
    } catch (thrown) {
      if (thrown instanceof AppError && thrown.facts.id === 'kv-value-damaged') return undefined;
      throw thrown;
    }
  }

  /** Heads of all keys under a prefix; rows of keys that were removed long ago are taken away. */
  async #list(prefix: string, signal: AbortSignal): Promise<Map<string, Present>> {
    const { store, table, clock } = this.#options;
    const heads = new Map<string, Present>();
    const old: Row[] = [];
    for await (const page of store.client.query({ table, hash: HEADS_HASH, prefix: Buffer.from(prefix) }, signal)) {
      for (const row of page) {
        const head = headIn(row.value);
        if (head === undefined) continue;
        if (head.kind !== 'removed') heads.set(Buffer.from(row.range).toString(), head);
        else if (clock.nowMs() - head.atMs > this.#removedMs && old.length < REMOVALS_MAX) old.push(row);
      }
    }
    // a key that was made again since is left alone; where that fails a later look does it
    for (const row of old) await store.client.compareAndSet(table, row, row.value, undefined, signal).catch(() => {});
    return heads;
  }

  /** @param damaged what becomes of a row that cannot be read */
  async #head(
    key: string,
    signal: AbortSignal | undefined,
    damaged: 'throw' | 'replace' = 'throw',
  ): Promise<HeldHead | undefined> {
    const { store, table } = this.#options;
    const range = Buffer.from(key);
    const query = { table, hash: HEADS_HASH, from: range, before: Buffer.from(`${key}\0`), limit: 1, strong: true };
    for await (const page of store.client.query(query, signal)) {
      for (const { value: bytes } of page) {
        const head = headIn(bytes);
        if (head !== undefined) return { head, bytes };
        if (damaged === 'replace') return { head: { kind: 'removed', nonce: '', atMs: 0 }, bytes };
        throw kvErrors.kvValueDamaged({ backend: BACKEND, key, reason: `${bytes.length} bytes are no value's row` });
      }
    }
    return undefined;
  }

  async #valueOf(head: Present, signal: AbortSignal | undefined) {
    if (head.kind === 'inline') return head.value;
    const { store, table } = this.#options;
    const value = new Uint8Array(head.bytes);
    let at = 0;
    for await (const page of store.client.query({ table, hash: partsHash(head), strong: true }, signal)) {
      for (const { value: part } of page) {
        if (at + part.length > value.length) return undefined;
        value.set(part, at);
        at += part.length;
      }
    }
    return at === value.length ? value : undefined;
  }

  /** Says whether the value took the place of what was held. */
  async #set(
    key: string,
    held: HeldHead | undefined,
    value: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const nonce = this.#nonce();
    const isInline = value.length <= INLINE_BYTES_MAX;
    const head: Head = isInline ? { kind: 'inline', nonce, value } : { kind: 'parts', nonce, bytes: value.length };
    if (!isInline) await this.#making(() => this.#writeParts(head, value, signal));
    const done = await this.#swap(key, held?.bytes, head, signal);
    if (!done) await this.#removeParts(head, signal);
    else if (held !== undefined) await this.#removeParts(held.head, signal);
    return done;
  }

  #swap(key: string, before: Uint8Array | undefined, head: Head, signal: AbortSignal | undefined): Promise<boolean> {
    const { store, table } = this.#options;
    const row = { hash: HEADS_HASH, range: Buffer.from(key) };
    return this.#making(() => store.client.compareAndSet(table, row, before, encodeHead(head), signal));
  }

  async #writeParts(head: Head, value: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    const { store, table } = this.#options;
    const hash = partsHash(head);
    const rows: Row[] = [];
    for (let at = 0; at < value.length; at += PART_BYTES) {
      rows.push({ hash, range: partRange(rows.length), value: value.subarray(at, at + PART_BYTES) });
    }
    await store.client.write(table, rows, signal);
  }

  /** Nothing names them any more. Where they cannot be removed now they stay for ever, and harm nobody. */
  async #removeParts(head: Head, signal: AbortSignal | undefined): Promise<void> {
    if (head.kind !== 'parts') return;
    const { store, table } = this.#options;
    const hash = partsHash(head);
    const keys = Array.from({ length: Math.ceil(head.bytes / PART_BYTES) }, (_, i) => ({ hash, range: partRange(i) }));
    await store.client.delete(table, keys, signal).catch(() => {});
  }

  /** A call that makes the table where it is missing. */
  async #making<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (thrown) {
      if (!(thrown instanceof AppError && thrown.facts.id === 'store-table-missing')) throw thrown;
      await this.#options.store.admin.create(this.#options.table);
      return call();
    }
  }

  #nonce(): string {
    return Buffer.from(this.#options.randomBytes(NONCE_BYTES)).toString('hex');
  }
}

function headIn(bytes: Uint8Array): Head | undefined {
  try {
    return decodeHead(bytes);
  } catch (thrown) {
    if (thrown instanceof BytesError) return undefined;
    throw thrown;
  }
}

function partsHash({ nonce }: Head): Uint8Array {
  return Buffer.concat([PARTS_HASH, Buffer.from(nonce, 'hex')]);
}

function partRange(i: number): Uint8Array {
  return Uint8Array.of(i);
}
