import path from 'node:path';
import { Region } from '../../chunk/region.ts';
import type { FrameLimits } from '../../contract/ingest.ts';
import { BytesError } from '../../lib/bytes.ts';
import type { Clock } from '../../lib/clock.ts';
import { Pacer } from '../../lib/pacer.ts';
import { AppError } from '../../model/errors.ts';
import { writeErrors } from '../../model/errors-write.ts';
import { replayAside } from '../head/aside-replay.ts';
import type { Head } from '../head/head.ts';
import type { HeadTenant } from '../head/tenant-index.ts';
import { checkpointName, loadCheckpoint } from '../log/checkpoint.ts';
import type { Disk } from '../log/disk.ts';
import { isCount, type LogNote, readLogNote, readNote, type TenantName } from '../log/log-note.ts';
import { readStaged } from '../log/staged.ts';
import {
  segmentName,
  WAL_ASIDE,
  WAL_NOTE,
  WAL_OPS,
  WAL_SERIES,
  WAL_STAGED,
  type WalLoss,
  WalReader,
  type WalRecord,
  type WalWriter,
} from '../log/wal.ts';
import type { GroupCommit } from './group-commit.ts';
import type { ShardLog } from './logger.ts';
import type { LossContext, Losses } from './losses.ts';
import type { Windows } from './windows.ts';

/** For how long at a time replay may hold up the shard's thread. */
const SLICE_MS = 8;

/** The files of a shard's folder, and the head that they are of. */
export interface LogFolder {
  readonly folder: string;
  readonly disk: Disk;
  readonly head: Head;
  /** Where records are read to. */
  readonly buffer: Region;
}

export interface ReplayOptions extends LogFolder {
  readonly windowMs: number;
  readonly headBytesMax: number;
  readonly clock: Clock;
  readonly log: ShardLog;
  readonly wal: WalWriter;
  readonly windows: Windows;
  readonly losses: Losses;
  readonly commit: GroupCommit;
  /** Makes a tenant where there is none, and logs it. */
  readonly tenant: (id: string) => HeadTenant;
  /** Forgets what a deleted tenant has besides series. */
  readonly forgetRest: (tenantId: string) => void;
  /** Called when nothing is left to replay: from here on requests go to the head. */
  readonly live: () => void;
  /** Aborted where nobody waits for it any more: it ends at its next pause, and nothing is lost. */
  readonly signal: AbortSignal;
}

export interface ReplayFrom {
  /** Sequence number; 0: there is no checkpoint. */
  readonly checkpoint: number;
  /** Segments of earlier runs that the checkpoint does not cover, ascending. */
  readonly segments: readonly number[];
  /** The first segment of this run. */
  readonly first: number;
}

function readerOf({ head, disk, folder, buffer }: LogFolder, name: string): WalReader {
  return new WalReader(head.kernel, disk, path.join(folder, name), buffer);
}

/** The LSN that the log ends with, from its last segments; what is behind a checkpoint is in there. */
export function lastLsn(log: LogFolder, segments: readonly number[], checkpoint: number): number {
  for (const sequence of segments.toReversed()) {
    const reader = readerOf(log, segmentName(sequence));
    let lsn = 0;
    for (let record = reader.next(); record !== undefined; record = reader.next()) lsn = Math.max(lsn, record.lsn);
    reader.close();
    if (lsn > 0) return lsn;
  }
  if (checkpoint === 0) return 0;
  // only a checkpoint: its last note has it, and where that is corrupt, no block is of a later one
  const reader = readerOf(log, checkpointName(checkpoint));
  let lsn = 0;
  for (let record = reader.next(); record !== undefined; record = reader.next()) {
    if (record.type === WAL_NOTE) lsn = Math.max(lsn, lsnOfNote(log.head, record));
    else if (record.type === WAL_SERIES && record.bytes >= 16) {
      lsn = Math.max(lsn, log.head.kernel.view.getFloat64(record.at + 8, true));
    }
  }
  reader.close();
  return lsn;
}

function lsnOfNote(head: Head, record: WalRecord): number {
  try {
    const { lsn } = readNote(head.kernel, record);
    return isCount(lsn) ? lsn : 0;
  } catch (error) {
    if (error instanceof BytesError) return 0; // counted when the checkpoint is loaded
    throw error;
  }
}

/** Puts into a head what its log holds, while requests that come are logged only, and those into it at the end. */
export class Replay {
  readonly #options: ReplayOptions;
  readonly #head: Head;
  samples = 0;
  tookMs = 0;
  /** Bytes of the records that `samples` were in. */
  #bytes = 0;

  constructor(options: ReplayOptions) {
    this.#options = options;
    this.#head = options.head;
  }

  async run({ checkpoint, segments, first }: ReplayFrom): Promise<void> {
    const { log, folder, clock, commit, live, signal } = this.#options;
    const startedMs = clock.monotonicMs();
    const pacer = new Pacer(clock, { sliceMs: SLICE_MS, signal });
    this.#head.liftLimits();
    if (checkpoint > 0) await this.#loadCheckpoint(checkpoint, pacer);
    const staged = await this.#readSegments(segments, pacer);
    await this.#syncSegments(segments);
    signal.throwIfAborted();
    this.#head.findNewest();
    const last = await this.#appendAllStaged(staged, first, pacer);
    // nothing came since the last look
    live();
    commit.now();
    if (last > 0) commit.note({ staged: last });
    this.tookMs = clock.monotonicMs() - startedMs;
    const { seriesCount: series } = this.#head;
    log('info', 'replay is through', { folder, series, samples: this.samples, ms: Math.round(this.tookMs) });
  }

  /**
   * Whoever wrote them may have been killed before they were synced, and what is written from now on rests on what was read: on series
   * that were dropped, or have come. A power cut that took that, and left what came later, would leave samples of other series.
   */
  async #syncSegments(segments: readonly number[]): Promise<void> {
    const { disk, folder } = this.#options;
    for (const sequence of segments) {
      const file = disk.append(path.join(folder, segmentName(sequence)));
      try {
        await file.sync();
      } finally {
        file.close();
      }
    }
  }

  async #loadCheckpoint(checkpoint: number, pacer: Pacer): Promise<void> {
    const { folder, disk, buffer, windowMs, log, clock, windows, losses } = this.#options;
    const head = this.#head;
    const file = path.join(folder, checkpointName(checkpoint));
    const loaded = await loadCheckpoint(head, disk, file, buffer, clock.nowMs(), () => pacer.step());
    if (loaded.windowMs !== windowMs && loaded.arenas.length > 0) {
      throw writeErrors.windowChanged({ folder, hadMs: loaded.windowMs, wantMs: windowMs });
    }
    const at = new Region(head.kernel, 8 * 4096).ensure(loaded.blockLsns.length * 8);
    new Float64Array(head.kernel.u8.buffer, at, loaded.blockLsns.length).set(loaded.blockLsns);
    head.kernel.exports.replayInit(at, loaded.blockLsns.length);
    windows.load(loaded.arenas);
    losses.load(loaded.losses);
    for (const loss of loaded.damage) this.#lost(loss, { oldestMs: this.#oldestMs() });
    log('info', 'loaded the checkpoint', { checkpoint, series: head.seriesCount });
  }

  /** Returns the requests that an earlier replay staged and did not get to append. */
  async #readSegments(segments: readonly number[], pacer: Pacer): Promise<Staged[]> {
    const { log } = this.#options;
    let staged: Staged[] = [];
    let lsn = 0;
    /** An unfinished record at the end of a segment: nothing, where the next segment goes on behind the record before it. */
    let cut: WalLoss | undefined;
    for (const sequence of segments) {
      const reader = readerOf(this.#options, segmentName(sequence));
      for (let record = reader.next(); record !== undefined; record = reader.next()) {
        for (const loss of reader.losses.splice(0)) this.#lost(loss);
        if (cut !== undefined) this.#lost(cut, { isUnfinished: lsn === 0 || record.lsn === lsn + 1 });
        cut = undefined;
        lsn = record.lsn;
        try {
          const note = this.#apply(record);
          if (record.type === WAL_STAGED) staged.push({ sequence, lsn: record.lsn });
          else if (note !== undefined) staged = staged.filter((one) => one.lsn > note.staged);
        } catch (error) {
          if (!(error instanceof BytesError)) throw error;
          this.#lostPayload(record, error);
        }
        await pacer.step();
      }
      for (const loss of reader.losses) {
        if (loss.kind === 'cut') cut = loss;
        else this.#lost(loss);
      }
      reader.close();
      log('info', 'replayed a log segment', { segment: sequence, of: segments.at(-1), samples: this.samples });
    }
    if (cut !== undefined) this.#lost(cut, { isUnfinished: true });
    return staged;
  }

  /** Own segments last: what was staged meanwhile. Returns the LSN of the last; 0: there was none. */
  async #appendAllStaged(staged: readonly Staged[], first: number, pacer: Pacer): Promise<number> {
    const { wal } = this.#options;
    const from = staged.length === 0 ? first : Math.min(first, staged[0]!.sequence);
    const open = new Set(staged.map(({ lsn }) => lsn));
    let last = 0;
    for (let sequence = from; ; sequence++) {
      if (sequence < first && !staged.some((s) => s.sequence === sequence)) continue;
      const reader = readerOf(this.#options, segmentName(sequence));
      for (;;) {
        const live = sequence === wal.sequence;
        const record = reader.next(live);
        if (record === undefined) {
          if (live !== (sequence === wal.sequence)) continue; // it was ended meanwhile: read its rest
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
        await pacer.step();
      }
      reader.close();
      if (sequence === wal.sequence) return last;
    }
  }

  /** Applies a record; returns the note that says which staged requests are in the head. @throws BytesError */
  #apply(record: WalRecord): { readonly staged: number } | undefined {
    switch (record.type) {
      case WAL_OPS:
        this.#applyOps(record);
        return undefined;
      case WAL_ASIDE: {
        const { u8 } = this.#head.kernel;
        this.samples += replayAside(this.#head, u8.slice(record.at, record.at + record.bytes), record.lsn);
        this.#bytes += record.bytes;
        return undefined;
      }
      case WAL_NOTE: {
        const note = readLogNote(this.#head.kernel, record);
        if ('staged' in note) return note;
        this.#applyNote(note, record.lsn);
        return undefined;
      }
      case WAL_STAGED:
        return undefined;
      default:
        throw new BytesError(`a record of type ${record.type}`);
    }
  }

  #applyOps(record: WalRecord): void {
    const head = this.#head;
    const samples = head.kernel.exports.replayPayload(record.at, record.bytes, record.lsn);
    head.unindexForgotten();
    if (samples === -2) {
      throw writeErrors.headFull({ usedBytes: head.bytes, limitBytes: this.#options.headBytesMax });
    }
    if (samples < 0) throw new BytesError('operations that are none');
    this.samples += samples;
    this.#bytes += record.bytes;
  }

  #applyNote(note: LogNote, lsn: number): void {
    const { clock, windows, forgetRest } = this.#options;
    if ('tenant' in note) {
      const known = this.#head.tenant(note.tenant[1]);
      // without series it was forgotten, and the note that said so is lost
      if (known?.seriesCount === 0 && known.index !== note.tenant[0]) this.#head.forgetTenant(known);
      // an index is never told twice of two tenants: series of the one would be the other's
      if (this.#head.bindTenant(...note.tenant) === undefined) throw new BytesError('an index of another tenant');
    } else if ('metadata' in note) this.#head.metadata.load(note.metadata, note.entries, clock.nowMs());
    else if ('forgotten' in note) this.#forget(note.forgotten);
    else if ('gone' in note) forgetRest(note.gone);
    else if ('seal' in note) windows.seal(note.seal, lsn);
    else if ('flushed' in note) windows.markFlushed(note.flushed, note.atMs);
  }

  /** @throws BytesError */
  #forget(names: readonly TenantName[]): void {
    for (const [index, id] of names) {
      const tenant = this.#head.tenant(id);
      if (tenant === undefined) continue; // the note that named it was lost
      if (tenant.index !== index) throw new BytesError('an index of another tenant');
      // the operations that dropped its last series were lost
      if (tenant.seriesCount > 0) this.#head.dropTenant(tenant, [], () => this.#options.commit.now());
      this.#head.forgetTenant(tenant);
    }
  }

  /** @throws BytesError */
  #appendStaged(record: WalRecord): void {
    const { commit, tenant } = this.#options;
    const { tenantId, frames } = readStaged(this.#head.kernel, record);
    this.#head.ingest(tenant(tenantId), frames, STAGED_LIMITS, true, () => commit.now());
    commit.now();
  }

  /** A record whose sums hold says what cannot be: it is a loss whole. */
  #lostPayload(record: WalRecord, { message: reason }: Error): void {
    const { folder } = this.#options;
    this.#lost({ file: folder, position: record.lsn, bytes: record.bytes, kind: 'damage' }, { reason });
  }

  /** Beginning of the oldest window of which a checkpoint has samples. */
  #oldestMs(): number {
    const { windows, windowMs } = this.#options;
    return windows.arenas().reduce((ms, { window }) => Math.min(ms, window * windowMs), Number.POSITIVE_INFINITY);
  }

  #lost(loss: WalLoss, about: Pick<LossContext, 'isUnfinished' | 'reason' | 'oldestMs'> = {}): void {
    const newestMs = this.#head.kernel.exports.replayNewest();
    this.#options.losses.add(loss, { ...about, read: { samples: this.samples, bytes: this.#bytes }, newestMs });
  }
}

/** A staged request in the log. */
interface Staged {
  readonly sequence: number;
  readonly lsn: number;
}

/** Limits were looked at when the request came, or not at all. */
const STAGED_LIMITS: FrameLimits = {
  seriesPerUserMax: 0,
  seriesPerMetricMax: 0,
  outOfOrderMs: 0,
  exemplarsMax: Number.POSITIVE_INFINITY,
};
