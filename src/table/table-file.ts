import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

// A table's file as LMDB lays it out (mdb.c of lmdb-js 3, data version 2; numbers are little-endian):
//   page: u64 page number · u64 transaction · u16 pad · u16 flags · u16 lower · u16 upper (overflow: u32 pages in the run) · body
//   meta, in the bodies of pages 0 and 1: u32 magic · u32 version · u64 address · u64 map size · free db · main db · u64 last page ·
//   u64 transaction
//   db: u32 page size (free db only) · u16 flags · u16 depth · u64 branch, leaf, overflow pages · u64 entries · u64 root
//   branch and leaf bodies: u16 offsets of nodes, behind the header, `lower` bytes of them; nodes lie from `upper` on
//   node: u32 bytes of data (branch: 48 bits of a page number, with the flags) · u16 flags · u16 bytes of the key · key · data
//   data on overflow pages: u64 first page · u64 transaction · u64 pages
// LMDB maps the file and believes every number in it: one that is wrong ends the process. So they are looked at first.

const HEADER = 24;
const META_BYTES = 136;
const MAGIC = 0xbeefc0de;
const DATA_VERSION = 2;
const NODE_HEADER = 8;
const OVERFLOW_REF = 24;
const BRANCH = 0x01;
const LEAF = 0x02;
const OVERFLOW = 0x04;
const META = 0x08;
const BIG_DATA = 0x01;
const DEPTH_MAX = 32;
const NO_PAGE = 2 ** 64;
/** Two metas that name different transactions: a writer was at work, its pages may have been used again since. */
const TRIES_MAX = 4;

interface Tree {
  readonly depth: number;
  /** `NO_PAGE`: the tree is empty. */
  readonly root: number;
}

interface Meta {
  readonly pageBytes: number;
  readonly free: Tree;
  readonly main: Tree;
  readonly lastPage: number;
  readonly transaction: number;
}

class Fault extends Error {}

/**
 * Looks for what would end a process that maps the file: a cut, and pages that are none. Trees are walked level by level, at most
 * `pagesMax` pages of them; all of them where the file is shorter than its last page, which is no fault by itself.
 * @returns what is wrong, or undefined
 */
export function tableFileFault(path: string, pagesMax: number): string | undefined {
  const fd = openSync(path, 'r');
  try {
    if (!fstatSync(fd).isFile()) return 'it is no file';
    for (let tries = 1; ; tries++) {
      const before = lastTransaction(fd);
      try {
        walkFile(fd, pagesMax);
        return undefined;
      } catch (thrown) {
        if (!(thrown instanceof Fault)) throw thrown;
        // pages that a commit made free meanwhile hold something else now
        if (lastTransaction(fd) === before) return thrown.message;
        if (tries === TRIES_MAX) return undefined; // a writer that has it open found it whole
      }
    }
  } finally {
    closeSync(fd);
  }
}

function lastTransaction(fd: number): number | undefined {
  try {
    return newestMeta(fd, fstatSync(fd).size).transaction;
  } catch {
    return undefined;
  }
}

function walkFile(fd: number, pagesMax: number): void {
  const bytes = fstatSync(fd).size;
  const meta = newestMeta(fd, bytes);
  const pages = Math.floor(bytes / meta.pageBytes);
  const walk = new Walk(fd, meta, Math.min(pages, meta.lastPage + 1));
  // pages that are free need not be in the file: whether a missing one is free, only the whole walk tells
  walk.left = pages <= meta.lastPage ? Number.POSITIVE_INFINITY : pagesMax;
  walk.tree(meta.free, 'free');
  walk.tree(meta.main, 'main');
}

function newestMeta(fd: number, bytes: number): Meta {
  if (bytes === 0) throw new Fault('it is empty');
  const first = metaAt(fd, 0, 0);
  const second = metaAt(fd, first.pageBytes, 1);
  if (second.pageBytes !== first.pageBytes) throw new Fault('its two heads differ in the size of pages');
  const meta = first.transaction > second.transaction ? first : second;
  for (const { depth, root } of [meta.free, meta.main]) {
    if (root === NO_PAGE ? depth !== 0 : depth === 0 || depth > DEPTH_MAX || root < 2 || root > meta.lastPage) {
      throw new Fault(`its head names page ${root} of ${meta.lastPage + 1} as the root of ${depth} levels`);
    }
  }
  return meta;
}

function metaAt(fd: number, position: number, number: number): Meta {
  const bytes = Buffer.alloc(HEADER + META_BYTES);
  if (readSync(fd, bytes, 0, bytes.length, position) < bytes.length) throw new Fault('it is cut within its head');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const flags = view.getUint16(18, true);
  if (u64(view, 0) !== number || (flags & META) === 0 || view.getUint32(HEADER, true) !== MAGIC) {
    throw new Fault(`its head ${number + 1} of 2 is none`);
  }
  const version = view.getUint32(HEADER + 4, true) & 0xffff;
  if (version !== DATA_VERSION) throw new Fault(`its head is of version ${version}, not ${DATA_VERSION}`);
  const pageBytes = view.getUint32(HEADER + 24, true);
  if (pageBytes < 512 || pageBytes > 65_536 || (pageBytes & (pageBytes - 1)) !== 0) {
    throw new Fault(`its head says pages of ${pageBytes} bytes`);
  }
  const tree = (at: number) => ({ depth: view.getUint16(at + 6, true), root: u64(view, at + 40) });
  return {
    pageBytes,
    free: tree(HEADER + 24),
    main: tree(HEADER + 72),
    lastPage: u64(view, HEADER + 120),
    transaction: u64(view, HEADER + 128),
  };
}

/** One look at a file: no page is met twice. */
class Walk {
  /** Pages that may still be read. */
  left = 0;
  readonly #fd: number;
  readonly #meta: Meta;
  readonly #pages: number;
  readonly #met: Uint8Array;
  readonly #page: Buffer;
  readonly #view: DataView;

  constructor(fd: number, meta: Meta, pages: number) {
    this.#fd = fd;
    this.#meta = meta;
    this.#pages = pages;
    this.#met = new Uint8Array(Math.ceil(pages / 8));
    this.#page = Buffer.alloc(meta.pageBytes);
    this.#view = new DataView(this.#page.buffer, this.#page.byteOffset, meta.pageBytes);
  }

  tree({ depth, root }: Tree, kind: 'free' | 'main'): void {
    if (root === NO_PAGE) return;
    let level = [root];
    for (let at = 1; at <= depth; at++) {
      const below: number[] = [];
      for (const number of level) {
        this.#meet(number, 1);
        if (this.left-- <= 0) return;
        this.#read(number, at < depth ? BRANCH : LEAF);
        this.#nodes(number, at < depth ? below : undefined, kind);
      }
      level = below;
    }
  }

  #meet(from: number, count: number): void {
    if (from < 2 || count < 1 || from + count > this.#pages) {
      throw new Fault(`it has ${this.#pages} pages, and is cut before page ${from + count - 1}`);
    }
    for (let number = from; number < from + count; number++) {
      const bit = 1 << (number & 7);
      if ((this.#met[number >> 3]! & bit) !== 0) throw new Fault(`two places name its page ${number}`);
      this.#met[number >> 3]! |= bit;
    }
  }

  #read(number: number, kind: number, bytes = this.#meta.pageBytes): void {
    const got = readSync(this.#fd, this.#page, 0, bytes, number * this.#meta.pageBytes);
    if (got < bytes) throw new Fault(`it is cut within page ${number}`);
    if (u64(this.#view, 0) !== number || this.#view.getUint16(18, true) !== kind) {
      throw new Fault(`its page ${number} is overwritten`);
    }
  }

  /** @param below takes a branch's children; absent: a leaf */
  #nodes(number: number, below: number[] | undefined, kind: 'free' | 'main'): void {
    const view = this.#view;
    const body = this.#meta.pageBytes - HEADER;
    const lower = view.getUint16(20, true);
    const upper = view.getUint16(22, true);
    const bad = () => new Fault(`its page ${number} is overwritten`);
    if (lower > upper || upper > body || lower % 2 !== 0 || lower < (below === undefined ? 2 : 4)) throw bad();
    /** Values on pages of their own; looked at when this page is through, for there is one buffer. */
    const big: { readonly page: number; readonly pages: number; readonly bytes: number }[] = [];
    for (let i = 0; i < lower; i += 2) {
      const offset = view.getUint16(HEADER + i, true);
      if (offset < upper || offset + NODE_HEADER > body) throw bad();
      const at = HEADER + offset;
      const flags = view.getUint16(at + 4, true);
      const keyBytes = view.getUint16(at + 6, true);
      const dataBytes = view.getUint32(at, true);
      const dataAt = offset + NODE_HEADER + keyBytes;
      if (dataAt > body) throw bad();
      if (below !== undefined) {
        below.push(dataBytes + flags * 2 ** 32);
      } else if (flags === BIG_DATA) {
        if (dataAt + OVERFLOW_REF > body) throw bad();
        const page = u64(view, HEADER + dataAt);
        const pages = u64(view, HEADER + dataAt + 16); // more than needed where a longer value lay there
        if (pages < Math.floor((HEADER - 1 + dataBytes) / this.#meta.pageBytes) + 1) throw bad();
        big.push({ page, pages, bytes: dataBytes });
      } else {
        if (flags !== 0 || dataAt + dataBytes > body) throw bad();
        if (kind === 'free') this.#freePages(number, HEADER + dataAt, dataBytes);
      }
    }
    for (const { page, pages, bytes } of big) {
      this.#meet(page, pages);
      if (this.left-- <= 0) return;
      this.#read(page, OVERFLOW, HEADER);
      if (view.getUint32(20, true) !== pages) throw new Fault(`its page ${page} is overwritten`);
      if (kind === 'free') this.#freeRun(page, bytes);
    }
  }

  /** A list of free pages on pages of its own, part by part. */
  #freeRun(page: number, bytes: number): void {
    const { pageBytes } = this.#meta;
    let left = 0;
    for (let at = 0; at < bytes; at += pageBytes) {
      const part = Math.min(pageBytes, bytes - at);
      const got = readSync(this.#fd, this.#page, 0, part, page * pageBytes + HEADER + at);
      if (got < part) throw new Fault(`it is cut within page ${page}`);
      if (at === 0) left = this.#freeCount(page, 0, bytes);
      left = this.#freeEntries(page, at === 0 ? 8 : 0, part, left);
    }
  }

  #freePages(number: number, at: number, bytes: number): void {
    this.#freeEntries(number, at + 8, at + bytes, this.#freeCount(number, at, bytes));
  }

  /** Entries of a list of free pages; what lies behind them was set aside and is not used. */
  #freeCount(number: number, at: number, bytes: number): number {
    const count = bytes < 8 ? Number.NaN : u64(this.#view, at);
    if (!(count * 8 + 8 <= bytes)) throw new Fault(`its page ${number} is overwritten`);
    return count;
  }

  /** An entry is a page number, or negative: how many pages follow in a row. @returns how many entries are left */
  #freeEntries(number: number, from: number, before: number, count: number): number {
    let left = count;
    for (let at = from; at + 8 <= before && left > 0; at += 8, left--) {
      const entry = this.#view.getBigInt64(at, true);
      const pages = Number(entry < 0n ? -entry : entry);
      if (pages > this.#meta.lastPage + 1) throw new Fault(`its page ${number} is overwritten`);
    }
    return left;
  }
}

function u64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}
