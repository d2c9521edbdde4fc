import path from 'node:path';
import { ByteWriter } from '../chunk/group/bytes.ts';
import type { Region } from '../chunk/region.ts';
import type { MetricMetadata } from '../model/metric-metadata.ts';
import type { Disk } from './disk.ts';
import { type Head, logExemplar } from './head.ts';
import { loadRichChunks, saveRichChunks } from './rich-checkpoint.ts';
import {
  FILE_HEAD,
  RECORD_HEAD,
  sealRecord,
  WAL_ASIDE,
  WAL_NOTE,
  WAL_RICH_CHUNKS,
  WAL_SERIES,
  WalReader,
  type WalRecord,
} from './wal.ts';

// A checkpoint is the head as a file of log records (docs/formats/wal.md), taken slice by slice while samples come in: each block of
// series says up to which LSN it is complete, and replay leaves out what the block already has.

/** Refs in a block; the kernel's `covered` knows it too. */
export const BLOCK_REFS = 4096;

/** An arena as logs and checkpoints name it. */
export interface SavedArena {
  readonly id: number;
  readonly window: number;
  /** LSN of its seal; 0: open. */
  readonly sealLsn: number;
  /** When the store had all of it; 0: not yet. */
  readonly flushedMs: number;
}

export interface SavedLoss {
  readonly file: string;
  readonly position: number;
  readonly bytes: number;
  /** Time range that the lost records may have been of. */
  readonly fromMs: number;
  readonly toMs: number;
}

interface CheckpointHead {
  readonly version: 1;
  readonly windowMs: number;
  readonly tenants: readonly (readonly [index: number, id: string, newestMs: number])[];
}

interface CheckpointEnd {
  readonly end: true;
  readonly lsn: number;
  readonly tenants: readonly (readonly [index: number, id: string, newestMs: number])[];
  readonly metadata: readonly (readonly [tenant: string, entries: readonly MetricMetadata[]])[];
  readonly losses: readonly SavedLoss[];
}

type CheckpointNote = CheckpointHead | CheckpointEnd | { readonly arenas: readonly SavedArena[] };

export function checkpointName(sequence: number): string {
  return `checkpoint-${String(sequence).padStart(10, '0')}.ckp`;
}

/** Sequence numbers of finished checkpoints, ascending: the first segment that is to be replayed after each. */
export function listCheckpoints(disk: Disk, folder: string): number[] {
  return disk
    .list(folder)
    .filter((name) => /^checkpoint-\d{10}\.ckp$/.test(name))
    .map((name) => Number.parseInt(name.slice(11), 10))
    .sort((a, b) => a - b);
}

export interface CheckpointSource {
  readonly head: Head;
  /** The LSN up to which the head is complete now: all it holds is written. */
  lsn(): number;
  arenas(): readonly SavedArena[];
  metadata(): readonly (readonly [string, readonly MetricMetadata[]])[];
  losses(): readonly SavedLoss[];
}

const BUFFER_BYTES = 1024 * 1024;
const SERIES_HEAD = 16; // u32 first ref · u32 ref behind the last · f64 LSN
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Writes a checkpoint for replay from segment `sequence` on; `pause` is awaited between slices of some milliseconds. */
export async function writeCheckpoint(
  source: CheckpointSource,
  disk: Disk,
  folder: string,
  sequence: number,
  pause: () => Promise<void>,
): Promise<number> {
  const { head } = source;
  const { kernel } = head;
  const { exports } = kernel;
  const aside = path.join(folder, `${checkpointName(sequence)}.tmp`);
  disk.remove(aside);
  const file = disk.append(aside);
  const region = new CheckpointRegion(head);
  let count = 0;
  const write = (bytes: number, type: number) => {
    sealRecord(kernel, region.at, bytes, type, ++count);
    file.write(kernel.u8.subarray(region.at, region.at + RECORD_HEAD + bytes));
  };
  const writeBytes = (bytes: Uint8Array, type: number) => {
    region.ensure(bytes.length);
    kernel.u8.set(bytes, region.at + RECORD_HEAD);
    write(bytes.length, type);
  };
  const note = (value: CheckpointNote) => writeBytes(encoder.encode(JSON.stringify(value)), WAL_NOTE);
  const tenants = () => head.tenants.map(({ index, id, newestMs }) => [index, id, Math.max(newestMs, 0)] as const);
  try {
    file.write(FILE_HEAD);
    note({ version: 1, windowMs: head.windowMs, tenants: tenants() });
    let known = '';
    for (let from = 0; from < exports.seriesTop(); from += BLOCK_REFS) {
      const arenas = source.arenas();
      if (JSON.stringify(arenas) !== known) {
        known = JSON.stringify(arenas);
        note({ arenas });
      }
      const lsn = source.lsn();
      const to = Math.min(from + BLOCK_REFS, exports.seriesTop());
      let ref = from;
      do {
        const first = ref;
        let at = SERIES_HEAD;
        while (ref < to) {
          if (!exports.seriesIsLive(ref)) {
            ref++;
            continue;
          }
          const wrote = exports.saveSeries(ref, region.at + RECORD_HEAD + at, region.bytes - at);
          if (wrote < 0) {
            // one series that does not fit into an empty buffer needs a larger one
            if (at === SERIES_HEAD) {
              region.ensure(region.bytes * 2);
              continue;
            }
            break;
          }
          at += wrote;
          ref++;
        }
        const { view } = kernel;
        view.setUint32(region.at + RECORD_HEAD, first, true);
        view.setUint32(region.at + RECORD_HEAD + 4, ref, true);
        view.setFloat64(region.at + RECORD_HEAD + 8, lsn, true);
        write(at, WAL_SERIES);
      } while (ref < to);
      // of the same moment as the series above, hence before anybody else's turn
      for (const bytes of saveRichChunks(head.rich, from, to)) writeBytes(bytes, WAL_RICH_CHUNKS);
      await pause();
    }
    for (const bytes of exemplarRecords(head)) writeBytes(bytes, WAL_ASIDE);
    note({
      end: true,
      lsn: source.lsn(),
      tenants: tenants(),
      metadata: source.metadata(),
      losses: source.losses(),
    });
    await file.sync();
  } catch (error) {
    file.close();
    disk.remove(aside);
    throw error;
  }
  file.close();
  disk.rename(aside, path.join(folder, checkpointName(sequence)));
  disk.syncFolder(folder);
  return file.bytes;
}

/** As the log has them: putting them in again is harmless. */
function* exemplarRecords(head: Head): Iterable<Uint8Array> {
  const out = new ByteWriter();
  for (const { tenant, labels, exemplar } of head.exemplars.all()) {
    logExemplar(out, tenant, labels, exemplar);
    if (out.length < BUFFER_BYTES) continue;
    yield out.done();
    out.length = 0;
  }
  if (out.length > 0) yield out.done();
}

/** Where blocks are put together, with room for a record's head. Kept by the head, since memory is never given back. */
class CheckpointRegion {
  readonly #region: Region;

  constructor(head: Head) {
    this.#region = head.checkpointRegion;
    this.#region.ensure(BUFFER_BYTES + RECORD_HEAD);
  }

  get at(): number {
    return this.#region.at;
  }

  get bytes(): number {
    return this.#region.bytes - RECORD_HEAD;
  }

  ensure(bytes: number): void {
    this.#region.ensure(bytes + RECORD_HEAD);
  }
}

export interface LoadedCheckpoint {
  readonly windowMs: number;
  readonly lsn: number;
  /** LSN of each block of refs. */
  readonly blockLsns: readonly number[];
  readonly arenas: readonly SavedArena[];
  readonly metadata: readonly (readonly [string, readonly MetricMetadata[]])[];
  readonly losses: readonly SavedLoss[];
  /** Blocks that were corrupt. */
  readonly corrupt: readonly { position: number; bytes: number }[];
  readonly bytes: number;
}

/** Loads a checkpoint into an empty head. */
export async function loadCheckpoint(
  head: Head,
  disk: Disk,
  file: string,
  buffer: Region,
  pause: () => Promise<void>,
): Promise<LoadedCheckpoint> {
  const { kernel } = head;
  const { exports } = kernel;
  const reader = new WalReader(kernel, disk, file, buffer);
  const blockLsns: number[] = [];
  const arenas = new Map<number, SavedArena>();
  let windowMs = 0;
  let end: CheckpointEnd | undefined;
  try {
    for (let record = reader.next(); record !== undefined; record = reader.next()) {
      if (record.type === WAL_NOTE) {
        const note = readNote<CheckpointNote>(head, record);
        if ('version' in note) {
          windowMs = note.windowMs;
          for (const [index, id, newestMs] of note.tenants) head.addTenant(id, index).newestMs = newestMs;
        } else if ('arenas' in note) {
          for (const arena of note.arenas) {
            if (arenas.has(arena.id)) continue;
            arenas.set(arena.id, arena);
            exports.arenaMake(arena.id, BigInt(arena.window));
            if (arena.sealLsn > 0) exports.arenaSeal(arena.id);
          }
        } else end = note;
      } else if (record.type === WAL_SERIES) {
        const first = kernel.view.getUint32(record.at, true);
        blockLsns[Math.floor(first / BLOCK_REFS)] = kernel.view.getFloat64(record.at + 8, true);
        let at = record.at + SERIES_HEAD;
        const stop = record.at + record.bytes;
        while (at < stop) {
          const ref = kernel.view.getUint32(at + 4, true);
          const bytes = exports.loadSeries(at, stop - at);
          if (bytes <= 0) throw new Error(`${file}: a series of block ${first} does not load (${bytes})`);
          head.indexLoaded(ref);
          at += bytes;
        }
      } else if (record.type === WAL_RICH_CHUNKS) {
        loadRichChunks(head.rich, kernel.u8.slice(record.at, record.at + record.bytes));
      } else if (record.type === WAL_ASIDE) {
        head.replayAside(kernel.u8.slice(record.at, record.at + record.bytes), 0);
      }
      await pause();
    }
  } finally {
    reader.close();
  }
  for (const [index, id, newestMs] of end?.tenants ?? []) {
    (head.tenant(id) ?? head.addTenant(id, index)).newestMs = newestMs;
  }
  return {
    windowMs,
    lsn: end?.lsn ?? 0,
    blockLsns: Array.from(blockLsns, (lsn) => lsn ?? 0),
    arenas: [...arenas.values()],
    metadata: end?.metadata ?? [],
    losses: end?.losses ?? [],
    corrupt: reader.losses,
    bytes: 0,
  };
}

export function readNote<T>(head: Head, record: WalRecord): T {
  return JSON.parse(decoder.decode(head.kernel.u8.subarray(record.at, record.at + record.bytes))) as T;
}
