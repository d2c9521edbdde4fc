import type { KvClient } from '../kv/client.ts';
import { after, type Clock } from '../lib/clock.ts';
import type { RandomBytes } from '../lib/random.ts';
import { ringErrors } from '../model/errors-ring.ts';
import { RingBook } from './book.ts';
import { isStored } from './confirmation.ts';
import { type RingDisk, RingFolder } from './folder.ts';
import { Heartbeats } from './heartbeats.ts';
import { SIZES_MS, VersionMaker } from './maker.ts';
import type { KnownVersion, RingPeer } from './meeting.ts';
import { MemberFile } from './member-file.ts';
import { OwnRow } from './own-row.ts';
import type { Change } from './placement.ts';
import type { MemberPlace } from './places.ts';
import { drainRefused } from './plan.ts';
import { type Offer, RingReader } from './reader.ts';
import {
  beatOf,
  encodeRow,
  encodeSizes,
  type MemberRow,
  NEWEST_KEY,
  rowKey,
  type Sizes,
  secretKey,
  sizesKey,
  versionKey,
} from './row.ts';
import { Settling } from './settling.ts';
import { SPLIT_SERIES } from './slots.ts';
import { ownersOf } from './version.ts';
import type { RingView } from './view.ts';
import { WRITES_OLD_TIMEOUTS, WriteGate } from './write-gate.ts';

export interface RingMemberOptions {
  readonly kv: KvClient;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly disk: RingDisk;
  /** The log's folder, which is there. */
  readonly folder: string;
  /** The same after each restart. */
  readonly name: string;
  readonly zone: string;
  readonly address: string;
  /** For version 1: owners of an arc, arcs, and zones that must be there. Later versions keep them. */
  readonly replicas: number;
  readonly arcs: number;
  readonly zonesMin: number;
  /** Whether the folder has a log whose samples may not be in the store. */
  readonly hasLog: boolean;
  /** A log that was last written to longer ago is refused, unless it is said to be taken. */
  readonly walAgeMaxMs: number;
  readonly takeOldLog?: boolean;
  readonly heartbeatMs?: number;
  readonly unhealthyMs?: number;
  /** Time after which writes of a version are refused when the next one counts; five times `unhealthyMs` without it. */
  readonly writesOldMs?: number;
  /** Time without a heartbeat after which a member is taken out where that is safe. */
  readonly forgetMs?: number;
  readonly splitSeries?: number;
  /** Called when the store has the own row, heartbeats included. */
  readonly onTold?: () => void;
  /** Called with each row of another member that is newer than what was known. */
  readonly onRow?: (row: MemberRow) => void;
  /** Runs each round, for who tells how they go; absent: nobody. */
  readonly round?: ((work: () => Promise<void>) => Promise<void>) | undefined;
  /** Tenants with fewer series an arc are not reported. */
  readonly sizesSeriesMin?: number;
}

/** `drained`: it has no arcs any more, and takes no writes. `out`: it is none of the newest version's members. */
export type Standing = 'member' | 'drained' | 'out';

const SIZES_SERIES_MIN = 2000;

/**
 * An ingester as a member of the ring: registers, follows and confirms versions, says what it owes, and makes the next version where
 * one is needed. Nothing that a user waits for waits for it; without the key-value store the ring stands still.
 */
export class RingMember implements RingPeer {
  readonly id: string;
  readonly #options: RingMemberOptions;
  readonly #folder: RingFolder;
  readonly #file: MemberFile;
  readonly #book: RingBook;
  readonly #reader: RingReader;
  readonly #row: OwnRow;
  readonly #settling: Settling;
  readonly #gate: WriteGate;
  readonly #maker: VersionMaker;
  readonly #heartbeatMs: number;
  readonly #heartbeats: Heartbeats;
  readonly #stop = new AbortController();
  /** Newest version that lies synced beside the log. */
  #confirmed: { readonly number: number; readonly hash: string } = { number: 0, hash: '' };
  #wants: MemberRow['wants'];
  #complete = false;
  #lost = false;
  /** The highest that `refusedUpTo` said; it never falls. */
  #refused = 0;
  #wasIn = false;
  #wasDraining = false;
  /** Whether it drains, and wished itself to have arcs again: it may wish to drain once more before it has them. */
  #isAskedBack = false;
  #sizesToldMs = Number.NEGATIVE_INFINITY;
  #running: Promise<void> | undefined;
  #wake = () => {};
  #hasNews = false;
  /** Steps and operators' changes, one after the other. */
  #queue: Promise<unknown> = Promise.resolve();
  /** Why the last step failed; undefined: it did not. */
  lastError: unknown;

  /** @throws errors.ringFolderDamaged, errors.ringNameDiffers, errors.ringLogTooOld */
  constructor(options: RingMemberOptions) {
    const { kv, clock, disk, randomBytes, hasLog, takeOldLog = false } = options;
    const { heartbeatMs = 5000, unhealthyMs = 60_000, forgetMs = 3_600_000, splitSeries = SPLIT_SERIES } = options;
    this.#options = options;
    this.#heartbeatMs = heartbeatMs;
    const boot = Buffer.from(randomBytes(8)).toString('hex');
    this.#folder = new RingFolder(disk, options.folder);
    this.#file = new MemberFile({ ...options, folder: this.#folder, takeOldLog });
    const { before } = this.#file;
    this.id = before.id;
    this.#gate = new WriteGate(this.id, clock, options.writesOldMs ?? WRITES_OLD_TIMEOUTS * unhealthyMs);
    this.#book = new RingBook(clock);
    this.#reader = new RingReader(kv, clock, this.#book, () => this.#news());
    this.#book.onChange((view) => this.#see(view));
    for (const held of this.#folder.versions()) {
      // the oldest that is kept may have a parent that is not
      this.#book.take(held, held.version.number);
    }
    this.#book.count(this.#file.saved.counts);
    this.#noteConfirmed();
    // who was taken out comes back with what it owes: it joins when it says so
    const isIn = this.#isIn(this.#book.current());
    this.#wants = !hasLog || isIn ? 'join' : 'nothing';
    // what it still owes is asked for once more before it leaves
    if (isIn && (before.wants === 'drain' || before.wants === 'leave')) this.#wants = 'drain';
    const heartbeats = new Heartbeats(this.id, heartbeatMs, unhealthyMs);
    const settling = new Settling(this.#book, this.#file, heartbeats);
    this.#settling = settling;
    this.#reader.onRow = (row) => {
      if (!heartbeats.see(row.id)) settling.see(row);
      options.onRow?.(row);
    };
    this.#heartbeats = heartbeats;
    const parts = { kv, clock, book: this.#book, reader: this.#reader, file: this.#file, heartbeats, settling };
    this.#row = new OwnRow({
      ...parts,
      boot,
      says: () => this.#says(),
      // rows of those that are no members are removed when they are old, and they make no versions
      onLost: () => this.#isIn(this.#book.current()) && settling.begin(),
      onWritten: () => options.onTold?.(),
    });
    this.#maker = new VersionMaker({
      ...options,
      ...parts,
      ownId: this.id,
      onNews: () => this.#news(),
      row: this.#row,
      unhealthyMs,
      forgetMs,
      splitSeries,
    });
  }

  start(): void {
    this.#running ??= Promise.all([this.#reader.watch(this.#stop.signal), this.#run()]).then(() => {});
  }

  /** Ends without leaving the ring: the same member goes on after a restart. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#wake();
    await this.#running;
    await this.#queue.catch(() => {});
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
    const before = this.#book.newest?.hash;
    this.#book.learn(known);
    if (this.#book.newest?.hash !== before) this.#news();
  }

  /** The own row as the store has it, for whoever meets this member; undefined: it has none. */
  get toldRow(): Uint8Array | undefined {
    const { written } = this.#row;
    return written && encodeRow(written);
  }

  /** Its wish as the store has it; undefined: the store may have another one. */
  get toldWants(): MemberRow['wants'] | undefined {
    return this.#row.isUnsure ? undefined : this.#row.written?.wants;
  }

  /** Where it listens, also while the store does not have it yet. */
  get place(): MemberPlace {
    return { id: this.id, address: this.#options.address, beat: this.#row.beat };
  }

  /** Looks in the store for what another member says now. @throws where the store is away */
  async lookFor(id: string): Promise<void> {
    await this.#reader.refreshRow(id);
  }

  /** Takes the row of a member that meets this one: it lives, and is heard sooner than the store tells of it. */
  hearRow(bytes: Uint8Array): void {
    const row = this.#reader.takeRow(bytes);
    // it came from itself just now: no row of someone who died long ago
    if (row !== undefined && row.id !== this.id) this.#heartbeats.see(row.id);
  }

  /** The secret that keys of series are made with in this cluster; undefined: not known yet. */
  get secret(): Uint8Array | undefined {
    return this.#file.saved.secret === '' ? undefined : Buffer.from(this.#file.saved.secret, 'hex');
  }

  /** Rows of all that ever registered, by id. */
  get rows(): ReadonlyMap<string, MemberRow> {
    return this.#reader.rows;
  }

  /**
   * Says what it has.
   * @param complete the log is read, and the store has what is left of windows that lost something
   * @param lost something is lost for good
   */
  setComplete(complete: boolean, lost = false): void {
    if (complete === this.#complete && lost === this.#lost) return;
    this.#complete = complete;
    this.#lost = lost;
    this.#news();
  }

  /** Asks for arcs: a member that was taken out, once the store has all that its log held, and one that drains and stays after all. */
  join(): void {
    this.#wish('join');
  }

  /** Whether it is no member any more, and the store has all that it held. */
  get hasLeft(): boolean {
    return this.standing === 'out' && this.#wants === 'leave';
  }

  /** Why it cannot own nothing: others are too few for what it owns, or no version is known. undefined: it can, or does already. */
  get drainRefused(): string | undefined {
    const view = this.#book.current();
    return view === undefined ? ringErrors.ringUnknown({}).message : drainRefused(view, this.id);
  }

  /** Asks to own nothing, also after a restart. */
  drain(): void {
    this.#wish('drain');
  }

  /** Asks to be no member any more: it drains, and the store has all that it held. */
  leave(): void {
    this.#wish('leave');
  }

  #wish(wants: MemberRow['wants']): void {
    if (wants === this.#wants) return;
    this.#file.save({ wants });
    if (wants === 'join') this.#isAskedBack = this.#wasDraining;
    this.#wants = wants;
    this.#news();
  }

  get wants(): MemberRow['wants'] {
    return this.#wants;
  }

  /** Its place in the ring; undefined: no version is known. */
  get standing(): Standing | undefined {
    const view = this.#book.current();
    if (view === undefined) return undefined;
    const own = view.newest.members.find(({ id }) => id === this.id);
    if (own === undefined) return 'out';
    // others take its writes once that version counts
    return own.state === 'draining' && this.#closed() !== undefined ? 'drained' : 'member';
  }

  /** Whether readers may need what it holds beside the store: no quorum without it gave its word for a version under which it had arcs. */
  get isNeeded(): boolean {
    const view = this.#book.current();
    if (view === undefined) return false;
    const { chain } = view;
    const words = new Map([...view.words].filter(([id]) => id !== this.id));
    return chain.some((version, at) => {
      for (let arc = 0; arc < version.arcs; arc++) {
        if (ownersOf(version, arc).includes(this.id) && !isStored(chain, at, words, arc)) return true;
      }
      return false;
    });
  }

  /**
   * Why writes under a version are refused; undefined: they are taken. A version that writes come under counts.
   * @param number of the version that the writer knows to count
   */
  writeGate(number: number): string | undefined {
    const view = this.#book.current();
    if (view === undefined) return 'it knows no version of the ring';
    if (number > view.newest.number) return `it does not know version ${number} of the ring`;
    this.#book.count(number);
    const why = this.#closed();
    if (why !== undefined) return why;
    // what was said of a version holds for good
    if (number <= Math.max(this.refusedUpTo(), this.#file.saved.word))
      return `version ${number} of the ring is too old`;
    return undefined;
  }

  /** Why reads are refused: it was taken out, so others have what came since. undefined: they are answered. */
  readGate(): string | undefined {
    const view = this.#book.current();
    if (view === undefined) return 'it knows no version of the ring';
    if (this.#row.isTwice) return ringErrors.ringMemberTwice({ id: this.id }).message;
    return this.#isIn(view) || this.#wants === 'leave' ? undefined : 'it is no member of the ring any more';
  }

  /**
   * Number of the newest version under which no write is taken any more; 0: none. All that came under it is in the log. It holds for good,
   * also where a member that drained is asked to stay: whoever heard of it has noted what is owed by then, for a word.
   */
  refusedUpTo(): number {
    const view = this.#book.current();
    if (view === undefined) return 0;
    const refused = this.#closed() === undefined ? this.#gate.oldNumber : view.newest.number;
    this.#refused = Math.max(this.#refused, refused);
    return this.#refused;
  }

  /**
   * Says that the store has all that was held under versions up to `number`.
   * @param number as `refusedUpTo` had it before the last look at what is owed
   */
  giveWord(number: number): void {
    if (number <= this.#file.saved.word || number > this.refusedUpTo()) return;
    this.#file.save({ word: number });
    this.#news();
  }

  get sizesSeriesMin(): number {
    return this.#options.sizesSeriesMin ?? SIZES_SERIES_MIN;
  }

  /** Tells the others how many series it holds of tenants, at most once a minute; tenants that are small for their arcs are left out. */
  async reportSizes(sizes: Sizes): Promise<void> {
    const { clock, kv } = this.#options;
    const view = this.#book.current();
    if (view === undefined || clock.monotonicMs() - this.#sizesToldMs < SIZES_MS) return;
    const { sizesSeriesMin } = this;
    const large = new Map(
      [...sizes].filter(([tenant, { series }]) => series >= sizesSeriesMin * this.#arcs(view, tenant)),
    );
    const told = this.#reader.sizes.get(this.id);
    if (large.size === 0 && (told === undefined || told.size === 0)) return;
    this.#sizesToldMs = clock.monotonicMs();
    await this.#reader.call((signal) => kv.put(sizesKey(this.id), encodeSizes(large), signal));
  }

  /** Arcs of a tenant that are this member's. */
  #arcs(view: RingView, tenant: string): number {
    const own = view.slots.arcsOfTenant(tenant).filter((arc) => view.ownersOf(arc).includes(this.id));
    return Math.max(1, own.length);
  }

  /**
   * An operator's change of the ring.
   * @param force vouches that those who lose arcs do not run, and that no newer version was lost
   * @throws errors.ringRaced, errors.ringSettling, and what `changed` throws
   */
  change(change: Change, { force = false } = {}): Promise<void> {
    return this.#inTurn(async () => {
      await this.#maker.change(await this.#reader.refresh(), change, force);
      await this.#confirm();
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#queue.then(work, work);
    this.#queue = run.catch(() => {});
    return run;
  }

  #news(): void {
    this.#hasNews = true;
    this.#wake();
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#hasNews = false;
      try {
        const step = () => this.#inTurn(() => this.#step());
        await (this.#options.round?.(step) ?? step());
        this.lastError = undefined;
      } catch (error) {
        this.lastError = error; // the store is away: the ring stands still
      }
      if (!this.#hasNews || this.lastError !== undefined) await this.#pause();
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = after(this.#options.clock, this.#heartbeatMs, () => this.#wake());
      this.#wake = () => {
        timer.cancel();
        this.#wake = () => {};
        resolve();
      };
      if (this.#stop.signal.aborted) this.#wake();
    });
  }

  /** Reads, confirms, writes the own row, and makes what is to be made. */
  async #step(): Promise<void> {
    // what came with requests is confirmed without the store
    await this.#confirm();
    let offer = await this.#reader.refresh();
    await this.#confirm();
    await this.#secret();
    if (this.#row.isDue) await this.#row.write();
    // what came with a request meanwhile is in the store already
    for (let tries = 0; tries < 2 && !offer.isOwn; tries++) offer = await this.#reader.refresh();
    if (!offer.isOwn && this.#book.newest !== undefined) {
      await this.#replace(offer);
      offer = await this.#reader.refresh();
    }
    if (this.#settling.hasRowsToPutBack) await this.#putRowsBack();
    if (await this.#maker.next(offer)) await this.#confirm();
  }

  /** Puts rows of those that left in the place of older ones: their words are nobody else's to say again. */
  async #putRowsBack(): Promise<void> {
    const view = this.#book.current();
    if (view === undefined) return;
    const { kv } = this.#options;
    const owners = new Set(view.chain.flatMap(({ members }) => members.map(({ id }) => id)));
    for (const row of this.#reader.rows.values()) {
      if (!owners.has(row.id) || row.id === this.id || this.#isIn(view, row.id)) continue;
      const key = rowKey(row.id);
      const found = await this.#reader.call((signal) => kv.get(key, signal));
      if (found !== undefined && beatOf(found.value).beat >= row.beat) continue;
      await this.#reader.call((signal) => kv.compareAndSet(key, found?.revision, encodeRow(row), signal));
    }
    this.#settling.hasRowsToPutBack = false;
  }

  /** Puts what this member knows in the place of anything else. */
  async #replace(offer: Offer): Promise<void> {
    const { kv } = this.#options;
    const { newest } = this.#book;
    this.#settling.begin();
    await this.#row.write();
    for (const { hash, bytes } of this.#book.chain) {
      await this.#reader.call((signal) => kv.put(versionKey(hash), bytes, signal));
    }
    const row = encodeRow({ number: newest!.version.number, hash: newest!.hash });
    await this.#reader.call((signal) => kv.compareAndSet(NEWEST_KEY, offer.entry?.revision, row, signal));
  }

  /** Lays the newest version beside the log. */
  async #confirm(): Promise<void> {
    const { newest, chain } = this.#book;
    if (newest === undefined || newest.hash === this.#confirmed.hash) return;
    this.#folder.saveVersions(chain);
    this.#noteConfirmed();
  }

  #noteConfirmed(): void {
    const { newest } = this.#book;
    if (newest !== undefined) this.#confirmed = { number: newest.version.number, hash: newest.hash };
  }

  /** The cluster's secret: read, or put back. */
  async #secret(): Promise<void> {
    const cluster = this.#book.newest?.version.cluster;
    if (cluster === undefined) return;
    const { kv } = this.#options;
    const key = secretKey(cluster);
    if (this.#file.saved.secret !== '' && !this.#settling.isOn) return;
    const entry = await this.#reader.call((signal) => kv.get(key, signal));
    if (this.#file.saved.secret === '') {
      if (entry !== undefined) this.#file.save({ secret: Buffer.from(entry.value).toString('hex') });
    } else if (entry === undefined) {
      const secret = Buffer.from(this.#file.saved.secret, 'hex');
      await this.#reader.call((signal) => kv.compareAndSet(key, undefined, secret, signal));
    }
  }

  #says(): Omit<MemberRow, 'id' | 'boot' | 'beat'> {
    const { zone, address } = this.#options;
    const { number: version, hash } = this.#confirmed;
    const counts = this.#book.current()?.confirmed ?? 0;
    return {
      zone,
      address,
      wants: this.#wants,
      complete: this.#complete,
      lost: this.#lost,
      settling: this.#settling.isOn,
      version,
      hash,
      counts,
      word: this.#file.saved.word,
    };
  }

  #isIn(view: RingView | undefined, member = this.id): boolean {
    return view?.newest.members.some(({ id }) => id === member) ?? false;
  }

  /** Why writes of any version are refused; undefined: they are not. */
  #closed(): string | undefined {
    if (this.#row.isTwice) return ringErrors.ringMemberTwice({ id: this.id }).message;
    return this.#gate.closed(this.#book.current()!);
  }

  #see(view: RingView): void {
    const { confirmed, newest } = view;
    // who was taken out joins again when the store has what it owes, and it says so
    const isIn = this.#isIn(view);
    if (this.#wasIn && !isIn && this.#wants === 'join') this.#wants = 'nothing';
    this.#wasIn = isIn;
    // drained by an operator elsewhere: its own wish from now on, until it is asked to stay
    const isDraining = newest.members.find(({ id }) => id === this.id)?.state === 'draining';
    if (isDraining && !this.#wasDraining && this.#wants === 'join') {
      this.#wants = 'drain';
      this.#trySave({ wants: 'drain' });
    }
    if (isIn && !isDraining && this.#wasDraining) {
      // given arcs again by an operator elsewhere: were the wish to drain to stay, others would take them once more
      if (this.#wants !== 'join' && !this.#isAskedBack) {
        this.#wants = 'join';
        this.#trySave({ wants: 'join' });
      }
      this.#isAskedBack = false;
    }
    this.#wasDraining = isDraining;
    // others know that it counts, and tell it after a restart
    if (this.#gate.see(view) && confirmed > this.#file.saved.counts) this.#trySave({ counts: confirmed });
  }

  #trySave(change: Parameters<MemberFile['trySave']>[0]): void {
    this.lastError = this.#file.trySave(change) ?? this.lastError;
  }
}
