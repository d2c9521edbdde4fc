import path from 'node:path';
import type { Region } from '../../chunk/region.ts';
import { BytesError } from '../../lib/bytes.ts';
import type { MetricMetadata } from '../../model/metric-metadata.ts';
import { RECORD_BYTES_AIMED, RECORD_HEADER_BYTES } from '../../wire/record-layout.ts';
import { AsideLog } from '../head/aside-log.ts';
import { replayAside } from '../head/aside-replay.ts';
import type { StoredSeries } from '../head/exemplars.ts';
import type { Head } from '../head/head.ts';
import type { Disk } from './disk.ts';
import { encodeNote, isCount, isId, isList, isMetadata, noteParts, readNote } from './log-note.ts';
import { loadRichChunks, saveRichChunks } from './rich-checkpoint.ts';
import {
  fileHeader,
  sealRecord,
  WAL_ASIDE,
  WAL_NOTE,
  WAL_RICH_CHUNKS,
  WAL_SERIES,
  type WalLoss,
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
  /** Samples that were in there, by what the records before hold; undefined: nobody can tell. */
  readonly samples?: number;
  /** Time range that the lost records may have been of. */
  readonly fromMs: number;
  readonly toMs: number;
  /** Wall clock when it was found, Unix ms; absent where an earlier version found it. */
  readonly foundMs?: number;
}

type SavedTenant = readonly [index: number, id: string, newestMs: number];

/** Notes of a checkpoint. Lists that grow with what tenants send are told in parts, each a record of bounded size. */
type CheckpointNote =
  | { readonly version: 2; readonly windowMs: number }
  | { readonly tenants: readonly SavedTenant[] }
  | { readonly arenas: readonly SavedArena[] }
  | { readonly metadata: string; readonly entries: readonly MetricMetadata[] }
  | { readonly losses: readonly SavedLoss[] }
  | { readonly end: true; readonly lsn: number };

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
  losses(): readonly SavedLoss[];
}

const BUFFER_BYTES = RECORD_BYTES_AIMED;
const NOTE_BYTES_AIMED = 256 * 1024;
const ARENAS_MAX = 4096;
const SERIES_HEAD = 16; // u32 first ref · u32 ref behind the last · f64 LSN

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
    file.write(kernel.u8.subarray(region.at, region.at + RECORD_HEADER_BYTES + bytes));
  };
  const writeBytes = (bytes: Uint8Array, type: number) => {
    region.ensure(bytes.length);
    kernel.u8.set(bytes, region.at + RECORD_HEADER_BYTES);
    write(bytes.length, type);
  };
  const note = (value: CheckpointNote) => writeBytes(encodeNote(value), WAL_NOTE);
  let told = 0;
  /** Tells the tenants that came since it was called last, before any of their series. */
  const tellTenants = async () => {
    const to = head.tenants.length;
    for (const tenants of noteParts(savedTenants(head, told, to), NOTE_BYTES_AIMED)) {
      note({ tenants });
      await pause();
    }
    told = to;
  };
  try {
    file.write(fileHeader(kernel, region.region));
    note({ version: 2, windowMs: head.windowMs });
    let known = '';
    for (let from = 0; from < exports.seriesTop(); from += BLOCK_REFS) {
      while (told < head.tenants.length) await tellTenants();
      const arenas = source.arenas();
      if (JSON.stringify(arenas) !== known) {
        known = JSON.stringify(arenas);
        for (const part of noteParts(arenas, NOTE_BYTES_AIMED)) note({ arenas: part });
      }
      const lsn = source.lsn();
      const to = Math.min(from + BLOCK_REFS, exports.seriesTop());
      const series = new SeriesBlock(head, region, lsn, (bytes) => write(bytes, WAL_SERIES));
      for (let ref = from; ref < to; ref++) if (exports.seriesIsLive(ref)) series.add(ref);
      series.end(from, to);
      // of the same moment as the series above, hence before anybody else's turn
      for (const bytes of saveRichChunks(head.rich, from, to)) writeBytes(bytes, WAL_RICH_CHUNKS);
      await pause();
    }
    for (const bytes of exemplarPayloads(head)) writeBytes(bytes, WAL_ASIDE);
    for (const [metadata, all] of head.metadata.all()) {
      for (const entries of noteParts(all, NOTE_BYTES_AIMED)) {
        note({ metadata, entries });
        await pause();
      }
    }
    for (const losses of noteParts(source.losses(), NOTE_BYTES_AIMED)) note({ losses });
    // once more, with the newest samples there are now
    told = 0;
    await tellTenants();
    note({ end: true, lsn: source.lsn() });
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

/** Tenants with an index in [from, to); some may be missing, whose notes were lost. */
function* savedTenants(head: Head, from: number, to: number): Iterable<SavedTenant> {
  for (const tenant of head.tenants.slice(from, to)) {
    if (tenant !== undefined) yield [tenant.index, tenant.id, Math.max(tenant.newestMs, 0)];
  }
}

/** Puts the series of a block together in records: as many whole ones as fit, and one that is larger in parts. */
class SeriesBlock {
  readonly #head: Head;
  readonly #region: CheckpointRegion;
  readonly #lsn: number;
  readonly #write: (bytes: number) => void;
  #at = SERIES_HEAD;
  #wrote = false;
  #first = -1;

  constructor(head: Head, region: CheckpointRegion, lsn: number, write: (bytes: number) => void) {
    this.#head = head;
    this.#region = region;
    this.#lsn = lsn;
    this.#write = write;
  }

  add(ref: number): void {
    if (this.#save(ref, 0, false)) return;
    if (this.#at > SERIES_HEAD) this.#end(ref, ref);
    if (this.#save(ref, 0, false)) return;
    for (let skip = 0; ; ) {
      if (!this.#save(ref, skip, true)) throw new Error(`bug: a chunk of series ${ref} does not fit into a checkpoint`);
      skip = this.#head.kernel.exports.savedChunks();
      if (skip === 0) return;
      this.#end(ref, ref + 1);
    }
  }

  #save(ref: number, skip: number, inParts: boolean): boolean {
    const { at, bytes } = this.#region;
    const { exports } = this.#head.kernel;
    const wrote = exports.saveSeries(ref, skip, inParts, at + RECORD_HEADER_BYTES + this.#at, bytes - this.#at);
    if (wrote < 0) return false;
    if (this.#first < 0) this.#first = ref;
    this.#at += wrote;
    return true;
  }

  /** The last record, also where no ref of the block has a series: it says which log it is complete for. */
  end(from: number, to: number): void {
    if (this.#wrote && this.#at === SERIES_HEAD) return;
    if (!this.#wrote) this.#first = from;
    this.#end(this.#first, to);
  }

  #end(first: number, to: number): void {
    const { view } = this.#head.kernel;
    const at = this.#region.at + RECORD_HEADER_BYTES;
    view.setUint32(at, this.#first < 0 ? first : this.#first, true);
    view.setUint32(at + 4, to, true);
    view.setFloat64(at + 8, this.#lsn, true);
    this.#write(this.#at);
    this.#at = SERIES_HEAD;
    this.#wrote = true;
    this.#first = -1;
  }
}

/** Series with exemplars, then exemplars that name these: putting them in again is harmless. */
function* exemplarPayloads(head: Head): Iterable<Uint8Array> {
  const out = new AsideLog();
  let number = 0;
  for (const series of head.exemplars.series()) {
    out.series(number++, series);
    if (!out.isFull) continue;
    yield out.bytes;
    out.clearEntries();
  }
  for (const { series, exemplar } of head.exemplars.all()) {
    out.exemplar(series, exemplar);
    if (!out.isFull) continue;
    yield out.bytes;
    out.clearEntries();
  }
  if (out.length > 0) yield out.bytes;
}

/** Where blocks are put together, with room for a record's header. Kept by the head, since memory is never given back. */
class CheckpointRegion {
  readonly region: Region;

  constructor(head: Head) {
    this.region = head.checkpointRegion;
    this.region.ensure(BUFFER_BYTES + RECORD_HEADER_BYTES);
  }

  get at(): number {
    return this.region.at;
  }

  get bytes(): number {
    return this.region.bytes - RECORD_HEADER_BYTES;
  }

  ensure(bytes: number): void {
    this.region.ensure(bytes + RECORD_HEADER_BYTES);
  }
}

export interface LoadedCheckpoint {
  readonly windowMs: number;
  readonly lsn: number;
  /** LSN of each block of refs. */
  readonly blockLsns: readonly number[];
  readonly arenas: readonly SavedArena[];
  readonly losses: readonly SavedLoss[];
  /** Parts that were damaged, or that said what cannot be. */
  readonly damage: readonly WalLoss[];
}

/** Loads a checkpoint into an empty head. @throws where a series does not load, since all that follows would be wrong */
export async function loadCheckpoint(
  head: Head,
  disk: Disk,
  file: string,
  buffer: Region,
  nowMs: number,
  pause: () => Promise<void>,
): Promise<LoadedCheckpoint> {
  const reader = new WalReader(head.kernel, disk, file, buffer);
  const loader = new CheckpointLoader(head, file, nowMs);
  try {
    for (let record = reader.next(); record !== undefined; record = reader.next()) {
      loader.load(record);
      await pause();
    }
  } finally {
    reader.close();
  }
  return {
    windowMs: loader.windowMs,
    lsn: loader.lsn,
    blockLsns: Array.from(loader.blockLsns, (lsn) => lsn ?? 0),
    arenas: [...loader.arenas.values()],
    losses: loader.losses,
    damage: [...reader.losses, ...loader.damage],
  };
}

/** Answers of the kernel's loadSeries. */
const LOAD_ALONE = -3;

/** Takes the records of a checkpoint, in their order. */
class CheckpointLoader {
  readonly #head: Head;
  readonly #file: string;
  readonly #nowMs: number;
  readonly #exemplars = new Map<number, StoredSeries>();
  readonly blockLsns: number[] = [];
  readonly arenas = new Map<number, SavedArena>();
  readonly losses: SavedLoss[] = [];
  readonly damage: WalLoss[] = [];
  windowMs = 0;
  lsn = 0;

  constructor(head: Head, file: string, nowMs: number) {
    this.#head = head;
    this.#file = file;
    this.#nowMs = nowMs;
  }

  load(record: WalRecord): void {
    try {
      this.#load(record);
    } catch (error) {
      if (!(error instanceof BytesError)) throw error;
      this.#damaged(record, record.bytes);
    }
  }

  /** @throws BytesError */
  #load(record: WalRecord): void {
    const { kernel } = this.#head;
    const payload = () => kernel.u8.slice(record.at, record.at + record.bytes);
    switch (record.type) {
      case WAL_NOTE:
        this.#note(readNote(kernel, record));
        return;
      case WAL_SERIES:
        this.#series(record);
        return;
      case WAL_RICH_CHUNKS:
        loadRichChunks(this.#head.rich, payload(), (ref, arena) => this.#isHeld(ref, arena));
        return;
      case WAL_ASIDE:
        replayAside(this.#head, payload(), 0, this.#exemplars);
        return;
      default:
        throw new BytesError(`a record of type ${record.type}`);
    }
  }

  #damaged(record: WalRecord, bytes: number): void {
    this.damage.push({ file: this.#file, position: record.lsn, bytes, kind: 'damage' });
  }

  /** Whether a chunk may be of this series and arena: their records may have been lost. */
  #isHeld(ref: number, arena: number): boolean {
    return this.arenas.has(arena) && this.#head.kernel.exports.seriesIsLive(ref) !== 0;
  }

  /** A note of this version has one of these fields, those of the first version several. @throws BytesError */
  #note(note: Readonly<Record<string, unknown>>): void {
    const { windowMs, tenants, arenas, metadata, entries, losses, end, lsn } = note;
    if (isCount(windowMs)) this.windowMs = windowMs;
    if (isList(tenants)) for (const one of tenants) this.#tenant(one);
    if (isList(arenas)) for (const one of arenas) this.#arena(one as Partial<SavedArena> | null);
    if (isId(metadata)) this.#metadata(metadata, entries);
    if (isList(metadata)) for (const one of metadata) if (isList(one)) this.#metadata(one[0], one[1]);
    if (isList(losses)) this.losses.push(...losses.filter(isLoss));
    if (end === true && isCount(lsn)) this.lsn = lsn;
  }

  #tenant(saved: unknown): void {
    const [index, id, newestMs] = isList(saved) ? saved : [];
    const tenant = isCount(index) && isId(id) ? this.#head.bindTenant(index, id) : undefined;
    if (tenant === undefined) throw new BytesError('an index of another tenant');
    if (isCount(newestMs)) tenant.newestMs = Math.max(tenant.newestMs, newestMs);
  }

  #arena(saved: Partial<SavedArena> | null): void {
    const { id, window, sealLsn, flushedMs } = saved ?? {};
    if (!isCount(id) || id === 0 || id >= ARENAS_MAX || !isCount(sealLsn) || !isCount(flushedMs)) {
      throw new BytesError('an arena that is none');
    }
    if (!Number.isSafeInteger(window)) throw new BytesError('an arena without its window');
    const known = this.arenas.get(id);
    if (known !== undefined) {
      if (known.window !== window) throw new BytesError('an arena of another window');
      return;
    }
    const { exports } = this.#head.kernel;
    this.arenas.set(id, { id, window: window!, sealLsn, flushedMs });
    if (!exports.arenaMake(id, BigInt(window!))) throw new RangeError('no memory for a window of the checkpoint');
    if (sealLsn > 0) exports.arenaSeal(id);
  }

  #metadata(tenant: unknown, entries: unknown): void {
    if (!isId(tenant) || !isMetadata(entries)) throw new BytesError('metadata that is none');
    this.#head.metadata.load(tenant, entries, this.#nowMs);
  }

  #series(record: WalRecord): void {
    const { kernel } = this.#head;
    const { exports } = kernel;
    if (record.bytes < SERIES_HEAD) throw new BytesError('a block without its head');
    const first = kernel.view.getUint32(record.at, true);
    const lsn = kernel.view.getFloat64(record.at + 8, true);
    if (first > REFS_MAX || !isCount(lsn)) throw new BytesError('a block that is none');
    this.blockLsns[Math.floor(first / BLOCK_REFS)] = lsn;
    let alone = 0;
    const stop = record.at + record.bytes;
    for (let at = record.at + SERIES_HEAD; at < stop; ) {
      const size = stop - at < 8 ? 0 : kernel.view.getUint32(at, true);
      const ref = size === 0 ? 0 : kernel.view.getUint32(at + 4, true);
      const live = exports.seriesIsLive(ref);
      const bytes = exports.loadSeries(at, stop - at);
      if (bytes === LOAD_ALONE) alone += size;
      else if (bytes <= 0) throw new Error(`${this.#file}: a series of block ${first} does not load (${bytes})`);
      else if (!live) this.#head.indexLoaded(ref);
      at += size;
    }
    if (alone > 0) this.#damaged(record, alone);
  }
}

/** Refs are below 2²⁴. */
const REFS_MAX = 0xffffff;

function isLoss(value: unknown): value is SavedLoss {
  if (typeof value !== 'object' || value === null) return false;
  const { file, position, bytes, fromMs, toMs, foundMs = 0 } = value as Partial<SavedLoss>;
  const numbers = [position, bytes, fromMs, toMs, foundMs];
  return typeof file === 'string' && numbers.every((number) => Number.isFinite(number));
}
