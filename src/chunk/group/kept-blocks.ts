import { uncountedBytes } from '../../lib/uncounted-bytes.ts';

interface Kept {
  readonly raw: Uint8Array;
  /** The look that found it last. */
  usedAt: number;
}

/** A block that nobody looked for while each of the kept ones could have been so many times may go. */
const LOOKS_UNUSED = 4;

/**
 * Inflated blocks outside of kernel memory. Series that are read one after another over more blocks than the kernel has room for come to each
 * block again just after it was lost, and then it would be inflated for each series.
 *
 * Only blocks that were lost before are kept; where there is no room for another one, those that are kept stay, for in a round through all
 * blocks whatever came last is needed last.
 */
export class KeptBlocks<Source extends object> {
  readonly #bytesMax: number;
  readonly #kept = new Map<Source, Kept>();
  #lost = new WeakSet<Source>();
  #bytes = 0;
  #looks = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The block is in kernel memory no more. */
  lost(source: Source): void {
    this.#lost.add(source);
  }

  of(source: Source): Uint8Array | undefined {
    this.#looks++;
    const kept = this.#kept.get(source);
    if (kept === undefined) return undefined;
    kept.usedAt = this.#looks;
    return kept.raw;
  }

  /** @param raw copied where it is kept */
  offer(source: Source, raw: Uint8Array): void {
    if (!this.#lost.has(source)) return;
    if (this.#bytes + raw.length > this.#bytesMax) this.#dropUnused();
    if (this.#bytes + raw.length > this.#bytesMax) return;
    const own = uncountedBytes(raw.length);
    own.set(raw);
    this.#kept.set(source, { raw: own, usedAt: this.#looks });
    this.#bytes += raw.length;
  }

  /** Drops the one that is looked at now, if nobody needs it; else another one is looked at the next time. */
  #dropUnused(): void {
    const [first] = this.#kept;
    if (first === undefined) return;
    const [source, kept] = first;
    this.#kept.delete(source);
    if (this.#looks - kept.usedAt > LOOKS_UNUSED * (this.#kept.size + 1)) this.#bytes -= kept.raw.length;
    else this.#kept.set(source, kept);
  }

  clear(): void {
    this.#kept.clear();
    this.#lost = new WeakSet();
    this.#bytes = 0;
  }
}
