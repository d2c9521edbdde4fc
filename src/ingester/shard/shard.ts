import path from 'node:path';
import { Region } from '../../chunk/region.ts';
import { type FrameLimits, type MetadataLimits, NO_ROOM, REFUSED_NO_ROOM } from '../../contract/ingest.ts';
import type { ReplicaLoss } from '../../contract/replica.ts';
import { type LoopState, Loops } from '../../kit/service/loops.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import { type RandomBytes, systemBytes } from '../../lib/random.ts';
import { AppError } from '../../model/errors.ts';
import { processErrors } from '../../model/errors-process.ts';
import { queryErrors } from '../../model/errors-query.ts';
import { writeErrors } from '../../model/errors-write.ts';
import type { MetricMetadata } from '../../model/metric-metadata.ts';
import { encodeRefusals } from '../../wire/frame-refusals.ts';
import { FrameView, splitKeyed } from '../../wire/frames.ts';
import { RECORD_BYTES_AIMED } from '../../wire/record-layout.ts';
import { Head } from '../head/head.ts';
import type { HeldRange } from '../head/held-range.ts';
import type { HeadIngestResult } from '../head/intake.ts';
import type { MetadataBook } from '../head/metadata.ts';
import type { HeadTenant } from '../head/tenant-index.ts';
import { OLD_WINDOWS_PER_USER, StagedWindows } from '../head/window-quota.ts';
import { checkpointName, listCheckpoints, type SavedArena } from '../log/checkpoint.ts';
import type { Disk } from '../log/disk.ts';
import { useLogKey } from '../log/log-key.ts';
import { noteParts } from '../log/log-note.ts';
import { RunFile } from '../log/run-file.ts';
import { sampleTimes, stagedPayloads } from '../log/staged.ts';
import { listSegments, needsKey, segmentName, WalWriter } from '../log/wal.ts';
import { Checkpoints } from './checkpoints.ts';
import { type DeletedSamples, Deletions } from './deletions.ts';
import { DeletionsRead } from './deletions-read.ts';
import { GroupCommit } from './group-commit.ts';
import type { ShardLog } from './logger.ts';
import { Losses } from './losses.ts';
import { lastLsn, Replay } from './replay.ts';
import { forgetRest, Sweep } from './sweep.ts';
import { Windows } from './windows.ts';

/** Above headBytesMax new series are refused; above this multiple of it, all samples, as with a store away for long. */
const BYTES_BEYOND = 4 / 3;

export interface ShardOptions {
  readonly folder: string;
  readonly windowMs: number;
  /** Size of the head at which new series are refused, and a third beyond it all samples. */
  readonly headBytesMax: number;
  /** The secret of series' keys, which edges share (docs/formats/slices.md); absent: no edge sends any. */
  readonly seriesSecret?: Uint8Array | undefined;
  /** `always`: acknowledged means on the disk; `interval`: within `fsyncIntervalMs`. */
  readonly fsync: 'always' | 'interval';
  readonly fsyncIntervalMs: number;
  /** How long a flushed window stays in the head. */
  readonly keepFlushedMs: number;
  /**
   * The machine's own name for its run (of Linux: the boot id): with another one what was not synced is taken for lost. Absent: nobody
   * but this shard has the samples, and nothing comes of knowing.
   */
  readonly machineRun?: string | undefined;
  /** For so long after it was found a loss of the log is told to readers; absent: for ever. */
  readonly walAgeMaxMs?: number;
  /** Samples older than this are told of (`IngestResult.lateMs`); absent: nobody wants to know. */
  readonly lateAfterMs?: number | undefined;
  /** Kept up to date for other threads. */
  readonly held?: HeldRange;
  /** As the head has it. */
  readonly isAlone?: boolean;
  readonly disk: Disk;
  readonly clock: Clock;
  /** Absent: the system's. */
  readonly randomBytes?: RandomBytes;
  readonly log: ShardLog;
  /** A sync failed, or replay could not write: only a new start from the log helps, the shard must end. */
  readonly fatal: (error: Error) => void;
}

export interface ShardClose {
  readonly checkpoint: boolean;
  /** Whether processes ask it for samples that do not end with this one. */
  readonly asked?: boolean;
}

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
  /** Samples of windows that the store does not have all of. */
  readonly owedSamples: number;
  readonly checkpoints: number;
  readonly commitFailures: number;
  /** Series that have histograms or start timestamps, and what these take. */
  readonly richSeries: number;
  readonly richBytes: number;
  readonly exemplars: number;
}

export type ShardState = 'replaying' | 'live' | 'closed';

const MAINTAIN_INTERVAL_MS = 5_000;
const NO_METADATA_LIMITS: MetadataLimits = { metricsMax: 0, perMetricMax: 0 };

/**
 * One shard of an ingester: a head and its log, the only writer of both. Everything happens in one thread; what takes long pauses
 * for messages. Acknowledged means written to the log.
 */
export class Shard {
  readonly head: Head;
  readonly #stagedWindows: StagedWindows;
  readonly #options: ShardOptions;
  readonly #wal: WalWriter;
  readonly #commit: GroupCommit;
  readonly #windows: Windows;
  readonly #losses: Losses;
  readonly #run: RunFile | undefined;
  /** Windows whose open arena is on the disk. */
  #synced: ReadonlySet<number> = new Set();
  /** Whether a window was sealed before what opened it was on the disk. */
  #isSealUnsynced = false;
  readonly deletions = new Deletions();
  readonly #deletionsRead: DeletionsRead;
  /** Time of the newest sample that was ever here. */
  #newestMs = Number.NEGATIVE_INFINITY;
  readonly #replay: Replay;
  readonly #closing = new AbortController();
  #state: ShardState = 'replaying';
  readonly #checkpoints: Checkpoints;
  readonly #sweep: Sweep;
  #exclusive: Promise<unknown> = Promise.resolve();
  readonly ready: Promise<void>;
  readonly #timers: Timer[] = [];
  readonly #loops: Loops;

  /** Opens the folder and takes writes at once; what the log holds is replayed meanwhile (`ready`). */
  constructor(options: ShardOptions) {
    const { folder, disk, windowMs, headBytesMax, clock, log, randomBytes = systemBytes } = options;
    this.#options = options;
    this.#loops = new Loops(clock);
    disk.makeFolder(folder);
    const { seriesSecret: secret, isAlone } = options;
    const head = new Head({ windowMs, bytesMax: headBytesMax, secret, randomBytes, isAlone });
    this.head = head;
    this.#stagedWindows = new StagedWindows(windowMs);
    const segments = listSegments(disk, folder);
    const checkpoints = listCheckpoints(disk, folder);
    const checkpoint = checkpoints.at(-1) ?? 0;
    const files = [...segments.map(segmentName), ...checkpoints.map(checkpointName)];
    const isNew = !files.some((name) => needsKey(disk, path.join(folder, name)));
    useLogKey(head.kernel, disk, folder, isNew, randomBytes);
    const logFolder = { folder, disk, head, buffer: new Region(head.kernel) };
    const first = (segments.at(-1) ?? checkpoint) + 1;
    this.#wal = new WalWriter(head.kernel, disk, folder, first, lastLsn(logFolder, segments, checkpoint));
    this.#commit = new GroupCommit(head, this.#wal, { ...options, mustSync: () => this.#mustSync() });
    this.#windows = new Windows(head.kernel.exports, clock);
    const { walAgeMaxMs: ageMsMax = Number.POSITIVE_INFINITY } = options;
    this.#losses = new Losses({ windowMs, log, clock, ageMsMax, reachMs: () => this.#run?.reachMs ?? 0 });
    this.#deletionsRead = new DeletionsRead(disk, folder, clock.nowMs());
    this.#run = options.machineRun === undefined ? undefined : new RunFile(disk, folder, options.machineRun);
    if (this.#run !== undefined) this.#losses.load(this.#run.losses);
    const parts = { head, wal: this.#wal, commit: this.#commit, losses: this.#losses };
    this.#checkpoints = new Checkpoints({ folder, disk, clock, log, ...parts, arenas: () => this.arenas() });
    this.#sweep = new Sweep({ windowMs, clock, head, commit: this.#commit, checkpoints: this.#checkpoints });
    this.#replay = new Replay({
      ...logFolder,
      signal: this.#closing.signal,
      windowMs,
      headBytesMax,
      clock,
      log,
      wal: this.#wal,
      windows: this.#windows,
      losses: this.#losses,
      commit: this.#commit,
      tenant: (id) => this.#tenant(id),
      forgetRest: (id) => forgetRest(head, id),
      live: () => {
        this.#state = 'live';
        for (const tenant of head.tenants)
          this.#newestMs = Math.max(this.#newestMs, tenant?.newestMs ?? this.#newestMs);
        this.#noteCut();
        this.#losses.hold(this.arenas());
        this.#publishHeld();
      },
    });
    const old = segments.filter((sequence) => sequence >= checkpoint);
    this.ready = this.#replay.run({ checkpoint, segments: old, first });
    this.ready.catch((error) => {
      // half of the log is in the head: what is asked of it once there is room again is a replay from the beginning
      if (isLogUnavailable(error)) options.fatal(error);
    });
    if (options.fsync === 'interval') this.#every('log-sync', options.fsyncIntervalMs, () => this.#sync());
    this.#every('maintenance', MAINTAIN_INTERVAL_MS, () => this.maintain());
  }

  #every(name: string, ms: number, work: () => Promise<unknown>): void {
    const { clock, log } = this.#options;
    const loop = this.#loops.add(name, ms);
    const failed = (error: Error) => {
      if (this.#state !== 'closed') log('error', 'work in the background failed', { error: error.message });
    };
    this.#timers.push(clock.every(ms, () => void loop.run(work).catch(failed)));
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

  get loopStates(): readonly LoopState[] {
    return this.#loops.states;
  }

  stats(): ShardStats {
    return {
      state: this.#state,
      series: this.head.seriesCount,
      headBytes: this.head.bytes,
      kernelBytes: this.head.kernel.u8.byteLength,
      walBytes: this.#wal.written,
      walLosses: this.#losses.all.length,
      walLostBytes: this.#losses.bytes,
      walLostSamples: Math.round(this.#losses.samples),
      replayedSamples: this.#replay.samples,
      replayMs: this.#replay.tookMs,
      arenas: this.arenas(),
      owedSamples: this.#windows.owedSamples,
      checkpoints: this.#checkpoints.count,
      commitFailures: this.#commit.failures,
      richSeries: this.head.rich.seriesCount,
      richBytes: this.head.rich.bytes,
      exemplars: this.head.exemplars.count,
    };
  }

  // ---- writes

  /**
   * Takes one request's frames, which are read before this returns. Resolves when what was kept is in the log.
   * @param byFrame whether the answer goes by frames (`FramePush`)
   * @throws logUnavailable, headFull; sampleTooLarge, seriesLabelsTooLong for what no record of the log can hold
   */
  push(tenantId: string, frames: Uint8Array, limits: FrameLimits, byFrame = false): Promise<HeadIngestResult> {
    if (this.#state === 'closed') return Promise.reject(processErrors.shuttingDown({}));
    try {
      const deleted = this.deletions.takeOut(tenantId, frames, this.#options.clock.nowMs());
      const result =
        this.#state === 'live'
          ? this.#ingest(tenantId, frames, limits, byFrame)
          : this.#stage(tenantId, frames, limits, byFrame);
      const told = this.#toldLate(result);
      const whole = deleted === undefined ? told : withDeleted(told, deleted, byFrame);
      return this.#commit.committed(byFrame && whole.unknown.length > 0 ? numbered(whole, frames) : whole);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #toldLate(result: HeadIngestResult): HeadIngestResult {
    const { lateAfterMs, clock } = this.#options;
    const { oldestMs } = result;
    if (lateAfterMs === undefined || oldestMs === undefined || oldestMs >= clock.nowMs() - lateAfterMs) return result;
    return { ...result, lateMs: oldestMs };
  }

  #ingest(tenantId: string, frames: Uint8Array, limits: FrameLimits, byFrame: boolean): HeadIngestResult {
    // what a full disk left is written first: nothing new is taken on before
    if (this.#commit.isBehind) this.#commit.now();
    this.head.windows.setNow(this.#options.clock.nowMs());
    const { headBytesMax } = this.#options;
    if (this.head.bytes > headBytesMax * BYTES_BEYOND) {
      throw writeErrors.headFull({ usedBytes: this.head.bytes, limitBytes: headBytesMax });
    }
    let result: HeadIngestResult;
    try {
      const tenant = this.#tenant(tenantId);
      result = this.head.ingest(tenant, frames, limits, false, () => this.#commit.now(), byFrame);
      this.#newestMs = Math.max(this.#newestMs, tenant.newestMs);
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
  #stage(tenantId: string, all: Uint8Array, limits: FrameLimits, byFrame: boolean): HeadIngestResult {
    const { frames, keyed } = splitKeyed(all);
    const limit = limits.oldWindowsMax ?? OLD_WINDOWS_PER_USER;
    const timeMs = this.#stagedWindows.take(tenantId, sampleTimes(frames), this.#options.clock.nowMs(), limit);
    if (timeMs !== undefined) {
      // who replays does not know: another owner may
      throw byFrame ? queryErrors.replaying({}) : writeErrors.tooManyOldWindows({ series: 'a series', timeMs, limit });
    }
    let oldestMs = Number.POSITIVE_INFINITY;
    for (const timeMs of sampleTimes(frames)) oldestMs = Math.min(oldestMs, timeMs);
    // the newest is not known yet, and may be ahead of this clock
    const ageMs = this.#options.clock.nowMs() - oldestMs;
    if (ageMs > this.#options.windowMs / 2) this.#noteReach(ageMs + this.#options.windowMs);
    for (const payload of stagedPayloads(tenantId, frames)) this.#commit.stage(payload);
    return { ...STAGED_RESULT, oldestMs, unknown: keyed };
  }

  /** Takes down how old samples are that come, before they are acknowledged: in few steps. @throws logUnavailable */
  #noteReach(ageMs: number): void {
    const run = this.#run;
    const { windowMs } = this.#options;
    if (run === undefined || ageMs <= Math.max(windowMs, run.reachMs)) return;
    try {
      run.reach(windowMs * 2 ** Math.ceil(Math.log2(ageMs / windowMs)));
    } catch (error) {
      throw writeErrors.logUnavailable({ reason: (error as Error).message });
    }
  }

  #tenant(id: string): HeadTenant {
    const usedMs = this.#options.clock.nowMs();
    const known = this.head.tenant(id);
    if (known !== undefined) {
      known.usedMs = usedMs;
      return known;
    }
    const tenant = this.head.addTenant(id);
    tenant.usedMs = usedMs;
    // its series name it by index, so the log must know it first
    try {
      this.#commit.note({ tenant: [tenant.index, id] });
    } catch (error) {
      this.head.forgetTenant(tenant);
      throw error;
    }
    return tenant;
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
      for (const part of noteParts(news, RECORD_BYTES_AIMED)) this.#commit.note({ metadata: tenantId, entries: part });
    } catch (error) {
      this.metadata.drop(tenantId, news);
      throw error;
    }
    return this.#commit.committed(refused);
  }

  /** Losses known to be for good in the range, both ends inclusive, for an answer's warnings. */
  lossWarnings(startMs: number, endMs: number): string[] {
    return this.#losses.warnings(startMs, endMs);
  }

  /** The same, with whether the store has the rest of what they touch. */
  losses(startMs: number, endMs: number): readonly ReplicaLoss[] {
    return this.#losses.touching(startMs, endMs);
  }

  /**
   * A window must be known to be open before a sample of it is acknowledged: after a cut the open ones are those that may lack samples.
   * While requests are only logged, nobody knows which windows they are of.
   */
  #mustSync(): boolean {
    if (this.#run === undefined) return false;
    if (this.#state !== 'live') return true;
    const open = this.#openWindows();
    this.#noteReach(this.#newestMs - Math.min(...open) * this.#options.windowMs);
    const isSynced = !this.#isSealUnsynced && open.every((window) => this.#synced.has(window));
    this.#synced = new Set(open);
    this.#isSealUnsynced = false;
    return !isSynced;
  }

  #openWindows(): number[] {
    return this.arenas().flatMap(({ window, sealLsn }) => (sealLsn === 0 ? [window] : []));
  }

  /** Takes down what the machine lost when it stopped: samples of windows that were open. */
  #noteCut(): void {
    if (this.#run?.isCut !== true) return;
    const { folder, windowMs } = this.#options;
    const losses = this.#openWindows().map((window) => ({
      file: folder,
      position: this.#wal.lsn,
      bytes: 0,
      fromMs: window * windowMs,
      toMs: (window + 1) * windowMs - 1,
      foundMs: this.#options.clock.nowMs(),
    }));
    this.#losses.load(losses);
    try {
      this.#run.lost(losses);
    } catch (error) {
      throw writeErrors.logUnavailable({ reason: (error as Error).message });
    }
    if (losses.length > 0)
      this.#options.log('warn', 'the machine stopped before all was synced', { windows: losses.length });
  }

  // ---- windows: sealed, flushed by someone else, dropped

  arenas(): SavedArena[] {
    return this.#windows.arenas();
  }

  /** Before what changed it is acknowledged. */
  #publishHeld(): void {
    const { held, windowMs } = this.#options;
    // what was lost is told to whoever asks for its time
    const unknown = this.#state !== 'live' || this.#losses.all.length > 0;
    this.head.changes.setReadable(!unknown);
    held?.publish(unknown ? undefined : this.arenas().map(({ window }) => window), windowMs);
  }

  /** Seals the windows that end at or before `beforeMs`, but for some; returns all that are sealed and not yet in the store. */
  async seal(beforeMs: number, except: readonly number[] = []): Promise<readonly SavedArena[]> {
    return this.#alone(async () => {
      if (this.#state !== 'live') return [];
      this.#commit.now();
      // what is not acknowledged yet may be of a window that is open no more by then
      this.#noteReach(this.#newestMs - Math.min(...this.#openWindows()) * this.#options.windowMs);
      for (const { window, sealLsn } of this.arenas()) {
        if (sealLsn === 0 && (window + 1) * this.#options.windowMs <= beforeMs && !except.includes(window)) {
          this.#windows.seal(window, this.#commit.note({ seal: window }));
          if (!this.#synced.has(window)) this.#isSealUnsynced = true;
          // the next one of this window is another
          this.#synced = new Set([...this.#synced].filter((each) => each !== window));
        }
      }
      return this.arenas().filter(({ sealLsn, flushedMs }) => sealLsn > 0 && flushedMs === 0);
    });
  }

  /** All that are not yet in the store, open ones too; what they have is in the log. */
  async unflushed(): Promise<readonly SavedArena[]> {
    return this.#alone(async () => {
      if (this.#state !== 'live') return [];
      this.#commit.now();
      return this.arenas().filter(({ flushedMs }) => flushedMs === 0);
    });
  }

  /** The store has all of what was sealed with this LSN. */
  async confirmFlushed(sealLsn: number): Promise<void> {
    await this.#alone(async () => {
      const atMs = this.#options.clock.nowMs();
      this.#commit.note({ flushed: sealLsn, atMs });
      this.#windows.markFlushed(sealLsn, atMs);
      this.#losses.settle(this.arenas());
      this.#deletionsRead.settle(this.arenas());
    });
  }

  /** Delete requests of all tenants were read, from then on. */
  deletionsRead(atMs: number): void {
    this.#deletionsRead.done(atMs, this.arenas());
    this.deletions.forgetOld(this.#options.clock.nowMs());
  }

  /** Since when all samples have come that the store is to get, Unix ms: requests that were in force then are known. */
  get deletionsReadMs(): number {
    return this.#deletionsRead.sinceMs;
  }

  /** An operator vouches that nothing of what is here was deleted. */
  vouchDeletions(): void {
    this.#deletionsRead.vouch(this.#options.clock.nowMs());
  }

  /** Drops what the store has had for long enough, and writes a checkpoint when the log has grown. */
  async maintain(): Promise<void> {
    if (this.#state !== 'live') return;
    await this.#dropStored(this.#options.keepFlushedMs);
    if (this.#sweep.isDue) await this.#alone(() => this.#sweep.dropIdle());
    await this.#alone(async () => this.#sweep.forgetQuiet());
    if (this.#checkpoints.isDue) await this.checkpoint();
  }

  /** Drops the windows that the store has. */
  dropFlushed(): Promise<void> {
    return this.#dropStored(0);
  }

  /** Drops the windows that the store has had for `keepMs`; after a restart, which it had for so long since then. */
  async #dropStored(keepMs: number): Promise<void> {
    await this.#alone(async () => {
      let hasDropped = false;
      for (const id of this.#windows.takeFlushed(keepMs)) {
        hasDropped = true;
        this.head.dropArena(id);
        this.#publishHeld();
        await this.#options.clock.turn();
      }
      if (hasDropped) await this.#sweep.dropEmpty();
    });
  }

  /**
   * Forgets all that a tenant has, in the log too when this resolves. What comes later begins anew.
   * @throws logUnavailable where only a part went: the same call again takes the rest
   */
  async deleteTenant(tenantId: string): Promise<void> {
    await this.#alone(async () => this.#sweep.deleteTenant(tenantId));
    // the log before a checkpoint goes, and with it the last of the samples
    if (this.head.tenant(tenantId) !== undefined) await this.checkpoint();
  }

  /** Writes the head to a file and lets the log before it go. */
  checkpoint(): Promise<void> {
    return this.#alone(() => this.#checkpoints.write());
  }

  /** One at a time: what changes which windows there are, and what writes them down. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#exclusive.then(work, work);
    this.#exclusive = turn.catch(() => {});
    return turn;
  }

  /**
   * Writes and syncs what is open; with `checkpoint`, the next start has no log to replay, and what the store has is left out; where
   * others ask for it, not before the store has had it for long enough: they may have read before then what the store has.
   */
  async close(options: ShardClose): Promise<void> {
    if (this.#state === 'closed') return;
    for (const timer of this.#timers) timer.cancel();
    if (this.#state === 'live' && options.checkpoint) {
      await this.#dropStored(options.asked === true ? this.#options.keepFlushedMs : 0);
      await this.checkpoint();
    }
    // what it has not read yet is in the log
    this.#closing.abort(processErrors.shuttingDown({}));
    await this.ready.catch(() => {});
    await this.#exclusive;
    const wasLive = this.#state === 'live';
    this.#state = 'closed';
    this.head.changes.setReadable(false);
    await this.#commit.settled();
    this.#commit.now();
    await this.#wal.close();
    if (wasLive) this.#run?.close();
  }
}

function isLogUnavailable(error: unknown): boolean {
  return error instanceof AppError && error.reason === writeErrors.logUnavailable.reason;
}

/** The answer to a request that is only logged: nothing was refused. */
const STAGED_RESULT: HeadIngestResult = {
  counts: [0, 0, 0, 0, 0, 0],
  histogramsLost: 0,
  exemplarsLost: 0,
  refused: 0,
  first: undefined,
  unknown: [],
};

/** A result with what was taken out before. */
function withDeleted(result: HeadIngestResult, deleted: DeletedSamples, byFrame: boolean): HeadIngestResult {
  const { refusals = NO_BYTES } = result;
  const own = encodeRefusals(deleted.refusals);
  return {
    ...result,
    deleted: deleted.samples,
    histogramsLost: result.histogramsLost + deleted.histograms,
    first: deleted.first ?? result.first,
    unknown: [...new Set([...deleted.unknown, ...result.unknown])].sort((a, b) => a - b),
    // of a frame that both refuse something of, the first says why
    ...(byFrame && own.length > 0 && { refusals: new Uint8Array(Buffer.concat([own, refusals])) }),
  };
}

/** A result that names unknown frames by their numbers, not by where they begin. */
function numbered(result: HeadIngestResult, frames: Uint8Array): HeadIngestResult {
  const unknown: number[] = [];
  let next = 0;
  let number = 0;
  for (const frame = new FrameView(frames); next < result.unknown.length && frame.next(); number++) {
    if (frame.at !== result.unknown[next]) continue;
    unknown.push(number);
    next++;
  }
  return { ...result, unknown };
}

const NO_BYTES = new Uint8Array(0);
