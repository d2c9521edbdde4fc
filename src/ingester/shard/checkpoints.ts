import path from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { Pacer } from '../../lib/pacer.ts';
import type { Head } from '../head/head.ts';
import { checkpointName, listCheckpoints, type SavedArena, writeCheckpoint } from '../log/checkpoint.ts';
import type { Disk } from '../log/disk.ts';
import { listSegments, segmentName, type WalWriter } from '../log/wal.ts';
import type { GroupCommit } from './group-commit.ts';
import type { ShardLog } from './logger.ts';
import type { Losses } from './losses.ts';

const GROWN_BYTES_MIN = 64 * 1024 * 1024;
/** For how long at a time the shard's thread is held up. */
export const CHECKPOINT_SLICE_MS = 5;

export interface CheckpointsOptions {
  readonly folder: string;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: ShardLog;
  readonly head: Head;
  readonly wal: WalWriter;
  readonly commit: GroupCommit;
  readonly losses: Losses;
  readonly arenas: () => readonly SavedArena[];
}

/** The checkpoints of a shard: the head in a file, after which the log before it goes and what was dropped can be used again. */
export class Checkpoints {
  readonly #options: CheckpointsOptions;
  #count = 0;
  #bytes = 0;
  /** wal.written when the last one began. */
  #at = 0;
  /** Refs of series that were dropped since the last one: free when one more is through. */
  #dropped: number[] = [];

  constructor(options: CheckpointsOptions) {
    this.#options = options;
  }

  /** How many were written since the start. */
  get count(): number {
    return this.#count;
  }

  /** Whether the log has grown enough. */
  get isDue(): boolean {
    return this.#options.wal.written - this.#at > Math.max(GROWN_BYTES_MIN, this.#bytes / 2);
  }

  /** Takes refs of series that were dropped. */
  noteDropped(refs: Iterable<number>): void {
    for (const ref of refs) this.#dropped.push(ref);
  }

  /** Writes the head to a file and lets the log before it go. Nothing else changes which windows there are meanwhile. */
  async write(): Promise<void> {
    const { folder, disk, log, clock, head, wal, commit, losses, arenas } = this.#options;
    const startedMs = clock.monotonicMs();
    const pacer = new Pacer(clock, { sliceMs: CHECKPOINT_SLICE_MS });
    commit.now();
    await wal.rotate();
    const sequence = wal.sequence;
    const dropped = this.#dropped;
    this.#dropped = [];
    const unused = head.takeUnusedTenants();
    this.#at = wal.written;
    const lsn = () => {
      commit.now();
      return wal.lsn;
    };
    const saved = { head, lsn, arenas, losses: () => losses.all };
    this.#bytes = await writeCheckpoint(saved, disk, folder, sequence, () => pacer.step());
    for (const old of listCheckpoints(disk, folder)) {
      if (old < sequence) disk.remove(path.join(folder, checkpointName(old)));
    }
    for (const old of listSegments(disk, folder)) {
      if (old < sequence) disk.remove(path.join(folder, segmentName(old)));
    }
    head.reuseRefs(dropped);
    head.reuseTenants(unused);
    this.#count++;
    const ms = Math.round(clock.monotonicMs() - startedMs);
    log('info', 'wrote a checkpoint', { bytes: this.#bytes, series: head.seriesCount, ms });
  }
}
