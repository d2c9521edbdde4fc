import path from 'node:path';
import { BytesError } from '../../chunk/group/bytes.ts';
import { Region } from '../../chunk/region.ts';
import { type FrameLimits, type MetadataLimits, NO_ROOM, REFUSED_NO_ROOM } from '../../contract/ingest.ts';
import type { Clock } from '../../lib/clock.ts';
import { pausing } from '../../lib/pause.ts';
import { AppError } from '../../model/errors.ts';
import { processErrors } from '../../model/errors-process.ts';
import { writeErrors } from '../../model/errors-write.ts';
import type { MetricMetadata } from '../../model/metric-metadata.ts';
import { splitKeyed } from '../../wire/frames.ts';
import { RECORD_BYTES_AIMED } from '../../wire/record-layout.ts';
import { Head, type HeadIngestResult, type HeadTenant } from '../head/head.ts';
import type { HeldRange } from '../head/held-range.ts';
import type { MetadataBook } from '../head/metadata.ts';
import {
  checkpointName,
  listCheckpoints,
  loadCheckpoint,
  type SavedArena,
  type SavedLoss,
  writeCheckpoint,
} from '../log/checkpoint.ts';
import type { Disk } from '../log/disk.ts';
import { useLogKey } from '../log/log-key.ts';
import { encodeNote, isCount, type LogNote, noteParts, readLogNote, readNote } from '../log/log-note.ts';
import { readStaged, stagedPayloads } from '../log/staged.ts';
import {
  listSegments,
  needsKey,
  segmentName,
  WAL_ASIDE,
  WAL_NOTE,
  WAL_OPS,
  WAL_SERIES,
  WAL_STAGED,
  type WalLoss,
  WalReader,
  type WalRecord,
  WalWriter,
} from '../log/wal.ts';

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

export interface ShardStats {
  readonly state: ShardState;
  readonly series: number;
  readonly headBytes: number;
  readonly kernelBytes: number;
  readonly walBytes: number;
  readonly walLosses: number;
  /** Bytes and samples (as far as can be told) of the log that could not be read at the start, unfinished records at its end included. */
  readonly walLostBytes: number;
  readonly walLostSamples: number;
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
/** Losses that are told one by one; of more the last one tells. */
const LOSSES_MAX = 1000;
/** Losses in a row that are logged one by one. */
const LOSSES_LOGGED_MAX = 100;
const NO_METADATA_LIMITS: MetadataLimits = { metricsMax: 0, perMetricMax: 0 };

/**
 * One shard of an ingester: a head and its log, the only writer of both. Everything happens in one thread; what takes long pauses
 * for messages. Acknowledged means written to the log.
 */
export class Shard {
  readonly head: Head;
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
  #lossesFound = 0;
  #lostBytes = 0;
  #lostSamples = 0;
  #replayedSamples = 0;
  /** Bytes of the records that `#replayedSamples` were in. */
  #replayedBytes = 0;
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
    const checkpoints = listCheckpoints(this.#disk, options.folder);
    const checkpoint = checkpoints.at(-1) ?? 0;
    const files = [...segments.map(segmentName), ...checkpoints.map(checkpointName)];
    const isNew = !files.some((name) => needsKey(this.#disk, path.join(options.folder, name)));
    useLogKey(this.head.kernel, this.#disk, options.folder, isNew);
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

  get metadata(): MetadataBook {
    return this.head.metadata;
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
      walLostBytes: this.#lostBytes,
      walLostSamples: Math.round(this.#lostSamples),
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
   * @throws logUnavailable, headFull; sampleTooLarge, seriesLabelsTooLong for what no record of the log can hold
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
    this.head.windows.setNow(this.#options.clock.nowMs());
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
    for (const payload of stagedPayloads(tenantId, frames)) {
      this.#writeOrThrow(() => this.#wal.writeBytes(payload, WAL_STAGED));
    }
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
      lsn = this.#wal.writeBytes(encodeNote(note), WAL_NOTE);
    });
    return lsn;
  }

  /** Takes metadata within the limits. Resolves when what was taken is in the log, with how many were not, by reason. @throws logUnavailable */
  async setMetadata(
    tenantId: string,
    entries: readonly MetricMetadata[],
    limits = NO_METADATA_LIMITS,
  ): Promise<Readonly<Record<string, number>>> {
    const nowMs = this.#options.clock.nowMs();
    const isFull = this.head.bytes > this.#options.headBytesMax;
    const { news, refused } = this.metadata.take(tenantId, entries, { limits, nowMs, isFull });
    if (news.length === 0) return refused;
    try {
      for (const part of noteParts(news, RECORD_BYTES_AIMED)) this.#note({ metadata: tenantId, entries: part });
    } catch (error) {
      this.metadata.drop(tenantId, news);
      throw error;
    }
    return this.#committed(refused);
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
      this.#writeOrThrow(() => this.#wal.writeBytes(asideLog.bytes, WAL_ASIDE));
      asideLog.clear();
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
      if (record.type === WAL_NOTE) lsn = Math.max(lsn, this.#lsnOfNote(record));
      else if (record.type === WAL_SERIES && record.bytes >= 16) {
        lsn = Math.max(lsn, this.head.kernel.view.getFloat64(record.at + 8, true));
      }
    }
    reader.close();
    return lsn;
  }

  #lsnOfNote(record: WalRecord): number {
    try {
      const { lsn } = readNote(this.head.kernel, record);
      return isCount(lsn) ? lsn : 0;
    } catch (error) {
      if (error instanceof BytesError) return 0; // counted when the checkpoint is loaded
      throw error;
    }
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
    let lsn = 0;
    /** An unfinished record at the end of a segment: nothing, where the next segment goes on behind the record before it. */
    let cut: WalLoss | undefined;
    for (const sequence of segments) {
      const reader = this.#reader(segmentName(sequence));
      for (let record = reader.next(); record !== undefined; record = reader.next()) {
        for (const loss of reader.losses.splice(0)) this.#lost(loss);
        if (cut !== undefined) this.#lost(cut, { isUnfinished: lsn === 0 || record.lsn === lsn + 1 });
        cut = undefined;
        lsn = record.lsn;
        try {
          const note = this.#replayRecord(record);
          if (record.type === WAL_STAGED) staged.push({ sequence, lsn: record.lsn });
          else if (note !== undefined) staged = staged.filter((one) => one.lsn > note.staged);
        } catch (error) {
          if (!(error instanceof BytesError)) throw error;
          this.#lostPayload(record, error);
        }
        await pause();
      }
      for (const loss of reader.losses) {
        if (loss.kind === 'cut') cut = loss;
        else this.#lost(loss);
      }
      reader.close();
      log('info', 'replayed a log segment', { segment: sequence, of: segments.at(-1), samples: this.#replayedSamples });
    }
    if (cut !== undefined) this.#lost(cut, { isUnfinished: true });
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
          try {
            this.#appendStaged(record);
          } catch (error) {
            // a log of the first version may hold what no record holds now
            const isTooLarge = error instanceof AppError && error.facts.http === 413;
            if (!(error instanceof BytesError) && !isTooLarge) throw error;
            this.#lostPayload(record, error);
          }
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
    const nowMs = this.#options.clock.nowMs();
    const loaded = await loadCheckpoint(this.head, this.#disk, file, this.#buffer, nowMs, pause);
    if (loaded.windowMs !== windowMs && loaded.arenas.length > 0) {
      throw writeErrors.windowChanged({ folder, hadMs: loaded.windowMs, wantMs: windowMs });
    }
    const at = lsns.ensure(loaded.blockLsns.length * 8);
    new Float64Array(this.head.kernel.u8.buffer, at, loaded.blockLsns.length).set(loaded.blockLsns);
    this.head.kernel.exports.replayInit(at, loaded.blockLsns.length);
    for (const { id, sealLsn, flushedMs } of loaded.arenas) {
      if (sealLsn > 0) this.#sealed.set(id, { sealLsn, flushedMs });
    }
    this.#losses.push(...loaded.losses.slice(0, LOSSES_MAX));
    for (const loss of loaded.damage) this.#lost(loss);
    log('info', 'loaded the checkpoint', { checkpoint, series: this.head.seriesCount });
  }

  /** Applies a record; returns the note that says which staged requests are in the head. @throws BytesError */
  #replayRecord(record: WalRecord): { readonly staged: number } | undefined {
    switch (record.type) {
      case WAL_OPS:
        this.#replayOps(record);
        return undefined;
      case WAL_ASIDE: {
        const { u8 } = this.head.kernel;
        this.#replayedSamples += this.head.replayAside(u8.slice(record.at, record.at + record.bytes), record.lsn);
        this.#replayedBytes += record.bytes;
        return undefined;
      }
      case WAL_NOTE: {
        const note = readLogNote(this.head.kernel, record);
        if ('staged' in note) return note;
        this.#replayNote(note, record.lsn);
        return undefined;
      }
      case WAL_STAGED:
        return undefined;
      default:
        throw new BytesError(`a record of type ${record.type}`);
    }
  }

  #replayOps(record: WalRecord): void {
    const samples = this.head.kernel.exports.replayPayload(record.at, record.bytes, record.lsn);
    this.head.unindexForgotten();
    if (samples === -2) {
      throw writeErrors.headFull({ usedBytes: this.head.bytes, limitBytes: this.#options.headBytesMax });
    }
    if (samples < 0) throw new BytesError('operations that are none');
    this.#replayedSamples += samples;
    this.#replayedBytes += record.bytes;
  }

  #replayNote(note: LogNote, lsn: number): void {
    if ('tenant' in note) {
      // an index is never told twice of two tenants: series of the one would be the other's
      if (this.head.bindTenant(...note.tenant) === undefined) throw new BytesError('an index of another tenant');
    } else if ('metadata' in note) this.metadata.load(note.metadata, note.entries, this.#options.clock.nowMs());
    else if ('gone' in note) this.#forgetRest(note.gone);
    else if ('seal' in note) this.#sealWindow(note.seal, lsn);
    else if ('flushed' in note) this.#markFlushed(note.flushed, note.atMs);
  }

  /** @throws BytesError */
  #appendStaged(record: WalRecord): void {
    const { tenantId, frames } = readStaged(this.head.kernel, record);
    this.head.ingest(this.#tenant(tenantId), frames, STAGED_LIMITS, true, () => this.#commitNow());
    this.#commitNow();
  }

  /** A record whose sums hold says what cannot be: it is a loss whole. */
  #lostPayload(record: WalRecord, { message: reason }: Error): void {
    const loss = { file: this.#options.folder, position: record.lsn, bytes: record.bytes, kind: 'damage' as const };
    this.#lost(loss, { reason });
  }

  /** @param isUnfinished a write that was cut short, of which nothing need have been acknowledged */
  #lost(
    { file, position, bytes, kind }: WalLoss,
    { isUnfinished = false, reason }: { readonly isUnfinished?: boolean; readonly reason?: string } = {},
  ): void {
    const samples = this.#replayedBytes === 0 ? 0 : (bytes / this.#replayedBytes) * this.#replayedSamples;
    this.#lostBytes += bytes;
    this.#lostSamples += samples;
    this.#lossesFound++;
    const { log } = this.#options;
    const fields = { file, position, bytes, samplesAbout: Math.round(samples), ...(reason && { reason }) };
    if (isUnfinished) {
      log('warn', 'cut off an unfinished record at the end of the log', fields);
      return;
    }
    const newest = this.head.kernel.exports.replayNewest();
    const { windowMs } = this.#options;
    const fromMs = newest > 0 ? newest - windowMs : 0;
    const toMs = newest > 0 ? newest + windowMs : Number.MAX_SAFE_INTEGER;
    const last = this.#losses.at(-1);
    if (last === undefined || this.#losses.length < LOSSES_MAX) {
      this.#losses.push({ file, position, bytes, samples: fields.samplesAbout, fromMs, toMs });
    } else {
      const all = { bytes: last.bytes + bytes, samples: (last.samples ?? 0) + fields.samplesAbout };
      const [from, to] = [Math.min(last.fromMs, fromMs), Math.max(last.toMs, toMs)];
      this.#losses.splice(-1, 1, { ...last, ...all, fromMs: from, toMs: to });
    }
    if (this.#lossesFound > LOSSES_LOGGED_MAX) return;
    if (kind === 'damage')
      log('error', 'a part of the log is corrupt: what it held is lost', { ...fields, fromMs, toMs });
    else
      log('warn', 'cut off what is damaged at the end of the log: what it held is lost', { ...fields, fromMs, toMs });
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
    else this.metadata.forget(tenantId);
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
