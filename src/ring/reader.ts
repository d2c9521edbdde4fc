import type { KvClient, KvEntry } from '../kv/client.ts';
import { BytesError } from '../lib/bytes.ts';
import { type Clock, timeout } from '../lib/clock.ts';
import { type HeldVersion, heldVersion, type RingBook } from './book.ts';
import {
  decodeHandedRow,
  decodeNewest,
  decodeRow,
  decodeSizes,
  idOfSizesKey,
  isRowKey,
  isSizesKey,
  type MemberRow,
  NEWEST_KEY,
  RING_PREFIX,
  rowKey,
  type Sizes,
  versionKey,
} from './row.ts';

/** How long one call to the key-value store may take. */
export const KV_CALL_MS_MAX = 10_000;
/** Wait before a watch that ended is begun again. */
const WATCH_AGAIN_MS = 1000;
/** Versions between the newest known and the one that is offered. */
const FETCHED_MAX = 1024;

/** The newest version as the key-value store has it, against what is known here. */
export interface Offer {
  readonly entry: KvEntry | undefined;
  /** Whether it is the newest that is known here, now. */
  readonly isOwn: boolean;
}

/** Reads the ring out of the key-value store: versions into a book, rows and sizes as they come. */
export class RingReader {
  readonly #kv: KvClient;
  readonly #clock: Clock;
  readonly #book: RingBook;
  /** Called when something came that somebody may have to act on; plain heartbeats are none. */
  readonly #onNews: () => void;
  readonly rows = new Map<string, MemberRow>();
  readonly sizes = new Map<string, Sizes>();
  /** Called with each row as it comes. */
  onRow: (row: MemberRow) => void = () => {};

  constructor(kv: KvClient, clock: Clock, book: RingBook, onNews: () => void) {
    this.#kv = kv;
    this.#clock = clock;
    this.#book = book;
    this.#onNews = onNews;
  }

  /** Watches until it is aborted. */
  async watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        for await (const entry of this.#kv.watch(RING_PREFIX, signal)) this.#take(entry);
      } catch {
        // away: the next watch begins with all that is there
      }
      await this.#clock.sleep(WATCH_AGAIN_MS, signal).catch(() => {});
    }
  }

  #take({ key, value }: KvEntry): void {
    if (key === NEWEST_KEY) this.#onNews();
    if (isSizesKey(key)) this.sizes.set(idOfSizesKey(key), decodeSizes(value));
    if (!isRowKey(key)) return;
    const row = decodeRow(key, value);
    if (row !== undefined) this.#takeRow(row);
  }

  /** Says whether it is newer than what was known. */
  #takeRow(row: MemberRow): boolean {
    const before = this.rows.get(row.id);
    // heartbeats only rise: a store that went back shows nobody alive, and takes back nothing that was said
    if (before !== undefined && before.beat >= row.beat) return false;
    this.rows.set(row.id, row);
    this.onRow(row);
    if (before !== undefined && isOnlyBeat(before, row)) return true;
    this.hear();
    this.#onNews();
    return true;
  }

  /**
   * Takes a row that the member itself handed over.
   * @returns it where it is newer than what was known; undefined: it is none, or an older one
   */
  takeRow(bytes: Uint8Array): MemberRow | undefined {
    const row = decodeHandedRow(bytes);
    return row !== undefined && this.#takeRow(row) ? row : undefined;
  }

  /** Reads the row of one member, which may have come since the last look at all of them. @throws where the store is away */
  async refreshRow(id: string): Promise<void> {
    const entry = await this.call((signal) => this.#kv.get(rowKey(id), signal));
    if (entry !== undefined) this.#take(entry);
  }

  /** Forgets a member's row, until it comes again. */
  forget(id: string): void {
    this.rows.delete(id);
    this.sizes.delete(id);
  }

  /** Tells the book what the rows say. */
  hear(): void {
    const confirmations = new Map<string, number>();
    const words = new Map<string, number>();
    const names = new Map(this.#book.chain.map(({ version, hash }) => [hash, version.number]));
    let counted = 0;
    for (const { id, version, hash, counts, word } of this.rows.values()) {
      // a version of another branch is none that it confirmed
      if (names.get(hash) === version) {
        confirmations.set(id, version);
        counted = Math.max(counted, counts);
      }
      words.set(id, word);
    }
    this.#book.hear(confirmations, words);
    this.#book.count(counted);
  }

  /** Reads what the store offers, and takes what descends from what is known. */
  async refresh(): Promise<Offer> {
    const entry = await this.call((signal) => this.#kv.get(NEWEST_KEY, signal));
    const offered = entry === undefined ? undefined : decodeNewest(entry.value);
    if (offered === undefined) return { entry, isOwn: false };
    if (offered.hash !== this.#book.newest?.hash) await this.#follow(offered.hash);
    return { entry, isOwn: offered.hash === this.#book.newest?.hash };
  }

  async #follow(hash: string): Promise<void> {
    const path: HeldVersion[] = [];
    const known = new Set(this.#book.chain.map((each) => each.hash));
    let floor = 0;
    for (let next: string | undefined = hash; next !== undefined && !known.has(next) && path.length < FETCHED_MAX; ) {
      const held = await this.version(next);
      if (held === undefined) break;
      path.push(held);
      if (path.length === 1) floor = held.version.floor;
      next = held.version.number > floor ? held.version.parent : undefined;
    }
    for (const held of path.reverse()) this.#book.take(held, floor);
    this.hear();
  }

  /** A version's document; undefined: the store does not have it. */
  async version(hash: string): Promise<HeldVersion | undefined> {
    const entry = await this.call((signal) => this.#kv.get(versionKey(hash), signal));
    if (entry === undefined) return undefined;
    try {
      const held = heldVersion(entry.value);
      return held.hash === hash ? held : undefined;
    } catch (error) {
      if (error instanceof BytesError) return undefined;
      throw error;
    }
  }

  /** One call to the store, which may be away. */
  async call<T>(ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const limit = timeout(this.#clock, KV_CALL_MS_MAX);
    try {
      return await ask(limit.signal);
    } finally {
      limit.cancel();
    }
  }
}

function isOnlyBeat(before: MemberRow, now: MemberRow): boolean {
  return JSON.stringify({ ...before, beat: 0 }) === JSON.stringify({ ...now, beat: 0 });
}
