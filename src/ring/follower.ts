import type { KvClient } from '../kv/client.ts';
import { after, type Clock, type Timer } from '../lib/clock.ts';
import { RingBook } from './book.ts';
import type { KnownVersion, RingPeer } from './meeting.ts';
import { RingReader } from './reader.ts';
import type { MemberRow } from './row.ts';
import type { RingView } from './view.ts';

export interface RingFollowerOptions {
  readonly kv: KvClient;
  readonly clock: Clock;
  /** How often the newest version is looked for, beside watching for it. */
  readonly refreshMs?: number;
  /** Called with each row of a member that is newer than what was known. */
  readonly onRow?: (row: MemberRow) => void;
  /** Runs each round, for who tells how they go; absent: nobody. */
  readonly round?: ((work: () => Promise<void>) => Promise<void>) | undefined;
}

/** The ring of a process that owns nothing of it: distributors and queriers. */
export class RingFollower implements RingPeer {
  readonly #clock: Clock;
  readonly #refreshMs: number;
  readonly #book: RingBook;
  readonly #reader: RingReader;
  readonly #round: RingFollowerOptions['round'];
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #wake = () => {};
  #hasNews = false;

  constructor({ kv, clock, refreshMs = 5000, onRow = () => {}, round }: RingFollowerOptions) {
    this.#clock = clock;
    this.#round = round;
    this.#refreshMs = refreshMs;
    this.#book = new RingBook(clock);
    this.#reader = new RingReader(kv, clock, this.#book, () => {
      this.#hasNews = true;
      this.#wake();
    });
    this.#reader.onRow = onRow;
  }

  start(): void {
    this.#running ??= Promise.all([this.#reader.watch(this.#stop.signal), this.#follow()]).then(() => {});
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#wake();
    await this.#running;
  }

  /** Rows of all that ever registered, by id. */
  get rows(): ReadonlyMap<string, MemberRow> {
    return this.#reader.rows;
  }

  current(): RingView | undefined {
    return this.#book.current();
  }

  onChange(listener: (view: RingView) => void): () => void {
    return this.#book.onChange(listener);
  }

  known(above: number): KnownVersion {
    return this.#book.known(above);
  }

  learn(known: KnownVersion): void {
    this.#book.learn(known);
    this.#reader.hear();
  }

  /** Takes the row of a member that was met: it is heard sooner than the store tells of it. */
  hearRow(bytes: Uint8Array): void {
    this.#reader.takeRow(bytes);
  }

  /** Looks in the store for what a member says now. @throws where the store is away */
  async lookFor(id: string): Promise<void> {
    await this.#reader.refreshRow(id);
  }

  async #follow(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#hasNews = false;
      // away: what is known stays
      const look = () => this.#reader.refresh().then(() => {});
      await (this.#round?.(look) ?? look()).catch(() => {});
      if (!this.#hasNews) await this.#pause();
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      let timer: Timer | undefined;
      this.#wake = () => {
        timer?.cancel();
        this.#wake = () => {};
        resolve();
      };
      timer = after(this.#clock, this.#refreshMs, () => this.#wake());
      if (this.#stop.signal.aborted) this.#wake();
    });
  }
}
