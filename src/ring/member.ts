import type { KvClient } from '../kv/client.ts';
import { after, type Clock } from '../lib/clock.ts';
import type { RandomBytes } from '../lib/random.ts';
import { ringErrors } from '../model/errors-ring.ts';
import { heldVersion, RingBook } from './book.ts';
import { isStored } from './confirmation.ts';
import { type RingDisk, RingFolder, type SavedMember } from './folder.ts';
import type { KnownVersion, RingPeer } from './meeting.ts';
import { type Change, changed, firstOwners } from './placement.ts';
import { floorOf, isHealthy, memberOf, type NextParts, nameOf, nextParts, sinceOf } from './plan.ts';
import { type Offer, RingReader } from './reader.ts';
import type { Sizes } from './row.ts';
import { encodeRow, encodeSizes, type MemberRow, NEWEST_KEY, rowKey, secretKey, sizesKey, versionKey } from './row.ts';
import { SPLIT_SERIES } from './slots.ts';
import { compareIds, encodeVersion, ownersOf, type RingVersion } from './version.ts';
import type { RingView } from './view.ts';

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
  /** Time without a heartbeat after which a member is taken out where that is safe. */
  readonly forgetMs?: number;
  readonly splitSeries?: number;
  /** Tenants with fewer series an arc are not reported. */
  readonly sizesSeriesMin?: number;
}

/** `drained`: it has no arcs any more, and takes no writes. `out`: it is none of the newest version's members. */
export type Standing = 'member' | 'drained' | 'out';

/** Heartbeats between two times that their number is saved: a store that went back further is known at the next start. */
const BEATS_SAVED = 120;
/** Time that nobody may have named a version before the first is made, as the own heartbeats count it. */
const BEGIN_MS = 10_000;
/** Time between two looks at tenants' sizes, and at the floor. */
const SIZES_MS = 60_000;
/** A version is refused for writes so long after another one counts. */
export const WRITES_OLD_MS = 5 * 60_000;
/** Other members may make what the first of them did not make so long after it could be. */
const TURN_MS = 15_000;
/** Versions below the floor that are removed in one go. */
const TRIMMED_MAX = 1024;
const SIZES_SERIES_MIN = 2000;

/**
 * An ingester as a member of the ring: registers, follows and confirms versions, says what it owes, and makes the next version where
 * one is needed. Nothing that a user waits for waits for it; without the key-value store the ring stands still.
 */
export class RingMember implements RingPeer {
  readonly id: string;
  readonly #options: RingMemberOptions;
  readonly #folder: RingFolder;
  readonly #book: RingBook;
  readonly #reader: RingReader;
  readonly #heartbeatMs: number;
  readonly #unhealthyMs: number;
  readonly #forgetMs: number;
  readonly #boot: string;
  readonly #stop = new AbortController();
  #saved: SavedMember;
  /** Newest version that lies synced beside the log. */
  #confirmed: { readonly number: number; readonly hash: string } = { number: 0, hash: '' };
  /** The own row as the store last answered that it has it. */
  #row: MemberRow | undefined;
  #beat: number;
  #wants: MemberRow['wants'];
  #complete = false;
  #lost = false;
  #wasIn = false;
  #wasDraining = false;
  /** Time for which own heartbeats were written: what heartbeats of others are judged by. */
  #aliveMs = 0;
  #writtenMs: number | undefined;
  /** Whether another process lives under this id, later than this one. */
  #isTwice = false;
  /** Per member the alive time at which its last heartbeat was seen, whether or not it is one since the store lost something. */
  readonly #seen = new Map<string, { readonly aliveMs: number; readonly isFirst: boolean }>();
  /** Members that have shown no heartbeat since the store lost something; undefined: it lost nothing. */
  #missing: Set<string> | undefined;
  /** Whether the store may have older rows of those that left than are known here. */
  #hasRowsToPutBack = false;
  /** Alive time since which nobody named a version. */
  #emptySince: number | undefined;
  #sizesMadeMs = 0;
  #sizesToldMs = Number.NEGATIVE_INFINITY;
  #turnSince: number | undefined;
  /** When each version began to count here, by the monotonic clock; ascending. */
  #counted: { readonly number: number; readonly atMs: number }[] = [];
  #running: Promise<void> | undefined;
  #wake = () => {};
  #hasNews = false;
  /** Steps and operators' changes, one after the other. */
  #queue: Promise<unknown> = Promise.resolve();
  /** Why the last step failed; undefined: it did not. */
  lastError: unknown;

  /** @throws errors.ringFolderDamaged, errors.ringNameDiffers, errors.ringLogTooOld */
  constructor(options: RingMemberOptions) {
    const { kv, clock, disk, folder, name, hasLog, walAgeMaxMs, takeOldLog = false } = options;
    this.#options = options;
    this.#heartbeatMs = options.heartbeatMs ?? 5000;
    this.#unhealthyMs = options.unhealthyMs ?? 60_000;
    this.#forgetMs = options.forgetMs ?? 3_600_000;
    this.#folder = new RingFolder(disk, folder);
    this.#book = new RingBook(clock);
    this.#reader = new RingReader(kv, clock, this.#book, () => this.#news());
    this.#reader.onRow = (row) => this.#see(row);
    this.#book.onChange((view) => this.#count(view));
    const saved = this.#folder.member();
    const nowMs = clock.nowMs();
    if (saved !== undefined) {
      if (nameOf(saved.id) !== name) throw ringErrors.ringNameDiffers({ name, id: saved.id });
      const ageMs = nowMs - saved.ranMs;
      if (hasLog && ageMs > walAgeMaxMs && !takeOldLog) {
        throw ringErrors.ringLogTooOld({ ageMs, limitMs: walAgeMaxMs });
      }
    }
    this.#boot = hexOf(options.randomBytes(8));
    const before = saved ?? {
      id: `${name}-${hexOf(options.randomBytes(6))}`,
      boots: 0,
      beats: 0,
      counts: 0,
      word: 0,
      wants: 'join' as const,
      settling: false,
      secret: '',
    };
    this.id = before.id;
    this.#saved = { ...before, boots: before.boots + 1, ranMs: nowMs };
    // beyond all that the last start wrote, whatever the store remembers of it
    this.#beat = before.boots === 0 ? 0 : before.beats + 2 * BEATS_SAVED;
    this.#folder.saveMember(this.#saved);
    for (const held of this.#folder.versions()) {
      // the oldest that is kept may have a parent that is not
      this.#book.take(held, held.version.number);
    }
    this.#book.count(this.#saved.counts);
    this.#noteConfirmed();
    // who was taken out comes back with what it owes: it joins when it says so
    const isIn = this.#isIn(this.#book.current());
    this.#wants = !hasLog || isIn ? 'join' : 'nothing';
    // what it still owes is asked for once more before it leaves
    if (isIn && (before.wants === 'drain' || before.wants === 'leave')) this.#wants = 'drain';
    if (before.settling) this.#storeLost();
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

  /** The secret that keys of series are made with in this cluster; undefined: not known yet. */
  get secret(): Uint8Array | undefined {
    return this.#saved.secret === '' ? undefined : Buffer.from(this.#saved.secret, 'hex');
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
    this.#save({ wants });
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
    if (number <= Math.max(this.refusedUpTo(), this.#saved.word)) return `version ${number} of the ring is too old`;
    return undefined;
  }

  /** Why reads are refused: it was taken out, so others have what came since. undefined: they are answered. */
  readGate(): string | undefined {
    const view = this.#book.current();
    if (view === undefined) return 'it knows no version of the ring';
    if (this.#isTwice) return ringErrors.ringMemberTwice({ id: this.id }).message;
    return this.#isIn(view) || this.#wants === 'leave' ? undefined : 'it is no member of the ring any more';
  }

  /** Number of the newest version under which no write is taken any more; 0: none. All that came under it is in the log. */
  refusedUpTo(): number {
    const view = this.#book.current();
    if (view === undefined) return 0;
    if (this.#closed() !== undefined) return view.newest.number;
    const nowMs = this.#options.clock.monotonicMs();
    const old = this.#counted.findLast(({ atMs }) => nowMs - atMs >= WRITES_OLD_MS);
    return old === undefined ? 0 : old.number - 1;
  }

  /**
   * Says that the store has all that was held under versions up to `number`.
   * @param number as `refusedUpTo` had it before the last look at what is owed
   */
  giveWord(number: number): void {
    if (number <= this.#saved.word || number > this.refusedUpTo()) return;
    this.#save({ word: number });
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
      const offer = await this.#reader.refresh();
      const view = this.#book.current();
      if (view === undefined || !offer.isOwn) throw ringErrors.ringRaced({});
      const waiting = this.#settling();
      if (waiting !== undefined && !force) throw ringErrors.ringSettling({ waiting });
      const nowMs = this.#options.clock.nowMs();
      const parts = changed(change, { since: sinceOf(view), force, nowMs });
      if (!(await this.#make(offer, parts))) throw ringErrors.ringRaced({});
      if (force) this.#settled();
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
        await this.#inTurn(() => this.#step());
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
    if (this.#isRowDue()) await this.#writeRow();
    // what came with a request meanwhile is in the store already
    for (let tries = 0; tries < 2 && !offer.isOwn; tries++) offer = await this.#reader.refresh();
    if (!offer.isOwn && this.#book.newest !== undefined) {
      await this.#replace(offer);
      offer = await this.#reader.refresh();
    }
    if (this.#hasRowsToPutBack) await this.#putRowsBack();
    await this.#plan(offer);
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
    this.#hasRowsToPutBack = false;
  }

  /** Puts what this member knows in the place of anything else. */
  async #replace(offer: Offer): Promise<void> {
    const { kv } = this.#options;
    const { newest } = this.#book;
    this.#storeLost();
    await this.#writeRow();
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
    if (this.#saved.secret !== '' && this.#missing === undefined) return;
    const entry = await this.#reader.call((signal) => kv.get(key, signal));
    if (this.#saved.secret === '') {
      if (entry !== undefined) this.#save({ secret: hexOf(entry.value) });
    } else if (entry === undefined) {
      const secret = Buffer.from(this.#saved.secret, 'hex');
      await this.#reader.call((signal) => kv.compareAndSet(key, undefined, secret, signal));
    }
  }

  #isRowDue(): boolean {
    const row = this.#row;
    if (row === undefined || this.#writtenMs === undefined) return true;
    // timers of the same length come a little early
    if (this.#options.clock.monotonicMs() - this.#writtenMs >= this.#heartbeatMs * 0.9) return true;
    return JSON.stringify({ ...this.#rowNow(), beat: row.beat }) !== JSON.stringify(row);
  }

  #rowNow(): MemberRow {
    const { zone, address } = this.#options;
    const { number: version, hash } = this.#confirmed;
    const settling = this.#missing !== undefined;
    const [complete, lost, wants, boot, beat] = [this.#complete, this.#lost, this.#wants, this.#boot, this.#beat];
    const { word } = this.#saved;
    const counts = this.#book.current()?.confirmed ?? 0;
    return { id: this.id, zone, address, boot, beat, wants, complete, lost, settling, version, hash, counts, word };
  }

  /** A heartbeat. Finds out whether the store still has the last one: who did not lose that lost nothing that was written before it. */
  async #writeRow(): Promise<void> {
    const { kv, clock } = this.#options;
    const key = rowKey(this.id);
    const found = await this.#reader.call((signal) => kv.get(key, signal));
    const last = this.#row;
    const { beat, boot } = found === undefined ? NO_BEAT : beatOf(found.value);
    if (last === undefined) {
      const beats = this.#reader.rows.get(this.id)?.beat ?? 0;
      if (this.#saved.boots > 1 && beat < this.#saved.beats) this.#rowLost();
      this.#beat = Math.max(this.#beat, beats, beat);
    } else if (boot !== this.#boot && beat > last.beat) {
      // the folder was copied, or this process should be dead: the later one goes on
      this.#isTwice = true;
      throw ringErrors.ringMemberTwice({ id: this.id });
    } else if (beat < last.beat) {
      // neither the last that was answered is there, nor a later one whose answer was lost
      this.#rowLost();
    }
    this.#beat++;
    const row = this.#rowNow();
    if (row.beat >= this.#saved.beats + BEATS_SAVED) this.#save({ beats: last?.beat ?? 0 });
    if (!(await this.#reader.call((signal) => kv.compareAndSet(key, found?.revision, encodeRow(row), signal)))) {
      throw ringErrors.ringRaced({});
    }
    this.#row = row;
    const nowMs = clock.monotonicMs();
    // a pause, or a store that was away, is no time in which others could have been seen
    if (this.#writtenMs !== undefined && nowMs - this.#writtenMs <= 3 * this.#heartbeatMs) {
      this.#aliveMs += nowMs - this.#writtenMs;
    }
    this.#writtenMs = nowMs;
  }

  #see({ id, version, hash }: MemberRow): void {
    const isFirst = !this.#seen.has(id);
    this.#seen.set(id, { aliveMs: this.#aliveMs, isFirst });
    if (isFirst || this.#missing === undefined) return;
    // one that knows more than is known here has to be followed first
    const newest = this.#book.newest?.version.number ?? 0;
    const isKnown =
      this.#book.chain.some((each) => each.hash === hash) || version < (this.#book.newest?.version.floor ?? 0);
    if (version <= newest && (isKnown || version === 0)) this.#missing.delete(id);
  }

  /** The own row is an older one, or gone. Rows of those that are no members are removed when they are old, and they make no versions. */
  #rowLost(): void {
    if (this.#isIn(this.#book.current())) this.#storeLost();
  }

  /** The store lost what was written to it: no version is made before all members have shown that they know no newer one. */
  #storeLost(): void {
    const members = this.#book.newest?.version.members ?? [];
    this.#hasRowsToPutBack = true;
    this.#missing = new Set(members.map(({ id }) => id).filter((id) => id !== this.id));
    if (!this.#saved.settling) this.#save({ settling: true });
  }

  #settled(): void {
    this.#missing = undefined;
    this.#save({ settling: false });
  }

  /** For whom a version has to wait; undefined: for nobody. */
  #settling(): string | undefined {
    if (this.#missing !== undefined) {
      for (const id of this.#missing) if (!this.#isIn(this.#book.current(), id)) this.#missing.delete(id);
      const [first] = this.#missing;
      if (first !== undefined) return first;
      this.#settled();
    }
    for (const row of this.#reader.rows.values())
      if (row.id !== this.id && row.settling && this.#isAlive(row.id)) return row.id;
    return undefined;
  }

  #ageMs(id: string): number {
    if (id === this.id) return 0;
    const seen = this.#seen.get(id);
    return seen === undefined ? this.#aliveMs : this.#aliveMs - seen.aliveMs;
  }

  #isAlive(id: string): boolean {
    return isHealthy({ ageMs: (each) => this.#ageMs(each), unhealthyMs: this.#unhealthyMs }, id);
  }

  async #plan(offer: Offer): Promise<void> {
    const view = this.#book.current();
    if (view === undefined) return this.#begin(offer);
    if (!offer.isOwn || this.#settling() !== undefined || !this.#isIn(view)) return;
    const isSizesDue = this.#aliveMs - this.#sizesMadeMs >= SIZES_MS;
    const { rows, sizes } = this.#reader;
    const limits = { unhealthyMs: this.#unhealthyMs, forgetMs: this.#forgetMs, isSizesDue };
    const { splitSeries = SPLIT_SERIES } = this.#options;
    const parts = nextParts({ view, rows, sizes, ageMs: (id) => this.#healthAgeMs(id), splitSeries, ...limits });
    if (parts === undefined) {
      this.#turnSince = undefined;
      if (isSizesDue) await this.#trim(view);
      return;
    }
    if (!this.#isTurn(view.newest.members.map(({ id }) => id))) return;
    if (isSizesDue) this.#sizesMadeMs = this.#aliveMs;
    if (await this.#make(offer, parts)) await this.#confirm();
    this.#news();
  }

  /** Forgets rows that nobody asks for any more; the first member that lives takes them out of the store, with versions below the floor. */
  async #trim(view: RingView): Promise<void> {
    this.#sizesMadeMs = this.#aliveMs;
    const known = new Set(view.chain.flatMap(({ members }) => members.map(({ id }) => id)));
    const isGone = (id: string) => !known.has(id) && id !== this.id && this.#ageMs(id) > this.#forgetMs;
    const gone = [...this.#reader.rows.keys()].filter(isGone);
    const members = view.newest.members.map(({ id }) => id);
    const first = members.filter((id) => this.#healthAgeMs(id) <= this.#unhealthyMs).sort(compareIds)[0];
    if (first === this.id) {
      for (const id of gone) await this.#removeRow(id);
      await this.#removeVersions(view.chain[0]!.parent);
    }
    for (const id of gone) {
      this.#reader.forget(id);
      this.#seen.delete(id);
    }
  }

  async #removeRow(id: string): Promise<void> {
    const entry = await this.#reader.call((signal) => this.#options.kv.get(rowKey(id), signal));
    // one that lives has written another since
    if (entry === undefined || beatOf(entry.value).beat !== this.#reader.rows.get(id)?.beat) return;
    await this.#remove(sizesKey(id));
    await this.#reader.call((signal) => this.#options.kv.remove(entry.key, entry.revision, signal));
  }

  /** Removes a version and those that it descends from, the oldest first: whoever goes on finds the others. */
  async #removeVersions(newest: string | undefined): Promise<void> {
    const hashes: string[] = [];
    for (let hash = newest; hash !== undefined && hashes.length < TRIMMED_MAX; ) {
      const held = await this.#reader.version(hash);
      if (held === undefined) break;
      hashes.push(hash);
      hash = held.version.parent;
    }
    for (const hash of hashes.reverse()) await this.#remove(versionKey(hash));
  }

  async #remove(key: string): Promise<void> {
    const { kv } = this.#options;
    const entry = await this.#reader.call((signal) => kv.get(key, signal));
    if (entry !== undefined) await this.#reader.call((signal) => kv.remove(key, entry.revision, signal));
  }

  /** A row that was seen once only may be long dead: it shows life when it changes. */
  #healthAgeMs(id: string): number {
    const seen = this.#seen.get(id);
    const unsure = id !== this.id && (seen === undefined || seen.isFirst);
    return unsure ? Math.max(this.#ageMs(id), this.#unhealthyMs + 1) : this.#ageMs(id);
  }

  /** The first that lives makes what is to be made; the others only where it does not. */
  #isTurn(ids: readonly string[]): boolean {
    const first = ids.filter((id) => this.#healthAgeMs(id) <= this.#unhealthyMs).sort(compareIds)[0];
    this.#turnSince ??= this.#aliveMs;
    if (first !== this.id && this.#aliveMs - this.#turnSince < TURN_MS) return false;
    this.#turnSince = undefined;
    return true;
  }

  /** Makes version 1, of members without history. */
  async #begin({ entry }: Offer): Promise<void> {
    const rows = [...this.#reader.rows.values()];
    const isNamed = entry !== undefined || rows.some(({ version }) => version > 0);
    if (isNamed) this.#emptySince = undefined;
    else this.#emptySince ??= this.#aliveMs;
    if (this.#emptySince === undefined || this.#aliveMs - this.#emptySince < BEGIN_MS) return;
    const { replicas, arcs, zonesMin, kv, randomBytes } = this.#options;
    const ready = rows.filter(
      (row) => row.wants === 'join' && row.complete && this.#healthAgeMs(row.id) <= this.#unhealthyMs,
    );
    const zones = new Set(ready.map(({ zone }) => zone)).size;
    if (ready.length < replicas || zones < zonesMin || !ready.some(({ id }) => id === this.id)) return;
    if (!this.#isTurn(ready.map(({ id }) => id))) return;
    const cluster = hexOf(randomBytes(16));
    const next = firstOwners(ready.map(memberOf), arcs, replicas);
    const version = { cluster, number: 1, parent: undefined, floor: 1, replicas, arcs, tenants: new Map(), ...next };
    const secret = randomBytes(32);
    await this.#reader.call((signal) => kv.compareAndSet(secretKey(cluster), undefined, secret, signal));
    if (await this.#put(version, undefined)) await this.#confirm();
  }

  /** Says whether a version was made from the newest. */
  async #make(offer: Offer, parts: NextParts): Promise<boolean> {
    const view = this.#book.current()!;
    const { newest, hash } = view;
    const lostBefore = this.#missing;
    // whether the store still has what was written last: were it gone, a newer version might be as well
    await this.#writeRow();
    if (this.#missing !== lostBefore) return false;
    const number = newest.number + 1;
    const next = { ...newest, number, parent: hash, floor: floorOf(view), givenUp: [], givenUpMs: 0, ...parts };
    return this.#put(next, offer.entry?.revision);
  }

  async #put(version: RingVersion, expected: string | undefined): Promise<boolean> {
    const { kv } = this.#options;
    const held = heldVersion(encodeVersion(version));
    await this.#reader.call((signal) => kv.put(versionKey(held.hash), held.bytes, signal));
    const row = encodeRow({ number: version.number, hash: held.hash });
    const made = await this.#reader.call((signal) => kv.compareAndSet(NEWEST_KEY, expected, row, signal));
    if (made) this.#book.take(held, version.floor);
    return made;
  }

  #isIn(view: RingView | undefined, member = this.id): boolean {
    return view?.newest.members.some(({ id }) => id === member) ?? false;
  }

  /** Why writes of any version are refused; undefined: they are not. */
  #closed(): string | undefined {
    if (this.#isTwice) return ringErrors.ringMemberTwice({ id: this.id }).message;
    const view = this.#book.current()!;
    const counts = view.chain.find(({ number }) => number === view.confirmed);
    const own = view.newest.members.find(({ id }) => id === this.id);
    if (own === undefined) return 'it is no member of the ring';
    if (own.state === 'draining' && counts?.members.find(({ id }) => id === this.id)?.state === 'draining')
      return 'it drains';
    return undefined;
  }

  #count(view: RingView): void {
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
    this.#wasDraining = isDraining;
    const last = this.#counted.at(-1)?.number ?? 0;
    if (confirmed <= last) return;
    const oldest = newest.floor;
    this.#counted = [
      ...this.#counted.filter(({ number }) => number >= oldest),
      { number: confirmed, atMs: this.#options.clock.monotonicMs() },
    ];
    // others know that it counts, and tell it after a restart
    if (this.#saved !== undefined && confirmed > this.#saved.counts) this.#trySave({ counts: confirmed });
  }

  /** Saves what it can do without after a restart. */
  #trySave(change: Partial<SavedMember>): void {
    try {
      this.#save(change);
    } catch (error) {
      this.lastError = error; // a full disk
    }
  }

  #save(change: Partial<SavedMember>): void {
    const next = { ...this.#saved, ...change, ranMs: this.#options.clock.nowMs() };
    this.#folder.saveMember(next);
    this.#saved = next;
  }
}

const NO_BEAT = { beat: -1, boot: '' };

function beatOf(bytes: Uint8Array): Pick<MemberRow, 'beat' | 'boot'> {
  return JSON.parse(Buffer.from(bytes).toString()) as MemberRow;
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
