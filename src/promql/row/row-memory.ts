/**
 * Loops over floats that run outside of JavaScript (kernel/rows.ts), and the memory they see. Pointers are byte offsets into it;
 * booleans are answered as 0 or 1.
 */
export interface RowKernel {
  /** Stays the same for good: an array lies in the memory when this is its buffer. */
  readonly buffer: ArrayBufferLike;
  readonly loops: RowLoops;
  /** Aligned to 16; undefined where there is no room. */
  take(bytes: number): number | undefined;
  giveBack(at: number): void;
}

export interface RowLoops {
  rowDrops(values: number, count: number): number;
  rowGather(values: number, at: number, count: number, out: number): void;
  rowCount(counts: number, count: number): void;
  rowAdd(values: number, sums: number, lost: number, count: number): void;
  rowOverflows(values: number, sums: number, count: number): number;
  rowRate(
    values: number,
    from: number,
    to: number,
    table: number,
    columnBytes: number,
    rangeSeconds: number,
    counter: boolean,
    pairs: boolean,
    count: number,
    out: number,
  ): void;
}

/** Small arrays lie together in pieces of this size. */
const PIECE_BYTES = 64 * 1024;

/**
 * The arrays of one running query that hot loops work on: in a kernel's memory where there is one and it has room, else JavaScript's own.
 * After `close` other queries have that memory. Nothing of a query may work on once it has ended, and nothing that outlives it may lie here.
 */
export class RowMemory {
  readonly #kernel: RowKernel | undefined;
  readonly #taken: number[] = [];
  #next = 0;
  #end = 0;
  #closed = false;

  constructor(kernel?: RowKernel) {
    this.#kernel = kernel;
  }

  /** All 0. */
  floats(count: number): Float64Array {
    const at = this.#take(count * 8);
    return at === undefined ? new Float64Array(count) : new Float64Array(this.#kernel!.buffer, at, count).fill(0);
  }

  /** All 0. */
  ints(count: number): Int32Array {
    const at = this.#take(count * 4);
    return at === undefined ? new Int32Array(count) : new Int32Array(this.#kernel!.buffer, at, count).fill(0);
  }

  /** The loops, if all of these arrays lie where they can see them: name each one whose place they are told. */
  loopsOver(
    a: ArrayBufferView,
    b: ArrayBufferView = a,
    c: ArrayBufferView = a,
    d: ArrayBufferView = a,
    e: ArrayBufferView = a,
  ): RowLoops | undefined {
    const kernel = this.#kernel;
    if (kernel === undefined) return undefined;
    const { buffer } = kernel;
    const seesAll =
      a.buffer === buffer && b.buffer === buffer && c.buffer === buffer && d.buffer === buffer && e.buffer === buffer;
    return seesAll ? kernel.loops : undefined;
  }

  close(): void {
    this.#closed = true;
    for (const at of this.#taken) this.#kernel!.giveBack(at);
    this.#taken.length = 0;
  }

  #take(bytes: number): number | undefined {
    if (this.#kernel === undefined) return undefined;
    if (this.#closed) throw new Error('bug: a query goes on after its end');
    const size = (bytes + 15) & ~15;
    if (size > this.#end - this.#next) {
      const piece = Math.max(size, PIECE_BYTES);
      const at = this.#kernel.take(piece);
      if (at === undefined) return undefined;
      this.#taken.push(at);
      if (size >= PIECE_BYTES) return at;
      this.#next = at;
      this.#end = at + piece;
    }
    const at = this.#next;
    this.#next += size;
    return at;
  }
}

/** Where nothing runs outside of JavaScript. */
export const PLAIN_MEMORY = new RowMemory();
