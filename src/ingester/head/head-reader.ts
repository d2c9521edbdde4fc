import { CHUNK_UNORDERED, PACKED_FLAGS } from '../../chunk/head-chunk-flags.ts';
import {
  APPENDER_ARENA_AT,
  APPENDER_BITS_AT,
  APPENDER_COUNT_AT,
  APPENDER_DATA_AT,
  APPENDER_TIME_AT,
  HEAD_BLOCK_SHIFT,
  HEAD_CHUNK_APPENDER_AT,
  HEAD_CHUNK_FLAGS_AT,
  HEAD_CHUNK_MAX_AT,
  HEAD_CHUNK_MIN_AT,
  HEAD_CHUNK_NEXT_AT,
  HEAD_PACKED_ARENA_AT,
  HEAD_PACKED_COUNT_AT,
  HEAD_PACKED_SPECIAL_AT,
  HEAD_PACKED_TIMES_AT,
  HEAD_PACKED_TIMES_BYTES_AT,
  HEAD_PACKED_VALUES_AT,
  HEAD_PACKED_VALUES_BYTES_AT,
  HEAD_SERIES_APPENDER_AT,
  HEAD_SERIES_BYTES,
  HEAD_SERIES_CHUNKS_AT,
  HEAD_SERIES_KEY_AT,
  HEAD_SERIES_STATE_AT,
  PACKED_HEADER_BYTES,
  RUN_BYTES_MAX,
} from '../../wire/head-layout.ts';
import {
  CHUNK_BYTES_AT,
  CHUNK_FLAGS_AT,
  CHUNK_HEADER_BYTES,
  SERIES_BYTES_AT,
  SERIES_CHUNKS_AT,
} from '../../wire/slice-layout.ts';
import { HeadChanges } from './head-changes.ts';

/** A head's memory, for readers in other threads. */
export interface HeadMemory {
  readonly memory: WebAssembly.Memory;
  /** That of its `HeadChanges`. */
  readonly changes: SharedArrayBuffer;
  /** Where the addresses of the blocks of series lie. */
  readonly directory: number;
}

/** The series that a select's matchers match, whenever they have samples, for who reads these in the head's memory (`HeadReader`). */
export interface KeptSelect {
  /** Ascending. */
  readonly refs: Uint32Array;
  /** Four words for each: the key of its tenant and labels. */
  readonly keys: Uint32Array;
  /** Header and labels of each as a slice has them, behind each other; what depends on its chunks is 0. */
  readonly heads: Uint32Array;
  /** Where each ends. */
  readonly headEnds: Uint32Array;
  /** The counter of `HeadChanges` that says when there are others, and its value. */
  readonly counter: number;
  readonly value: number;
}

/** Bounds of one read, of all of its selects together. */
export interface ReadBounds {
  /** Series that match, with samples in the range or without. */
  readonly seriesMax: number;
  /** Bytes of the slices. */
  readonly bytesMax: number;
  /** Chunks that are looked at, those outside of the range too. */
  readonly chunksMax: number;
  /** Tries while the head is being changed. */
  readonly triesMax: number;
}

/** Bounds for a thread that may be held up: bytes are as many as the first slice of a shard has. */
export const READ_BOUNDS: ReadBounds = { seriesMax: 8192, bytesMax: 1024 * 1024, chunksMax: 32_768, triesMax: 4 };
/** A change takes some 0.1 ms. */
const WAIT_MS = 0.2;
/** Times of more bits than this, above or below, are left to the head's thread: here they are doubles. */
const TIME_HIGH_MAX = 2 ** 20;

/** A select that was kept, and its range in Unix ms, both ends included. */
export interface DirectSelect {
  readonly kept: KeptSelect;
  readonly startMs: number;
  readonly endMs: number;
}

/** With none of them the head's thread was in the way: only it can tell. */
export interface DirectAnswer {
  readonly slices?: readonly Uint8Array<ArrayBuffer>[];
  /** The place of a select that other series match by now. */
  readonly others?: number;
  /** The place of the select at which a bound was passed. */
  readonly tooLarge?: number;
}

/**
 * Reads series of a head in a thread that is not the head's, while that goes on. Whatever is read may be half changed, or long gone and
 * used for something else: nothing of it counts until the sequence is the same as before.
 */
export class HeadReader {
  readonly #memory: WebAssembly.Memory;
  readonly #changes: HeadChanges;
  readonly #directory: number;
  readonly #waits: boolean;
  readonly #bounds: ReadBounds;
  #u8 = new Uint8Array(0);
  #u32 = new Uint32Array(0);
  /** Room for a slice that is not known to hold yet. */
  readonly #out: ArrayBuffer;
  readonly #outBytes: Uint8Array;
  readonly #outWords: Uint32Array;
  #at = 0;
  #chunksLeft = 0;
  /** Something pointed behind the memory, or passed a bound. */
  #failed = false;
  #isTooLarge = false;

  /** @param waits whether the thread may wait for the end of a change, some 0.1 ms; else the head's thread is asked then */
  constructor({ memory, changes, directory }: HeadMemory, waits: boolean, bounds: ReadBounds = READ_BOUNDS) {
    this.#waits = waits;
    this.#bounds = bounds;
    this.#memory = memory;
    this.#changes = new HeadChanges(changes);
    this.#directory = directory;
    this.#out = new ArrayBuffer(bounds.bytesMax & ~7);
    this.#outBytes = new Uint8Array(this.#out);
    this.#outWords = new Uint32Array(this.#out);
    this.#look();
  }

  /** The memory may have grown. */
  #look(): void {
    const { buffer } = this.#memory;
    if (buffer.byteLength === this.#u8.length) return;
    this.#u8 = new Uint8Array(buffer);
    this.#u32 = new Uint32Array(buffer);
  }

  /**
   * A slice for each, with those of its series that have chunks in its range: bytes as `exportSeries` writes them. All are of one moment.
   */
  read(asked: readonly DirectSelect[]): DirectAnswer {
    let seriesLeft = this.#bounds.seriesMax;
    for (const [k, { kept }] of asked.entries()) {
      seriesLeft -= kept.refs.length;
      if (seriesLeft < 0) return { tooLarge: k };
    }
    this.#look();
    for (let i = 0; i < this.#bounds.triesMax; i++) {
      const sequence = this.#changes.begin();
      if (sequence === undefined) {
        if (this.#waits) this.#changes.wait(WAIT_MS);
        continue;
      }
      this.#at = 0;
      this.#chunksLeft = this.#bounds.chunksMax;
      this.#failed = false;
      this.#isTooLarge = false;
      const ends: number[] = [];
      let others = -1;
      for (let k = 0; k < asked.length && others < 0 && !this.#failed; k++) {
        const { kept, startMs, endMs } = asked[k]!;
        const isSame = this.#changes.value(kept.counter) === kept.value;
        if (!isSame || !this.#copy(kept, Math.trunc(startMs), Math.trunc(endMs))) others = k;
        ends.push(this.#at);
      }
      if (!this.#changes.isUnchanged(sequence)) continue;
      if (others >= 0) return { others };
      if (this.#isTooLarge) return { tooLarge: ends.length - 1 };
      if (!this.#failed) return { slices: ends.map((end, k) => this.#slice(ends[k - 1] ?? 0, end)) };
      const { length } = this.#u8;
      this.#look();
      if (this.#u8.length === length) return {};
    }
    return {};
  }

  #slice(from: number, to: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#out.slice(from, to));
  }

  /** Copies what is asked for; false where a series is not the one that it was. */
  #copy({ refs, keys, heads, headEnds }: KeptSelect, startMs: number, endMs: number): boolean {
    for (let i = 0; i < refs.length; i++) {
      const ref = refs[i]!;
      const block = this.#u32At(this.#directory + 4 * (ref >>> HEAD_BLOCK_SHIFT));
      const record = block + (ref & ((1 << HEAD_BLOCK_SHIFT) - 1)) * HEAD_SERIES_BYTES;
      const state = this.#u8[record + HEAD_SERIES_STATE_AT];
      // behind the memory as this thread knows it: that has grown
      if (state === undefined) this.#failed = true;
      if (this.#failed) return true;
      if (state !== 1) return false;
      const key = (record + HEAD_SERIES_KEY_AT) >>> 2;
      for (let k = 0; k < 4; k++) if (this.#u32[key + k] !== keys[4 * i + k]) return false;
      this.#series(record, heads, i === 0 ? 0 : headEnds[i - 1]!, headEnds[i]!, startMs, endMs);
      if (this.#failed) return true;
    }
    return true;
  }

  /** Copies a series, with its head (header and labels) at [headFrom, headTo) of `heads`, if it has chunks in the range. */
  #series(record: number, heads: Uint32Array, headFrom: number, headTo: number, startMs: number, endMs: number): void {
    const from = this.#at;
    let chunks = 0;
    let runArena = 0;
    let runBytes = 0;
    const open = record + HEAD_SERIES_APPENDER_AT;
    if (
      this.#u16At(open + APPENDER_COUNT_AT) !== 0 &&
      this.#timeAt(open + APPENDER_TIME_AT) >= startMs &&
      this.#firstTime(this.#u32At(open + APPENDER_DATA_AT)) <= endMs
    ) {
      this.#head(heads, headFrom, headTo);
      this.#chunk(open, 0);
      chunks = 1;
      runArena = this.#u32At(open + APPENDER_ARENA_AT);
      runBytes = (this.#u32At(open + APPENDER_BITS_AT) + 7) >>> 3;
    }
    let at = this.#u32At(record + HEAD_SERIES_CHUNKS_AT);
    for (; at !== 0 && !this.#failed; at = this.#u32At(at + HEAD_CHUNK_NEXT_AT)) {
      if (--this.#chunksLeft < 0) {
        this.#tooLarge();
        break;
      }
      if (this.#timeAt(at + HEAD_CHUNK_MAX_AT) < startMs || this.#timeAt(at + HEAD_CHUNK_MIN_AT) > endMs) continue;
      if (chunks === 0) this.#head(heads, headFrom, headTo);
      const flags = this.#u32At(at + HEAD_CHUNK_FLAGS_AT);
      const isPacked = flags === PACKED_FLAGS;
      const began = this.#at;
      const arena = this.#u32At(at + (isPacked ? HEAD_PACKED_ARENA_AT : HEAD_CHUNK_APPENDER_AT + APPENDER_ARENA_AT));
      if (isPacked) this.#packed(at);
      else this.#chunk(at + HEAD_CHUNK_APPENDER_AT, flags);
      const bytes = this.#at - began;
      // limits count what would be one chunk, had it not been cut
      if (isPacked && arena === runArena && runBytes + bytes <= RUN_BYTES_MAX) {
        runBytes += bytes;
        continue;
      }
      chunks++;
      if ((flags & CHUNK_UNORDERED) !== 0) continue;
      runArena = arena;
      runBytes = bytes;
    }
    if (this.#failed || chunks === 0) {
      this.#at = from;
      return;
    }
    this.#outWords[(from + SERIES_BYTES_AT) >>> 2] = this.#at - from;
    this.#outWords[(from + SERIES_CHUNKS_AT) >>> 2] = chunks;
  }

  #tooLarge(): void {
    this.#failed = true;
    this.#isTooLarge = true;
  }

  #head(heads: Uint32Array, from: number, to: number): void {
    const end = this.#at + 4 * (to - from);
    if (end > this.#outBytes.length) {
      this.#tooLarge();
      return;
    }
    for (let i = from, o = this.#at >>> 2; i < to; i++, o++) this.#outWords[o] = heads[i]!;
    this.#at = end;
  }

  #chunk(appender: number, flags: number): void {
    const bytes = (this.#u32At(appender + APPENDER_BITS_AT) + 7) >>> 3;
    const data = this.#u32At(appender + APPENDER_DATA_AT);
    const to = this.#begin(bytes, flags & CHUNK_UNORDERED);
    if (to < 0) return;
    this.#bytes(data, bytes, to);
    const count = this.#u16At(appender + APPENDER_COUNT_AT);
    this.#outBytes[to] = count >>> 8;
    this.#outBytes[to + 1] = count;
  }

  #packed(chunk: number): void {
    const ofTimes = this.#u16At(chunk + HEAD_PACKED_TIMES_BYTES_AT);
    const ofValues = this.#u16At(chunk + HEAD_PACKED_VALUES_BYTES_AT);
    const to = this.#begin(PACKED_HEADER_BYTES + ofTimes + ofValues, PACKED_FLAGS);
    if (to < 0) return;
    const count = this.#u16At(chunk + HEAD_PACKED_COUNT_AT);
    const out = this.#outBytes;
    out[to] = count >>> 8;
    out[to + 1] = count;
    out[to + 2] = ofTimes;
    out[to + 3] = ofTimes >>> 8;
    out[to + 4] = this.#u8[chunk + HEAD_PACKED_SPECIAL_AT] !== 0 ? 1 : 0;
    const times = to + PACKED_HEADER_BYTES;
    this.#bytes(this.#u32At(chunk + HEAD_PACKED_TIMES_AT), ofTimes, times);
    this.#bytes(chunk + HEAD_PACKED_VALUES_AT, ofValues, times + ofTimes);
  }

  /** Writes the header of a chunk and zeros at its end; returns where its bytes go, or −1 where there is no room. */
  #begin(bytes: number, flags: number): number {
    const at = this.#at;
    const data = at + CHUNK_HEADER_BYTES;
    const next = data + bytes + (-bytes & 7);
    if (next > this.#outBytes.length) {
      this.#tooLarge();
      return -1;
    }
    const words = this.#outWords;
    words[(at + CHUNK_BYTES_AT) >>> 2] = bytes;
    words[(at + CHUNK_FLAGS_AT) >>> 2] = flags;
    words[(next >>> 2) - 2] = 0;
    words[(next >>> 2) - 1] = 0;
    this.#at = next;
    return data;
  }

  /** Copies bytes of the memory. The caller has looked whether there is room. */
  #bytes(from: number, bytes: number, to: number): void {
    if (from + bytes > this.#u8.length) {
      this.#failed = true;
      return;
    }
    let i = 0;
    if (((from | to) & 3) === 0) {
      const source = this.#u32;
      const out = this.#outWords;
      for (let f = from >>> 2, t = to >>> 2; i + 4 <= bytes; i += 4) out[t++] = source[f++]!;
    }
    const source = this.#u8;
    const out = this.#outBytes;
    for (; i < bytes; i++) out[to + i] = source[from + i]!;
  }

  /** The address is a multiple of 4, or nothing that counts. */
  #u32At(at: number): number {
    const value = this.#u32[at >>> 2];
    if (value !== undefined) return value;
    this.#failed = true;
    return 0;
  }

  /** The address is a multiple of 2, or nothing that counts. */
  #u16At(at: number): number {
    const word = this.#u32At(at);
    return (at & 2) === 0 ? word & 0xffff : word >>> 16;
  }

  /** An i64 of whole milliseconds. */
  #timeAt(at: number): number {
    const high = this.#u32At(at + 4) | 0;
    if (high >= TIME_HIGH_MAX || high < -TIME_HIGH_MAX) this.#failed = true;
    return high * 2 ** 32 + this.#u32At(at);
  }

  /** The first time of an XOR chunk: a zigzag varint behind the count. */
  #firstTime(data: number): number {
    let value = 0;
    let scale = 1;
    for (let i = 2; i < FIRST_TIME_BYTES_MAX + 2; i++) {
      const byte = this.#u8[data + i];
      if (byte === undefined) break;
      value += (byte & 127) * scale;
      scale *= 128;
      if (byte < 128) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    }
    this.#failed = true;
    return 0;
  }
}

/** Bytes of a first time at most: a double tells numbers of more only roughly. */
const FIRST_TIME_BYTES_MAX = 7;
