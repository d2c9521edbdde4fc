import {
  HEAD_BLOCK_SHIFT,
  HEAD_SERIES_APPENDER_AT,
  HEAD_SERIES_BYTES,
  HEAD_SERIES_CHUNKS_AT,
  HEAD_SERIES_KEY_AT,
  HEAD_SERIES_STATE_AT,
} from '../src/wire/head-layout';
import { xxh64 } from './hash';
import { key0, key1, keyInit, seriesKey, tenantKey } from './key';
import { reserve } from './memory';
import { PAGE_BYTES, takePage } from './pages';
import { pairBytes, pairDrop, pairLen, pairName, pairUse } from './pairs';
import { slabGive, slabTake } from './slab';
import { TABLE_BYTES, tableInit, tablePut, tableRemove } from './table';
import { at, bad, moveTo, readUvarint, start } from './varint';
import { A_ARENA, A_COUNT, A_DATA, A_TIME } from './xor';

// The series table: (tenant, canonical labels) → ref. A record holds the series' key (key.ts), the appender of the open chunk,
// and a list of the other chunks. The labels are a list of pair ids; the key alone decides equality.

export const S_HASH: usize = HEAD_SERIES_KEY_AT; // u64, u64
export const S_APPENDER: usize = HEAD_SERIES_APPENDER_AT; // see xor.ts; A_TIME is the newest time ever, also when no chunk is open
export const S_STATE: usize = HEAD_SERIES_STATE_AT; // u8: 0 free, 1 live
export const S_ASIDE: usize = 59; // u8: 1: JavaScript has taken samples of it aside since the log's payload was last known to be in order
export const S_CHUNKS: usize = HEAD_SERIES_CHUNKS_AT; // u32, newest first
export const S_LABELS: usize = 64; // u32 → u32 count, u32 pair ids
export const S_TENANT: usize = 68; // u32
export const S_METRIC_HASH: usize = 72; // u32, low half of the XXH64 of the metric name
export const S_METRIC: usize = 76; // u32, pair id of the metric name
export const SERIES_BYTES: u32 = HEAD_SERIES_BYTES;

// Blocks of 256 records, and behind them for each a u32, the ref that followed it in a request, plus 1: 21,504 bytes, three to a page,
// 65,536 of them at the most: 16 M series.
const BLOCK_SHIFT: u32 = HEAD_BLOCK_SHIFT;
const BLOCKS_MAX: u32 = 65536;
const FOLLOWERS_AT: usize = (<usize>SERIES_BYTES) << BLOCK_SHIFT;
const BLOCK_BYTES: u32 = (SERIES_BYTES + 4) << BLOCK_SHIFT;
const directory: usize = memory.data(65536 * 4);
const table: usize = memory.data(TABLE_BYTES);
let top: u32 = 0;
let live: u32 = 0;
let tenantKeys: usize = 0; // u64, u64 by tenant; both 0: no such tenant
let tenantsMax: u32 = 0;
let blockAt: usize = 0;
let blockEnd: usize = 0;

/** `secret`: 16 bytes, as of `keyInit`. */
export function seriesInit(secret: usize): bool {
  keyInit(secret);
  return tableInit(table, 16384);
}

const TENANTS_MAX: u32 = 1 << 24;

/** Makes a tenant known under an index, before any of its series. False when the instance is full. */
export function tenantInit(index: u32, id: usize, len: u32): bool {
  if (index >= TENANTS_MAX) return false;
  if (index >= tenantsMax) {
    const more = max(<u32>256, max(index + 1, tenantsMax << 1));
    const made = reserve(more << 4);
    if (made == 0) return false;
    memory.fill(made, 0, (<usize>more) << 4);
    memory.copy(made, tenantKeys, (<usize>tenantsMax) << 4);
    tenantKeys = made;
    tenantsMax = more;
  }
  tenantKey(id, len);
  const k = tenantKeys + ((<usize>index) << 4);
  store<u64>(k, key0);
  store<u64>(k, key1, 8);
  return true;
}

/** Makes an index nobody's again. The tenant has no series any more. */
export function tenantDrop(index: u32): void {
  if (index < tenantsMax) memory.fill(tenantKeys + ((<usize>index) << 4), 0, 16);
}

/** Whether `tenantInit` was called for it, and `tenantDrop` not since. */
export function tenantExists(index: u32): bool {
  if (index >= tenantsMax) return false;
  const k = tenantKeys + ((<usize>index) << 4);
  return (load<u64>(k) | load<u64>(k, 8)) != 0;
}

// @ts-ignore: decorator
@inline export function seriesRecord(ref: u32): usize {
  return <usize>load<u32>(directory + ((<usize>(ref >> BLOCK_SHIFT)) << 2)) + <usize>(ref & 255) * SERIES_BYTES;
}

/** Where the addresses of the blocks lie, u32 each (src/wire/head-layout.ts). */
export function seriesDirectory(): usize {
  return directory;
}

/** Refs are below. */
export function seriesTop(): u32 {
  return top;
}
export function seriesLive(): u32 {
  return live;
}
export function seriesIsLive(ref: u32): bool {
  return ref < top && load<u8>(seriesRecord(ref), S_STATE) != 0;
}
export function seriesTenant(ref: u32): u32 {
  return load<u32>(seriesRecord(ref), S_TENANT);
}
export function seriesMetric(ref: u32): u32 {
  return load<u32>(seriesRecord(ref), S_METRIC);
}
export function seriesMetricHash(ref: u32): u32 {
  return load<u32>(seriesRecord(ref), S_METRIC_HASH);
}
export function seriesLastTime(ref: u32): f64 {
  return <f64>load<i64>(seriesRecord(ref), S_APPENDER + A_TIME);
}

let hash0: u64 = 0;
let hash1: u64 = 0;

/** The ref of a series, or −1; leaves the hash for seriesMake. The tenant exists. */
export function seriesFind(tenant: u32, labels: usize, len: u32): i32 {
  const k = tenantKeys + ((<usize>tenant) << 4);
  seriesKey(labels, len, load<u64>(k), load<u64>(k, 8));
  return seriesFindKey(key0, key1);
}

/** As seriesFind, by the series' key. */
function seriesFindKey(first: u64, second: u64): i32 {
  hash0 = first;
  hash1 = second;
  const tag = <u32>hash0;
  const base = <usize>load<u32>(table);
  const mask = load<u32>(table, 4);
  let slot = tag & mask;
  while (true) {
    const e = load<u64>(base + ((<usize>slot) << 3));
    const have = <u32>e;
    if (have == 0) return -1;
    if (<u32>(e >> 32) == tag) {
      const r = seriesRecord(have - 1);
      if (load<u64>(r, S_HASH) == hash0 && load<u64>(r, S_HASH + 8) == hash1) return <i32>(have - 1);
    }
    slot = (slot + 1) & mask;
  }
}

/**
 * As seriesFindKey, for the series that comes behind `last` in a request (−1: it is the first). Requests tell their series in the order
 * of the time before, so who followed then is looked at first.
 */
export function seriesFindBehind(last: i32, first: u64, second: u64): i32 {
  if (last < 0) return seriesFindKey(first, second);
  const block = <usize>load<u32>(directory + ((<usize>(<u32>last >> BLOCK_SHIFT)) << 2));
  const place = block + FOLLOWERS_AT + ((<usize>last & 255) << 2);
  const follower = load<u32>(place);
  if (follower != 0) {
    const r = seriesRecord(follower - 1);
    if (load<u64>(r, S_HASH) == first && load<u64>(r, S_HASH + 8) == second && load<u8>(r, S_STATE) != 0)
      return <i32>(follower - 1);
  }
  const found = seriesFindKey(first, second);
  if (found >= 0) store<u32>(place, <u32>found + 1);
  return found;
}

/** Room for records up to `ref`. */
function reach(ref: u32): bool {
  while (top <= ref) {
    if ((top & 255) == 0) {
      if (blockAt + BLOCK_BYTES > blockEnd) {
        blockAt = takePage();
        if (blockAt == 0) {
          blockEnd = 0;
          return false;
        }
        blockEnd = blockAt + PAGE_BYTES;
      }
      if (top >> BLOCK_SHIFT == BLOCKS_MAX) return false;
      memory.fill(blockAt, 0, BLOCK_BYTES);
      store<u32>(directory + ((<usize>(top >> BLOCK_SHIFT)) << 2), <u32>blockAt);
      blockAt += BLOCK_BYTES;
    }
    top++;
  }
  return true;
}

const METRIC: u64 = 0x5f5f656d616e5f5f; // "__name__"

/**
 * Makes the series that seriesFind did not find, as `ref` (from a log or a checkpoint) or, for −1, as the next one. The labels
 * must be canonical. −1: the instance is full.
 */
export function seriesMake(ref: i32, tenant: u32, labels: usize, len: u32, metricHash: u32): i32 {
  const h0 = hash0;
  const h1 = hash1;
  const own = ref < 0 ? top : <u32>ref;
  if (own >= top && !reach(own)) return -1;
  const r = seriesRecord(own);
  let count: u32 = 0;
  const end = labels + len;
  for (let p = labels; p < end; count++) p = skipText(skipText(p));
  const list = slabTake(4 + (count << 2));
  if (list == 0) return -1;
  store<u32>(list, count);
  store<u32>(r, 0, S_METRIC);
  let i: u32 = 0;
  for (let p = labels; p < end; i++) {
    const valueAt = skipText(p);
    const next = skipText(valueAt);
    const id = pairUse(p, <u32>(next - p), <u32>(valueAt - p));
    if (id < 0) {
      while (i > 0) pairDrop(load<u32>(list + (usize(i--) << 2)));
      slabGive(list, 4 + (count << 2));
      return -1;
    }
    store<u32>(list + ((<usize>i) << 2), id, 4);
    if (load<u8>(p) == 8 && load<u64>(p, 1) == METRIC) store<u32>(r, id, S_METRIC);
    p = next;
  }
  if (!tablePut(table, <u32>h0, own)) {
    for (let k: u32 = 1; k <= count; k++) pairDrop(load<u32>(list + ((<usize>k) << 2)));
    slabGive(list, 4 + (count << 2));
    return -1;
  }
  store<u64>(r, h0, S_HASH);
  store<u64>(r, h1, S_HASH + 8);
  store<i64>(r, i64.MIN_VALUE, S_APPENDER + A_TIME);
  store<u32>(r, 0, S_APPENDER + A_DATA);
  store<u16>(r, 0, S_APPENDER + A_COUNT);
  store<u32>(r, 0, S_APPENDER + A_ARENA);
  store<u8>(r, 1, S_STATE);
  store<u8>(r, 0, S_ASIDE);
  store<u32>(r, 0, S_CHUNKS);
  store<u32>(r, <u32>list, S_LABELS);
  store<u32>(r, tenant, S_TENANT);
  store<u32>(r, metricHash, S_METRIC_HASH);
  live++;
  return <i32>own;
}

/** Whether canonical labels from a log end where they should: what makes a series of them looks at no length. */
export function labelsAreWhole(labels: usize, len: u32): bool {
  const end = labels + len;
  start(labels);
  while (at < end) {
    for (let i = 0; i < 2; i++) {
      const from = at;
      const n = readUvarint(end);
      // skipText reads lengths in 32 bits
      if (bad || at - from > 4 || n > <u64>(end - at)) return false;
      moveTo(at + <usize>n);
    }
  }
  return true;
}

/** Past a length and as many bytes, in canonical labels. */
// @ts-ignore: decorator
@inline function skipText(p: usize): usize {
  let n = <u32>load<u8>(p++);
  if (n >= 128) {
    n &= 127;
    for (let shift: u32 = 7; ; shift += 7) {
      const b = <u32>load<u8>(p++);
      n |= (b & 127) << shift;
      if (b < 128) break;
    }
  }
  return p + n;
}

/** Forgets a series that has no chunk. Its ref is free for seriesMake with that ref. */
export function seriesDrop(ref: u32): void {
  const r = seriesRecord(ref);
  tableRemove(table, <u32>load<u64>(r, S_HASH), ref);
  const list = <usize>load<u32>(r, S_LABELS);
  const count = load<u32>(list);
  for (let k: u32 = 1; k <= count; k++) pairDrop(load<u32>(list + ((<usize>k) << 2)));
  slabGive(list, 4 + (count << 2));
  store<u8>(r, 0, S_STATE);
  live--;
}

/** Writes the canonical labels and returns their length; at most `capacity`, else 0. */
export function seriesLabels(ref: u32, out: usize, capacity: u32): u32 {
  const list = <usize>load<u32>(seriesRecord(ref), S_LABELS);
  const count = load<u32>(list);
  let o = out;
  for (let k: u32 = 1; k <= count; k++) {
    const id = load<u32>(list + ((<usize>k) << 2));
    const len = pairLen(id);
    if (<u32>(o - out) + len > capacity) return 0;
    memory.copy(o, pairBytes(id), len);
    o += len;
  }
  return <u32>(o - out);
}

/** Writes for each of `refs` its part: XXH64 of its labels mod `parts`; of refs without series 0. `scratch` has room for the longest labels. */
export function seriesParts(refs: usize, count: u32, parts: u32, scratch: usize, capacity: u32, out: usize): void {
  for (let i: usize = 0; i < <usize>count; i++) {
    const ref = load<u32>(refs + (i << 2));
    let part: u32 = 0;
    if (seriesIsLive(ref)) part = <u32>(xxh64(scratch, seriesLabels(ref, scratch, capacity)) % <u64>parts);
    store<u32>(out + (i << 2), part);
  }
}

/** The pair of a series that has this name, or −1. */
// @ts-ignore: decorator
@inline export function seriesPair(ref: u32, name: u32): i32 {
  const list = <usize>load<u32>(seriesRecord(ref), S_LABELS);
  const end = list + 4 + ((<usize>load<u32>(list)) << 2);
  for (let p = list + 4; p < end; p += 4) {
    const id = load<u32>(p);
    if (pairName(id) == name) return <i32>id;
  }
  return -1;
}
