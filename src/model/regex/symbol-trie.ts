import { systemBytes } from '../../lib/random.ts';

/** Symbols of alternatives, in which those that begin alike share their beginning. Nodes are numbers; a node is made after its parent. */
export class SymbolTrie {
  count = 0;
  /** The symbol that leads to each node; ROOT for the beginning of an alternation. */
  symbols = new Int32Array(64);
  /** The root of whose alternation an alternative ends at each node; −1: none does. */
  ends = new Int32Array(64);
  firstChild = new Int32Array(64);
  nextSibling = new Int32Array(64);
  #parents = new Int32Array(64);
  /** The number of a node, counted from 1, where the hash of parent and symbol says or at the next free place. */
  #slots = new Int32Array(256);
  readonly #seed = new Int32Array(systemBytes(8).buffer);
  readonly #countMax: number;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** @throws TrieFull */
  root(): number {
    return this.#make(-1, ROOT);
  }

  /** The child that a symbol leads to, made where there is none. @throws TrieFull */
  child(parent: number, symbol: number): number {
    const mask = this.#slots.length - 1;
    let slot = this.#hash(parent, symbol) & mask;
    for (; this.#slots[slot] !== 0; slot = (slot + 1) & mask) {
      const node = this.#slots[slot]! - 1;
      if (this.#parents[node] === parent && this.symbols[node] === symbol) return node;
    }
    const node = this.#make(parent, symbol);
    this.#slots[slot] = node + 1;
    if (2 * this.count > this.#slots.length) this.#rehash();
    return node;
  }

  #make(parent: number, symbol: number): number {
    if (this.count >= this.#countMax) throw new TrieFull();
    if (this.count === this.symbols.length) this.#grow();
    const node = this.count++;
    this.symbols[node] = symbol;
    this.ends[node] = -1;
    this.firstChild[node] = -1;
    this.#parents[node] = parent;
    this.nextSibling[node] = -1;
    if (parent >= 0) {
      this.nextSibling[node] = this.firstChild[parent]!;
      this.firstChild[parent] = node;
    }
    return node;
  }

  #grow(): void {
    const size = 2 * this.symbols.length;
    this.symbols = grown(this.symbols, size);
    this.ends = grown(this.ends, size);
    this.firstChild = grown(this.firstChild, size);
    this.nextSibling = grown(this.nextSibling, size);
    this.#parents = grown(this.#parents, size);
  }

  #rehash(): void {
    const slots = new Int32Array(2 * this.#slots.length);
    const mask = slots.length - 1;
    for (let node = 0; node < this.count; node++) {
      if (this.#parents[node]! < 0) continue;
      let slot = this.#hash(this.#parents[node]!, this.symbols[node]!) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = node + 1;
    }
    this.#slots = slots;
  }

  #hash(parent: number, symbol: number): number {
    return mixed(Math.imul(parent ^ this.#seed[0]!, 0x9e3779b1) ^ Math.imul(symbol ^ this.#seed[1]!, 0x85ebca6b));
  }
}

/** The pattern has more symbols than there may be. */
export class TrieFull extends Error {}

/** The symbol of no node but roots. */
export const ROOT = -1;

export function grown(from: Int32Array, size: number): Int32Array<ArrayBuffer> {
  const to = new Int32Array(size);
  to.set(from);
  return to;
}

/** All bits of a hash in all of it. */
export function mixed(hash: number): number {
  let next = hash ^ (hash >>> 16);
  next = Math.imul(next, 0x7feb352d);
  next ^= next >>> 15;
  next = Math.imul(next, 0x846ca68b);
  return next ^ (next >>> 16);
}
