import { reserve } from './memory';
import { givePage, PAGE_BYTES } from './pages';

// Open addressing with linear probing: entries of 8 bytes, u32 id + 1 (0: empty) and u32 tag. The tag is part of the key's
// hash and says by itself where an entry belongs, so a table grows and shrinks without looking at keys.
// A table is 12 bytes: u32 entries, u32 mask, u32 count.

export const TABLE_BYTES: u32 = 12;

export function tableInit(table: usize, capacity: u32): bool {
  const base = reserve(capacity << 3);
  if (base == 0) return false;
  memory.fill(base, 0, capacity << 3);
  store<u32>(table, <u32>base);
  store<u32>(table, capacity - 1, 4);
  store<u32>(table, 0, 8);
  return true;
}

/** Puts an id that is not there yet. False when the instance is full. */
export function tablePut(table: usize, tag: u32, id: u32): bool {
  const count = load<u32>(table, 8) + 1;
  const mask = load<u32>(table, 4);
  if (<u64>count * 10 > <u64>(mask + 1) * 7 && !grow(table)) return false;
  place(<usize>load<u32>(table), load<u32>(table, 4), tag, id);
  store<u32>(table, count, 8);
  return true;
}

function place(base: usize, mask: u32, tag: u32, id: u32): void {
  let slot = tag & mask;
  while (load<u32>(base + ((<usize>slot) << 3)) != 0) slot = (slot + 1) & mask;
  store<u32>(base + ((<usize>slot) << 3), id + 1);
  store<u32>(base + ((<usize>slot) << 3), tag, 4);
}

function grow(table: usize): bool {
  const old = <usize>load<u32>(table);
  const oldBytes = (<usize>load<u32>(table, 4) + 1) << 3;
  const count = load<u32>(table, 8);
  if (!tableInit(table, <u32>(oldBytes >> 2))) return false;
  const base = <usize>load<u32>(table);
  const mask = load<u32>(table, 4);
  for (let p = old; p < old + oldBytes; p += 8) {
    const id = load<u32>(p);
    if (id != 0) place(base, mask, load<u32>(p, 4), id - 1);
  }
  store<u32>(table, count, 8);
  // what the old entries took becomes pages
  for (let p = old; p + PAGE_BYTES <= old + oldBytes; p += PAGE_BYTES) givePage(p);
  return true;
}

export function tableRemove(table: usize, tag: u32, id: u32): void {
  const base = <usize>load<u32>(table);
  const mask = load<u32>(table, 4);
  let slot = tag & mask;
  for (;;) {
    const have = load<u32>(base + ((<usize>slot) << 3));
    if (have == 0) return;
    if (have == id + 1) break;
    slot = (slot + 1) & mask;
  }
  // whatever follows and may stand here moves up, so that no probe finds a hole before its entry
  let hole = slot;
  for (;;) {
    slot = (slot + 1) & mask;
    const p = base + ((<usize>slot) << 3);
    if (load<u32>(p) == 0) break;
    const home = load<u32>(p, 4) & mask;
    if (((slot - home) & mask) >= ((slot - hole) & mask)) {
      store<u64>(base + ((<usize>hole) << 3), load<u64>(p));
      hole = slot;
    }
  }
  store<u64>(base + ((<usize>hole) << 3), 0);
  store<u32>(table, load<u32>(table, 8) - 1, 8);
}
