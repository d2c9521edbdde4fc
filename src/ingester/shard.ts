import path from 'node:path';
import { BytesError } from '../chunk/group/bytes.ts';
import { Region } from '../chunk/region.ts';
import { type FrameLimits, NO_ROOM, REFUSED_NO_ROOM } from '../contract/ingest.ts';
import type { Clock } from '../lib/clock.ts';
import { pausing } from '../lib/pause.ts';
import { processErrors } from '../model/errors-process.ts';
import { writeErrors } from '../model/errors-write.ts';
import type { MetricMetadata } from '../model/metric-metadata.ts';
import { splitKeyed } from '../wire/frames.ts';
import {
  checkpointName,
  listCheckpoints,
  loadCheckpoint,
  readNote,
  type SavedArena,
  type SavedLoss,
  writeCheckpoint,
} from './checkpoint.ts';
import type { Disk } from './disk.ts';
import { Head, type HeadIngestResult, type HeadTenant } from './head.ts';
import type { HeldRange } from './held-range.ts';
import { MetadataBook } from './metadata.ts';
import {
  listSegments,
  segmentName,
  WAL_ASIDE,
  WAL_NOTE,
  WAL_OPS,
  WAL_SERIES,
  WAL_STAGED,
  WalReader,
  type WalRecord,
  WalWriter,
} from './wal.ts';

/** What a head that takes no new series may grow by with samples of those it has: with a store away for long, everything is refused. */
const BYTES_BEYOND = 4 / 3;

export interface ShardOptions {
  readonly folder: string;
  readonly windowMs: number;
  /** Size of the head at which new series are refused, and a third beyond it all samples. */
  readonly headBytesMax: number;
  /** What keys of series are made with, in edges too (docs/formats/slices.md); absent: no edge sends any. */
  readonly seriesSecret?: Uint8Array | undefined;
  /** `always`: acknowledged means on the disk; `interval`: within `fsyncIntervalMs`. */
  readonly fsync: 'always' | 'interval';
  readonly fsyncIntervalMs: number;
  /** How long a flushed window stays in the head. */
  readonly keepFlushedMs: number;
  /** Kept up to date for other threads. */
  readonly held?: HeldRange;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: ShardLog;
  /** A sync failed: nothing is sure any more, the process must end. */
  readonly fatal: (error: Error) => void;
}

export type ShardLog = (level: 'info' | 'warn' | 'error', text: string, fields?: Record<string, unknown>) => void;

/** What the log says besides samples. */
type LogNote =
  | { readonly tenant: readonly [index: number, id: string] }
  | { readonly seal: number }
  | { readonly flushed: number; readonly atMs: number }
  | { readonly metadata: string; readonly entries: readonly MetricMetadata[] }
  | { readonly staged: number }
  | { readonly gone: string };

export interface ShardStats {
  readonly state: ShardState;
  readonly series: number;
  readonly headBytes: number;
  readonly kernelBytes: number;
  readonly walBytes: number;
  readonly walLosses: number;
  readonly replayedSamples: number;
  readonly replayMs: number;
  readonly arenas: readonly SavedArena[];
  readonly checkpoints: number;
  readonly commitFailures: number;
  /** Series that have histograms or start timestamps, and what these take. */
  readonly richSeries: number;
  readonly richBytes: number;
  readonly exemplars: number;
}

export type ShardState = 'replaying' | 'live' | 'closed';

/** A request that was appended but not yet written to the log. */
interface Waiting {
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

const CHECKPOINT_BYTES_MIN = 64 * 1024 * 1024;
const encoder = new TextEncoder();

/**
 * One shard of an ingester: a head and its log, the only writer of both. Everything happens in one thread; what takes long pauses
 * for messages. Acknowledged means written to the log.
 */
export class Shard {
  readonly head: Head;
  readonly metadata = new MetadataBook();
  readonly #options: ShardOptions;
  readonly #disk: Disk;
  readonly #buffer: Region;
  readonly #wal: WalWriter;
  /** Sequence number of the first segment of this run. */
  readonly #startSequence: number;
  #state: ShardState = 'replaying';
  #waiting: Waiting[] = [];
  #committing = false;
  #commitScheduled = false;
  /** LSN of the seal of each sealed arena, and when the store had it. */
  readonly #sealed = new Map<number, { sealLsn: number; flushedMs: number }>();
  #losses: SavedLoss[] = [];
  #replayedSamples = 0;
  #replayMs = 0;
  #checkpoints = 0;
  #checkpointBytes = 0;
  #checkpointAt = 0; // wal.written then
  #commitFailures = 0;
  #exclusive: Promise<unknown> = Promise.resolve();
  /** Dropped refs by the count of checkpoints at that time: free when one more is through. */
  #droppedRefs: number[] = [];
  readonly ready: Promise<void>;
  readonly #timers: NodeJS.Timeout[] = [];

  /** Opens the folder and takes writes at once; what the log holds is replayed meanwhile (`ready`). */
  constructor(options: ShardOptions) {
    this.#options = options;
    this.#disk = options.disk;
    this.#disk.makeFolder(options.folder);
    this.head = new Head({ windowMs: options.windowMs, bytesMax: options.headBytesMax, secret: options.seriesSecret });
    this.#buffer = new Region(this.head.kernel);
    const segments = listSegments(this.#disk, options.folder);
    const checkpoint = listCheckpoints(this.#disk, options.folder).at(-1) ?? 0;
    const old = segments.filter((sequence) => sequence >= checkpoint);
    const lsn = this.#lastLsn(segments, checkpoint);
    this.#startSequence = (segments.at(-1) ?? checkpoint) + 1;
    this.#wal = new WalWriter(this.head.kernel, this.#disk, options.folder, this.#startSequence, lsn);
    this.ready = this.#replay(checkpoint, old);
    this.ready.catch(() => {});
    if (options.fsync === 'interval') this.#every(options.fsyncIntervalMs, () => this.#sync());
    this.#every(5_000, () => this.maintain());
  }

  #every(ms: number, work: () => Promise<unknown>): void {
    const timer = setInterval(() => {
      work().catch((error: Error) => {
        if (this.#state !== 'closed')
          this.#options.log('error', 'work in the background failed', { error: error.message });
      });
    }, ms);
    timer.unref();
    this.#timers.push(timer);
  }

  async #sync(): Promise<void> {
    try {
      await this.#wal.sync();
    } catch (error) {
      this.#options.fatal(error as Error);
    }
  }

  get state(): ShardState {
    return this.#state;
  }

  stats(): ShardStats {
    return {
      state: this.#state,
      series: this.head.seriesCount,
      headBytes: this.head.bytes,
      kernelBytes: this.head.kernel.u8.byteLength,
      walBytes: this.#wal.written,
      walLosses: this.#losses.length,
      replayedSamples: this.#replayedSamples,
      replayMs: this.#replayMs,
      arenas: this.arenas(),
      checkpoints: this.#checkpoints,
      commitFailures: this.#commitFailures,
      richSeries: this.head.rich.seriesCount,
      richBytes: this.head.rich.bytes,
      exemplars: this.head.exemplars.count,
    };
  }

  // ---- writes

  /**
   * Takes one request's frames. Resolves when what was kept is in the log.
   * @throws logUnavailable, headFull
   */
  push(tenantId: string, frames: Uint8Array, limits: FrameLimits): Promise<HeadIngestResult> {
    if (this.#state === 'closed') return Promise.reject(processErrors.shuttingDown({}));
    try {
      const result = this.#state === 'live' ? this.#ingest(tenantId, frames, limits) : this.#stage(tenantId, frames);
      return this.#committed(result);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #ingest(tenantId: string, frames: Uint8Array, limits: FrameLimits): HeadIngestResult {
    // what a full disk left is written first: nothing new is taken on before
    if (this.#commitFailed) this.#commitNow();
    const { headBytesMax } = this.#options;
    if (this.head.bytes > headBytesMax * BYTES_BEYOND) {
      throw writeErrors.headFull({ usedBytes: this.head.bytes, limitBytes: headBytesMax });
    }
    let result: HeadIngestResult;
    try {
      result = this.head.ingest(this.#tenant(tenantId), frames, limits, false, () => this.#commitNow());
    } finally {
      this.#publishHeld();
    }
    if (result.counts[NO_ROOM]! > 0 || result.first?.series === REFUSED_NO_ROOM) {
      throw writeErrors.headFull({ usedBytes: this.head.bytes, limitBytes: headBytesMax });
    }
    return result;
  }

  /**
   * During replay a request is only logged; it is appended, whatever its order, when replay is through. Of a series that comes with its
   * key alone nothing is taken: keys are of this process, the log is for the next one too.
   */
  #stage(tenantId: string, all: Uint8Array): HeadIngestResult {
    const { frames, keyed } = splitKeyed(all);
    const id = encoder.encode(tenantId);
    const framesAt = 4 + ((id.length + 3) & ~3);
    const payload = new Uint8Array(framesAt + frames.length);
    new DataView(payload.buffer).setUint32(0, id.length, true);
    payload.set(id, 4);
    payload.set(frames, framesAt);
    this.#writeOrThrow(() => this.#wal.writeBytes(payload, WAL_STAGED));
    return { ...STAGED_RESULT, unknown: keyed };
  }

  #tenant(id: string): HeadTenant {
    const known = this.head.tenant(id);
    if (known !== undefined) return known;
    const tenant = this.head.addTenant(id);
    // its series name it by index, so the log must know it first
    try {
      this.#note({ tenant: [tenant.index, id] });
    } catch (error) {
      this.head.removeNewestTenant();
      throw error;
    }
    return tenant;
  }

  #note(note: LogNote): number {
    let lsn = 0;
    this.#writeOrThrow(() => {
      lsn = this.#wal.writeBytes(encoder.encode(JSON.stringify(note)), WAL_NOTE);
    });
    return lsn;
  }

  setMetadata(tenantId: string, entries: readonly MetricMetadata[]): Promise<void> {
    const news = this.metadata.set(tenantId, entries);
    if (news.length === 0) return Promise.resolve();
    try {
      this.#note({ metadata: tenantId, entries: news });
      return this.#committed(undefined);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #commitFailed = false;

  /**
   * Writes the kernel's payload as a record, and what it left aside as another. What cannot be written stays, and is tried again before
   * anything else is.
   */
  #commitNow(): void {
    const { exports } = this.head.kernel;
    const bytes = exports.logBytes();
    if (bytes > 0) {
      this.#writeOrThrow(() => this.#wal.write(this.head.logAt, bytes, WAL_OPS));
      exports.logTaken();
    }
    const { asideLog } = this.head;
    if (asideLog.length > 0) {
      this.#writeOrThrow(() => this.#wal.writeBytes(asideLog.done(), WAL_ASIDE));
      asideLog.length = 0;
    }
    this.#commitFailed = false;
  }

  #writeOrThrow(write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#commitFailures++;
      this.#commitFailed = true;
      throw writeErrors.logUnavailable({ reason: (error as Error).message });
    }
  }

  /** Resolves with `result` when all that is in the head now is in the log. */
  #committed<T>(result: T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ done: () => resolve(result), failed: reject });
      if (this.#commitScheduled) return;
      this.#commitScheduled = true;
      setImmediate(() => void this.#commit());
    });
  }

  /** Group commit: one record for all requests that came since the last one. */
  async #commit(): Promise<void> {
    if (this.#committing) return;
    this.#committing = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        this.#commitNow();
        if (this.#options.fsync === 'always') {
          await this.#wal.sync().catch((error) => {
            this.#options.fatal(error);
            throw writeErrors.logUnavailable({ reason: (error as Error).message });
          });
        }
        for (const { done } of batch) done();
      } catch (error) {
        for (const { failed } of batch) failed(error);
      }
      if (this.#wal.segmentFull) await this.#rotate();
    }
    this.#committing = false;
    this.#commitScheduled = false;
  }

  async #rotate(): Promise<void> {
    try {
      await this.#wal.rotate();
    } catch (error) {
      this.#options.log('error', 'cannot start a new log segment', { error: (error as Error).message });
    }
  }

  // ---- replay

  /** The LSN that the log ends with, from its last segments; what is behind a checkpoint is in there. */
  #lastLsn(segments: readonly number[], checkpoint: number): number {
    for (const sequence of segments.toReversed()) {
      const reader = this.#reader(segmentName(sequence));
      let lsn = 0;
      for (let record = reader.next(); record !== undefined; record = reader.next()) lsn = Math.max(lsn, record.lsn);
      reader.close();
      if (lsn > 0) return lsn;
    }
    if (checkpoint === 0) return 0;
    // only a checkpoint: its last note has it, and where that is corrupt, no block is of a later one
    const reader = this.#reader(checkpointName(checkpoint));
    let lsn = 0;
    for (let record = reader.next(); record !== undefined; record = reader.next()) {
      if (record.type === WAL_NOTE) lsn = Math.max(lsn, readNote<{ lsn?: number }>(this.head, record).lsn ?? 0);
      else if (record.type === WAL_SERIES) lsn = Math.max(lsn, this.head.kernel.view.getFloat64(record.at + 8, true));
    }
    reader.close();
    return lsn;
  }

  #reader(name: string): WalReader {
    return new WalReader(this.head.kernel, this.#disk, path.join(this.#options.folder, name), this.#buffer);
  }

  async #replay(checkpoint: number, segments: readonly number[]): Promise<void> {
    const { log, folder } = this.#options;
    const started = performance.now();
    const pause = pausing(8);
    const lsns = new Region(this.head.kernel, 8 * 4096);
    this.head.liftLimits();
    if (checkpoint > 0) await this.#loadCheckpoint(checkpoint, lsns, pause);
    /** Requests that an earlier replay staged and did not get to append. */
    let staged: { readonly sequence: number; readonly lsn: number }[] = [];
    for (const [i, sequence] of segments.entries()) {
      const reader = this.#reader(segmentName(sequence));
      for (let record = reader.next(); record !== undefined; record = reader.next()) {
        if (record.type === WAL_STAGED) staged.push({ sequence, lsn: record.lsn });
        else if (record.type === WAL_OPS) this.#replayOps(record);
        else if (record.type === WAL_ASIDE) this.#replayAside(record);
        else if (record.type === WAL_NOTE) {
          const note = readNote<LogNote>(this.head, record);
          if ('staged' in note) staged = staged.filter(({ lsn }) => lsn > note.staged);
          else this.#replayNote(note, record.lsn);
        }
        for (const loss of reader.losses.splice(0)) this.#lost(loss, false);
        await pause();
      }
      for (const loss of reader.losses) this.#lost(loss, loss.torn && i === segments.length - 1);
      reader.close();
      log('info', 'replayed a log segment', { segment: sequence, of: segments.at(-1), samples: this.#replayedSamples });
    }
    this.head.findNewest();
    // own segments last: what was staged meanwhile
    const first = this.#startSequence;
    const from = staged.length === 0 ? first : Math.min(first, staged[0]!.sequence);
    const open = new Set(staged.map(({ lsn }) => lsn));
    let last = 0;
    for (let sequence = from; ; sequence++) {
      if (sequence < first && !staged.some((s) => s.sequence === sequence)) continue;
      const reader = this.#reader(segmentName(sequence));
      for (;;) {
        const live = sequence === this.#wal.sequence;
        const record = reader.next(live);
        if (record === undefined) {
          if (live !== (sequence === this.#wal.sequence)) continue; // it was ended meanwhile: read its rest
          break;
        }
        if (record.type === WAL_STAGED && (sequence >= first || open.has(record.lsn))) {
          this.#appendStaged(record);
          last = record.lsn;
        }
        await pause();
      }
      reader.close();
      if (sequence === this.#wal.sequence) break;
    }
    // nothing came since the last look: from here on requests go to the head
    this.#state = 'live';
    this.#publishHeld();
    this.#commitNow();
    if (last > 0) this.#note({ staged: last });
    this.#replayMs = performance.now() - started;
    log('info', 'replay is through', {
      folder,
      series: this.head.seriesCount,
      samples: this.#replayedSamples,
      ms: Math.round(this.#replayMs),
    });
  }

  async #loadCheckpoint(checkpoint: number, lsns: Region, pause: () => Promise<void>): Promise<void> {
    const { folder, windowMs, log } = this.#options;
    const file = path.join(folder, checkpointName(checkpoint));
    const loaded = await loadCheckpoint(this.head, this.#disk, file, this.#buffer, pause);
    if (loaded.windowMs !== windowMs && loaded.arenas.length > 0) {
      throw writeErrors.windowChanged({ folder, hadMs: loaded.windowMs, wantMs: windowMs });
    }
    const at = lsns.ensure(loaded.blockLsns.length * 8);
    new Float64Array(this.head.kernel.u8.buffer, at, loaded.blockLsns.length).set(loaded.blockLsns);
    this.head.kernel.exports.replayInit(at, loaded.blockLsns.length);
    for (const { id, sealLsn, flushedMs } of loaded.arenas) {
      if (sealLsn > 0) this.#sealed.set(id, { sealLsn, flushedMs });
    }
    for (const [tenant, entries] of loaded.metadata) this.metadata.set(tenant, entries);
    this.#losses.push(...loaded.losses);
    for (const loss of loaded.corrupt) this.#lost({ file, ...loss, torn: false }, false);
    log('info', 'loaded the checkpoint', { checkpoint, series: this.head.seriesCount });
  }

  #replayOps(record: WalRecord): void {
    const samples = this.head.kernel.exports.replayPayload(record.at, record.bytes, record.lsn);
    this.head.unindexForgotten();
    if (samples === -2) {
      throw writeErrors.headFull({ usedBytes: this.head.bytes, limitBytes: this.#options.headBytesMax });
    }
    if (samples < 0) {
      this.#lost({ file: this.#options.folder, position: record.lsn, bytes: record.bytes, torn: false }, false);
    } else this.#replayedSamples += samples;
  }

  #replayAside(record: WalRecord): void {
    const payload = this.head.kernel.u8.slice(record.at, record.at + record.bytes);
    try {
      this.#replayedSamples += this.head.replayAside(payload, record.lsn);
    } catch (error) {
      if (!(error instanceof BytesError)) throw error;
      this.#lost({ file: this.#options.folder, position: record.lsn, bytes: record.bytes, torn: false }, false);
    }
  }

  #replayNote(note: LogNote, lsn: number): void {
    if ('tenant' in note) {
      if (this.head.tenant(note.tenant[1]) === undefined) this.head.addTenant(note.tenant[1], note.tenant[0]);
    } else if ('metadata' in note) this.metadata.set(note.metadata, note.entries);
    else if ('gone' in note) this.#forgetRest(note.gone);
    else if ('seal' in note) this.#sealWindow(note.seal, lsn);
    else if ('flushed' in note) this.#markFlushed(note.flushed, note.atMs);
  }

  #appendStaged(record: WalRecord): void {
    const { kernel } = this.head;
    const idBytes = kernel.view.getUint32(record.at, true);
    const id = new TextDecoder().decode(kernel.u8.subarray(record.at + 4, record.at + 4 + idBytes));
    const framesAt = record.at + 4 + ((idBytes + 3) & ~3);
    const frames = kernel.u8.slice(framesAt, record.at + record.bytes);
    this.head.ingest(this.#tenant(id), frames, STAGED_LIMITS, true, () => this.#commitNow());
    this.#commitNow();
  }

  #lost(loss: { file: string; position: number; bytes: number; torn: boolean }, harmless: boolean): void {
    if (harmless) {
      this.#options.log('info', 'cut off an unfinished record at the end of the log', loss);
      return;
    }
    const newest = this.head.kernel.exports.replayNewest();
    const { windowMs } = this.#options;
    const fromMs = newest > 0 ? newest - windowMs : 0;
    const toMs = newest > 0 ? newest + windowMs : Number.MAX_SAFE_INTEGER;
    this.#losses.push({ file: loss.file, position: loss.position, bytes: loss.bytes, fromMs, toMs });
    this.#options.log('error', 'a part of the log is corrupt: what it held is lost', { ...loss, fromMs, toMs });
  }

  /** What is known to be lost for good in the range, for an answer's warnings. */
  lossWarnings(startMs: number, endMs: number): string[] {
    return this.#losses
      .filter(({ fromMs, toMs }) => fromMs <= endMs && toMs >= startMs)
      .map(
        ({ file, position, bytes }) =>
          `${bytes} bytes of ${path.basename(file)} at ${position} were corrupt: samples may be missing`,
      );
  }

  // ---- windows: sealed, flushed by someone else, dropped

  arenas(): SavedArena[] {
    const { exports } = this.head.kernel;
    const arenas: SavedArena[] = [];
    for (let id = 1; id < exports.arenaCount(); id++) {
      if (!exports.arenaExists(id)) continue;
      const sealed = this.#sealed.get(id);
      arenas.push({
        id,
        window: exports.arenaWindow(id),
        sealLsn: sealed?.sealLsn ?? 0,
        flushedMs: sealed?.flushedMs ?? 0,
      });
    }
    return arenas;
  }

  /** Before what changed it is acknowledged. */
  #publishHeld(): void {
    const { held, windowMs } = this.#options;
    if (held === undefined) return;
    // what was lost is told to whoever asks for its time
    const unknown = this.#state !== 'live' || this.#losses.length > 0;
    held.publish(unknown ? undefined : this.arenas().map(({ window }) => window), windowMs);
  }

  /** Seals the windows that end at or before `beforeMs`, but for some; returns all that are sealed and not yet in the store. */
  async seal(beforeMs: number, except: readonly number[] = []): Promise<readonly SavedArena[]> {
    return this.#alone(async () => {
      if (this.#state !== 'live') return [];
      this.#commitNow();
      for (const { window, sealLsn } of this.arenas()) {
        if (sealLsn === 0 && (window + 1) * this.#options.windowMs <= beforeMs && !except.includes(window)) {
          this.#sealWindow(window, this.#note({ seal: window }));
        }
      }
      return this.arenas().filter(({ sealLsn, flushedMs }) => sealLsn > 0 && flushedMs === 0);
    });
  }

  #sealWindow(window: number, lsn: number): void {
    const { exports } = this.head.kernel;
    for (let id = 1; id < exports.arenaCount(); id++) {
      if (!exports.arenaExists(id) || exports.arenaSealed(id) || exports.arenaWindow(id) !== window) continue;
      exports.arenaSeal(id);
      this.#sealed.set(id, { sealLsn: lsn, flushedMs: 0 });
    }
  }

  /** The store has all of what was sealed with this LSN. */
  async confirmFlushed(sealLsn: number): Promise<void> {
    await this.#alone(async () => {
      const atMs = this.#options.clock.nowMs();
      this.#note({ flushed: sealLsn, atMs });
      this.#markFlushed(sealLsn, atMs);
    });
  }

  #markFlushed(sealLsn: number, atMs: number): void {
    for (const [id, sealed] of this.#sealed) {
      if (sealed.sealLsn === sealLsn) this.#sealed.set(id, { sealLsn, flushedMs: atMs });
    }
  }

  /** Drops what the store has had for long enough, and writes a checkpoint when the log has grown. */
  async maintain(): Promise<void> {
    if (this.#state !== 'live') return;
    await this.dropFlushed(this.#options.clock.nowMs() - this.#options.keepFlushedMs);
    const grown = this.#wal.written - this.#checkpointAt;
    if (grown > Math.max(CHECKPOINT_BYTES_MIN, this.#checkpointBytes / 2)) await this.checkpoint();
  }

  /** Drops the windows that were flushed before `beforeMs`. */
  async dropFlushed(beforeMs: number): Promise<void> {
    await this.#alone(async () => {
      for (const [id, { flushedMs }] of this.#sealed) {
        if (flushedMs === 0 || flushedMs > beforeMs) continue;
        this.#sealed.delete(id);
        const idleBeforeMs = this.#options.clock.nowMs() - 2 * this.#options.windowMs;
        for (const ref of this.head.dropArena(id, idleBeforeMs, () => this.#commitNow())) this.#droppedRefs.push(ref);
        this.#publishHeld();
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
    });
  }

  /**
   * Forgets all that a tenant has, in the log too when this resolves. What comes later begins anew.
   * @throws logUnavailable where only a part went: the same call again takes the rest
   */
  async deleteTenant(tenantId: string): Promise<void> {
    await this.#alone(async () => {
      this.#commitNow();
      const tenant = this.head.tenant(tenantId);
      if (tenant === undefined) return;
      this.head.dropTenant(tenant, this.#droppedRefs, () => this.#commitNow());
      this.#commitNow();
      this.#note({ gone: tenantId });
      this.#forgetRest(tenantId);
    });
    // the log before a checkpoint goes, and with it the last of the samples
    if (this.head.tenant(tenantId) !== undefined) await this.checkpoint();
  }

  #forgetRest(tenantId: string): void {
    const tenant = this.head.tenant(tenantId);
    if (tenant !== undefined) this.head.forgetRest(tenant);
    this.metadata.forget(tenantId);
  }

  /** Writes the head to a file and lets the log before it go. */
  async checkpoint(): Promise<void> {
    await this.#alone(async () => {
      const { folder, log } = this.#options;
      const started = performance.now();
      this.#commitNow();
      await this.#wal.rotate();
      const sequence = this.#wal.sequence;
      const dropped = this.#droppedRefs;
      this.#droppedRefs = [];
      this.#checkpointAt = this.#wal.written;
      this.#checkpointBytes = await writeCheckpoint(
        {
          head: this.head,
          lsn: () => {
            this.#commitNow();
            return this.#wal.lsn;
          },
          arenas: () => this.arenas(),
          metadata: () => this.metadata.all(),
          losses: () => this.#losses,
        },
        this.#disk,
        folder,
        sequence,
        pausing(5),
      );
      for (const old of listCheckpoints(this.#disk, folder)) {
        if (old < sequence) this.#disk.remove(path.join(folder, checkpointName(old)));
      }
      for (const old of listSegments(this.#disk, folder)) {
        if (old < sequence) this.#disk.remove(path.join(folder, segmentName(old)));
      }
      this.head.reuseRefs(dropped);
      this.#checkpoints++;
      log('info', 'wrote a checkpoint', {
        bytes: this.#checkpointBytes,
        series: this.head.seriesCount,
        ms: Math.round(performance.now() - started),
      });
    });
  }

  /** One at a time: what changes which windows there are, and what writes them down. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#exclusive.then(work, work);
    this.#exclusive = turn.catch(() => {});
    return turn;
  }

  /** Writes and syncs what is open; with `checkpoint`, the next start has no log to replay. */
  async close(options: { checkpoint: boolean }): Promise<void> {
    if (this.#state === 'closed') return;
    for (const timer of this.#timers) clearInterval(timer);
    if (this.#state === 'live' && options.checkpoint) {
      await this.dropFlushed(this.#options.clock.nowMs());
      await this.checkpoint();
    }
    await this.#exclusive;
    this.#state = 'closed';
    while (this.#committing) await new Promise<void>((resolve) => setImmediate(resolve));
    this.#commitNow();
    await this.#wal.close();
  }
}

/** Limits were looked at when the request came, or not at all. */
const STAGED_LIMITS: FrameLimits = {
  seriesPerUserMax: 0,
  seriesPerMetricMax: 0,
  outOfOrderMs: 0,
  exemplarsMax: Number.POSITIVE_INFINITY,
};
/** What a request is told that is only logged: nothing was refused. */
const STAGED_RESULT: HeadIngestResult = {
  counts: [0, 0, 0, 0, 0, 0],
  histogramsLost: 0,
  exemplarsLost: 0,
  refused: 0,
  first: undefined,
  unknown: [],
};
