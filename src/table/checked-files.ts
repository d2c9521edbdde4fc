const SLOTS = 4096;
/** Slots that are looked at for a file before one is given up for it. */
const PROBES = 8;

/** Files of tables that were found whole, so that each is looked at once in a process: threads share the memory. */
export class CheckedFiles {
  /** Marks of files, open addressing; 0 is free. A mark that is lost costs one look more. */
  readonly #marks: BigUint64Array;

  constructor(shared: SharedArrayBuffer = CheckedFiles.memory()) {
    this.#marks = new BigUint64Array(shared);
  }

  static memory(): SharedArrayBuffer {
    return new SharedArrayBuffer(SLOTS * BigUint64Array.BYTES_PER_ELEMENT);
  }

  has(device: bigint, inode: bigint): boolean {
    const mark = markOf(device, inode);
    for (let probe = 0; probe < PROBES; probe++) {
      if (Atomics.load(this.#marks, slotOf(mark, probe)) === mark) return true;
    }
    return false;
  }

  add(device: bigint, inode: bigint): void {
    const mark = markOf(device, inode);
    for (let probe = 0; probe < PROBES; probe++) {
      const before = Atomics.compareExchange(this.#marks, slotOf(mark, probe), 0n, mark);
      if (before === 0n || before === mark) return;
    }
    Atomics.store(this.#marks, slotOf(mark, 0), mark);
  }
}

/** Two files of the same mark: one in 2⁶⁴ pairs. */
function markOf(device: bigint, inode: bigint): bigint {
  const mixed = BigInt.asUintN(64, (inode + device * 0x9e3779b97f4a7c15n) * 0xbf58476d1ce4e5b9n);
  return mixed === 0n ? 1n : mixed;
}

function slotOf(mark: bigint, probe: number): number {
  return (Number(mark >> 40n) + probe) % SLOTS;
}
