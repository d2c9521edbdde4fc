import { sipHash } from './hash';
import { PAGE_BYTES, takePage } from './pages';
import { slabGive, slabTake } from './slab';
import { TABLE_BYTES, tableInit, tablePut, tableRemove } from './table';

// Label pairs, each kept once: a series is a list of pair ids (4 bytes a label), and a matcher is evaluated once for every
// distinct pair. A pair's bytes are its part of the canonical labels: uvarint length, name, uvarint length, value. A name has
// an entry too: only the first half.

const P_HASH: usize = 0; // u64
const P_REFS: usize = 8; // u32
const P_LEN: usize = 12; // u16, of the bytes
const P_NAME_LEN: usize = 14; // u16, of the first half
const P_BYTES: usize = 16;

// the directory: pages of 8,192 entries of 8 bytes: u32 record (0: free, then the second word is the next free id), u32 name id
const DIR_SHIFT: u32 = 13;
const directory: usize = memory.data(4096 * 4);
const table: usize = memory.data(TABLE_BYTES);
let top: u32 = 0;
let freeId: u32 = 0xffffffff;

const K0: u64 = 0x7061697273203031;
let k1: u64 = 0;

export function pairsInit(secret: u64): bool {
  k1 = secret;
  return tableInit(table, 8192);
}

// @ts-ignore: decorator
@inline function entry(id: u32): usize {
  return <usize>load<u32>(directory + ((<usize>(id >> DIR_SHIFT)) << 2)) + ((<usize>(id & 8191)) << 3);
}

// @ts-ignore: decorator
@inline export function pairRecord(id: u32): usize {
  return <usize>load<u32>(entry(id));
}

/** The id of the entry that holds the pair's name. */
// @ts-ignore: decorator
@inline export function pairName(id: u32): u32 {
  return load<u32>(entry(id), 4);
}

/** Ids are below. */
export function pairTop(): u32 {
  return top;
}
export function pairBytes(id: u32): usize {
  return pairRecord(id) + P_BYTES;
}
export function pairLen(id: u32): u32 {
  return load<u16>(pairRecord(id), P_LEN);
}
export function pairNameLen(id: u32): u32 {
  return load<u16>(pairRecord(id), P_NAME_LEN);
}

function equal(a: usize, b: usize, len: u32): bool {
  let i: u32 = 0;
  for (; i + 8 <= len; i += 8) if (load<u64>(a + i) != load<u64>(b + i)) return false;
  for (; i < len; i++) if (load<u8>(a + i) != load<u8>(b + i)) return false;
  return true;
}

/** The id of these bytes, or −1. */
export function pairFind(p: usize, len: u32): i32 {
  return find(p, len, sipHash(p, len, K0, k1));
}

function find(p: usize, len: u32, hash: u64): i32 {
  const tag = <u32>hash;
  const base = <usize>load<u32>(table);
  const mask = load<u32>(table, 4);
  let slot = tag & mask;
  while (true) {
    const e = base + ((<usize>slot) << 3);
    const have = load<u32>(e);
    if (have == 0) return -1;
    if (load<u32>(e, 4) == tag) {
      const r = pairRecord(have - 1);
      if (load<u64>(r, P_HASH) == hash && load<u16>(r, P_LEN) == len && equal(r + P_BYTES, p, len))
        return <i32>(have - 1);
    }
    slot = (slot + 1) & mask;
  }
}

/** Counts one more use of the pair, made when it is new. `nameLen` is the length of the first half. −1: the instance is full. */
export function pairUse(p: usize, len: u32, nameLen: u32): i32 {
  const hash = sipHash(p, len, K0, k1);
  const found = find(p, len, hash);
  if (found >= 0) {
    const r = pairRecord(found);
    store<u32>(r, load<u32>(r, P_REFS) + 1, P_REFS);
    return found;
  }
  const name = len > nameLen ? pairUse(p, nameLen, nameLen) : 0;
  if (name < 0) return -1;
  const id = make(p, len, nameLen, hash);
  if (id < 0) {
    if (len > nameLen) pairDrop(name);
    return -1;
  }
  store<u32>(entry(id), len > nameLen ? name : id, 4);
  return id;
}

function make(p: usize, len: u32, nameLen: u32, hash: u64): i32 {
  const r = slabTake(<u32>P_BYTES + len);
  if (r == 0) return -1;
  let id = freeId;
  if (id != 0xffffffff) {
    freeId = load<u32>(entry(id), 4);
  } else {
    if ((top & 8191) == 0) {
      const page = takePage();
      if (page == 0 || top >> DIR_SHIFT == 4096) {
        slabGive(r, <u32>P_BYTES + len);
        return -1;
      }
      memory.fill(page, 0, PAGE_BYTES);
      store<u32>(directory + ((<usize>(top >> DIR_SHIFT)) << 2), <u32>page);
    }
    id = top++;
  }
  if (!tablePut(table, <u32>hash, id)) {
    store<u32>(entry(id), freeId, 4);
    freeId = id;
    slabGive(r, <u32>P_BYTES + len);
    return -1;
  }
  store<u32>(entry(id), <u32>r);
  store<u64>(r, hash, P_HASH);
  store<u32>(r, 1, P_REFS);
  store<u16>(r, <u16>len, P_LEN);
  store<u16>(r, <u16>nameLen, P_NAME_LEN);
  memory.copy(r + P_BYTES, p, len);
  return <i32>id;
}

/** Takes one use back; a pair that nobody uses goes, and its id is used again. */
export function pairDrop(id: u32): void {
  const e = entry(id);
  const r = <usize>load<u32>(e);
  const refs = load<u32>(r, P_REFS) - 1;
  store<u32>(r, refs, P_REFS);
  if (refs > 0) return;
  const name = load<u32>(e, 4);
  tableRemove(table, <u32>load<u64>(r, P_HASH), id);
  slabGive(r, <u32>P_BYTES + load<u16>(r, P_LEN));
  store<u32>(e, 0);
  store<u32>(e, freeId, 4);
  freeId = id;
  if (name != id) pairDrop(name);
}
