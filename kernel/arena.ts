import { givePage, PAGE_BYTES, takePage } from './pages';

// An arena holds the chunks of one window, of all series, until the window is in the store: then all of it goes at once. Late
// samples after a flush go to a new arena (the next generation) of the same window.

const R_WINDOW: usize = 0; // i64, window index: floor(ms / window length)
const R_PAGE: usize = 8; // u32, first page; 0: the arena is free
const R_AT: usize = 12; // u32
const R_END: usize = 16; // u32
const R_SEALED: usize = 20; // u8
const R_NEXT: usize = 22; // u16, the next arena whose window has the same bucket; 0: none
const R_PAGES: usize = 24; // u32
const R_CHUNKS: usize = 28; // u32, chunks begun
const R_FREE: usize = 32; // u32 × FREE_CLASSES: buffers that a growing chunk left
const FREE_CLASSES: u32 = 22; // as many as there are sizes
const R_SAMPLES: usize = 120; // u64, samples that came
const RECORD: usize = 128;

/** How many windows and generations may be open at once. */
export const ARENAS_MAX: u32 = 4096;

/** Decides on a window that no arena is open for. */
// @ts-ignore: decorator
@external('env', 'admitWindow')
declare function admitWindow(window: f64): bool;

// arenas by window: the first of each bucket
const buckets: usize = memory.data(4096 * 2); // u16
let denied: bool = false;
/** Whether the last arena that was asked for was not to be had since `admitWindow` denied it. */
export function arenaDenied(): bool {
  return denied;
}

// @ts-ignore: decorator
@inline function bucketOf(w: i64): usize {
  return buckets + ((<usize>(<u32>w & 4095)) << 1);
}

let table: usize = 0;
let windowMs: i64 = 0;
let newest: u32 = 0; // arena looked up last

export function arenaInit(at: usize, lengthMs: i64): void {
  table = at;
  windowMs = lengthMs;
}

/** Bytes of the region that arenaInit needs. */
export const ARENA_TABLE_BYTES: u32 = 4096 * 128;

// @ts-ignore: decorator
@inline function record(id: u32): usize {
  return table + <usize>id * RECORD;
}

export function windowOf(t: i64): i64 {
  const w = t / windowMs;
  return t < 0 && w * windowMs != t ? w - 1 : w;
}

/** The open arena of the window of `t`, made when there is none; 0 when there are too many or the instance is full. */
export function arenaOf(t: i64): u32 {
  const w = windowOf(t);
  if (newest != 0) {
    const r = record(newest);
    if (load<u32>(r, R_PAGE) != 0 && load<i64>(r, R_WINDOW) == w && load<u8>(r, R_SEALED) == 0) return newest;
  }
  for (let id = <u32>load<u16>(bucketOf(w)); id != 0; id = <u32>load<u16>(record(id), R_NEXT)) {
    const r = record(id);
    if (load<i64>(r, R_WINDOW) == w && load<u8>(r, R_SEALED) == 0) {
      newest = id;
      return id;
    }
  }
  denied = !admitWindow(<f64>w);
  if (denied) return 0;
  let free: u32 = 0;
  for (let id: u32 = 1; id < top && free == 0; id++) if (load<u32>(record(id), R_PAGE) == 0) free = id;
  if (free == 0) {
    if (top == ARENAS_MAX) return 0;
    free = top;
  }
  if (!arenaMake(free, w)) return 0;
  newest = free;
  return free;
}

let top: u32 = 1; // ids at or above were never used; 0 is none

/** Makes arena `id` for a window, as arenaOf or a log that is replayed decided. */
export function arenaMake(id: u32, w: i64): bool {
  const page = takePage();
  if (page == 0) return false;
  const r = record(id);
  memory.fill(r, 0, RECORD);
  store<u32>(page, 0);
  store<i64>(r, w, R_WINDOW);
  store<u32>(r, <u32>page, R_PAGE);
  store<u32>(r, <u32>page + 16, R_AT);
  store<u32>(r, <u32>page + PAGE_BYTES, R_END);
  store<u32>(r, 1, R_PAGES);
  const bucket = bucketOf(w);
  store<u16>(r, load<u16>(bucket), R_NEXT);
  store<u16>(bucket, <u16>id);
  if (id >= top) top = id + 1;
  return true;
}

/** No sample goes into it any more. */
export function arenaSeal(id: u32): void {
  store<u8>(record(id), 1, R_SEALED);
}

// @ts-ignore: decorator
@inline export function arenaIsOpen(id: u32, w: i64): bool {
  const r = record(id);
  return load<u8>(r, R_SEALED) == 0 && load<i64>(r, R_WINDOW) == w;
}

/** Gives all its pages back. No series may point into it any more. */
export function arenaDrop(id: u32): void {
  const r = record(id);
  let page = <usize>load<u32>(r, R_PAGE);
  while (page != 0) {
    const next = <usize>load<u32>(page);
    givePage(page);
    page = next;
  }
  store<u32>(r, 0, R_PAGE);
  const bucket = bucketOf(load<i64>(r, R_WINDOW));
  const next = load<u16>(r, R_NEXT);
  if (<u32>load<u16>(bucket) == id) {
    store<u16>(bucket, next);
    return;
  }
  let before = <u32>load<u16>(bucket);
  while (<u32>load<u16>(record(before), R_NEXT) != id) before = <u32>load<u16>(record(before), R_NEXT);
  store<u16>(record(before), next, R_NEXT);
}

// for JavaScript, which decides what is sealed, flushed and dropped
export function arenaCount(): u32 {
  return top;
}
export function arenaExists(id: u32): bool {
  return load<u32>(record(id), R_PAGE) != 0;
}
export function arenaWindow(id: u32): f64 {
  return <f64>load<i64>(record(id), R_WINDOW);
}
export function arenaSealed(id: u32): bool {
  return load<u8>(record(id), R_SEALED) != 0;
}
export function arenaPages(id: u32): u32 {
  return load<u32>(record(id), R_PAGES);
}
export function arenaChunks(id: u32): u32 {
  return load<u32>(record(id), R_CHUNKS);
}

/** Samples that came, those of tenants that were deleted since among them. */
export function arenaSamples(id: u32): f64 {
  return <f64>load<u64>(record(id), R_SAMPLES);
}

// @ts-ignore: decorator
@inline export function countSample(id: u32): void {
  const r = record(id);
  store<u64>(r, load<u64>(r, R_SAMPLES) + 1, R_SAMPLES);
}

export function countSamples(id: u32, n: u32): void {
  const r = record(id);
  store<u64>(r, load<u64>(r, R_SAMPLES) + n, R_SAMPLES);
}

export function countChunk(id: u32): void {
  const r = record(id);
  store<u32>(r, load<u32>(r, R_CHUNKS) + 1, R_CHUNKS);
}

// buffer sizes of a growing chunk, in units of 16 bytes: 48 B first (what a sample needs at the least), then about half more
const SIZES: usize = memory.data<u16>([
  3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512,
]);
const SIZE_COUNT: u32 = FREE_CLASSES;

/** The next larger size (of 16-byte units) than `units`; 0 where there is none, so the chunk must be cut. */
export function nextSize(units: u32): u32 {
  for (let i: u32 = 0; i < SIZE_COUNT; i++) {
    const size = <u32>load<u16>(SIZES + ((<usize>i) << 1));
    if (size > units) return size;
  }
  return 0;
}

function classOf(units: u32): u32 {
  for (let i: u32 = 0; i < SIZE_COUNT; i++) if (<u32>load<u16>(SIZES + ((<usize>i) << 1)) == units) return i;
  return FREE_CLASSES;
}

/** A cleared buffer of `units` × 16 bytes; 0 when the instance is full. */
export function arenaTake(id: u32, units: u32): usize {
  const r = record(id);
  const size = classOf(units);
  if (size < FREE_CLASSES) {
    const head = r + R_FREE + ((<usize>size) << 2);
    const first = <usize>load<u32>(head);
    if (first != 0) {
      store<u32>(head, load<u32>(first));
      memory.fill(first, 0, units << 4);
      return first;
    }
  }
  const bytes = units << 4;
  let at = load<u32>(r, R_AT);
  if (at + bytes > load<u32>(r, R_END)) {
    const page = takePage();
    if (page == 0) return 0;
    // the page joins behind the first, whose head is the list
    const first = <usize>load<u32>(r, R_PAGE);
    store<u32>(page, load<u32>(first));
    store<u32>(first, <u32>page);
    store<u32>(r, load<u32>(r, R_PAGES) + 1, R_PAGES);
    store<u32>(r, <u32>page + PAGE_BYTES, R_END);
    at = <u32>page + 16;
  }
  store<u32>(r, at + bytes, R_AT);
  memory.fill(<usize>at, 0, bytes);
  return <usize>at;
}

export function arenaGive(id: u32, buffer: usize, units: u32): void {
  const size = classOf(units);
  if (size >= FREE_CLASSES) return;
  const head = record(id) + R_FREE + ((<usize>size) << 2);
  store<u32>(buffer, load<u32>(head));
  store<u32>(head, <u32>buffer);
}
