import { getOrMake } from '../../lib/map.ts';
import type { Labels } from '../../model/labels.ts';
import type { QueryBudget } from '../../storage/queryable.ts';

/** A value in V8: two strings' pointers, a number, a hash entry. */
const ENTRY_BYTES = 96;

export interface LabelCountsOptions {
  /** Values of all labels together that are counted at a time. */
  readonly valuesMax: number;
  readonly budget: Pick<QueryBudget, 'addMemory'>;
}

/**
 * Series of each label's values. Where there are more values than fit, those with the fewest series make room, and `errorMax` says by
 * how much a count may be too small.
 */
export class LabelCounts {
  readonly #options: LabelCountsOptions;
  /** By label, then by value. */
  readonly #counts = new Map<string, Map<string, number>>();
  /** Values of a label that made room; one that came back is counted again. */
  readonly #gone = new Map<string, number>();
  #values = 0;
  #bytes = 0;
  series = 0;
  /** Distinct pairs of a label and its value. */
  pairs = 0;
  errorMax = 0;

  constructor(options: LabelCountsOptions) {
    this.#options = options;
  }

  add({ pairs }: Labels): void {
    this.series++;
    for (let i = 0; i < pairs.length; i += 2) this.#count(pairs[i]!, pairs[i + 1]!);
  }

  #count(name: string, value: string): void {
    const own = getOrMake(this.#counts, name, () => new Map<string, number>());
    const before = own.get(value);
    if (before !== undefined) {
      own.set(value, before + 1);
      return;
    }
    own.set(value, 1);
    this.pairs++;
    this.#hold(ENTRY_BYTES + 2 * value.length);
    if (++this.#values > this.#options.valuesMax) this.#makeRoom();
  }

  /** Leaves out the smaller half. */
  #makeRoom(): void {
    const sorted = Float64Array.from([...this.#counts.values()].flatMap((own) => [...own.values()])).sort();
    const least = sorted[sorted.length >> 1]!;
    this.errorMax += least;
    for (const [name, own] of this.#counts) {
      let left = 0;
      for (const [value, count] of own) {
        if (count > least) continue;
        own.delete(value);
        left++;
        this.#hold(-(ENTRY_BYTES + 2 * value.length));
      }
      this.#values -= left;
      if (left > 0) this.#gone.set(name, (this.#gone.get(name) ?? 0) + left);
    }
  }

  /** Takes a label as it was counted before, with the number of its values that made room then. */
  restore(name: string, values: Map<string, number>, gone: number): void {
    let bytes = 0;
    for (const value of values.keys()) bytes += ENTRY_BYTES + 2 * value.length;
    this.#hold(bytes);
    this.#counts.set(name, values);
    this.#values += values.size;
    if (gone > 0) this.#gone.set(name, gone);
  }

  #hold(bytes: number): void {
    this.#bytes += bytes;
    this.#options.budget.addMemory(bytes);
  }

  /** Lets go of what it holds. */
  close(): void {
    this.#hold(-this.#bytes);
    this.#counts.clear();
  }

  labels(): IterableIterator<string> {
    return this.#counts.keys();
  }

  /** Values of a label; more than there are where some made room and came back. */
  valuesOf(name: string): number {
    return (this.#counts.get(name)?.size ?? 0) + (this.#gone.get(name) ?? 0);
  }

  /** Series that have a value of the label. */
  seriesOf(name: string, value: string): number {
    return this.#counts.get(name)?.get(value) ?? 0;
  }

  /** The values of a label with the series of each. */
  of(name: string): ReadonlyMap<string, number> {
    return this.#counts.get(name) ?? NONE;
  }
}

const NONE: ReadonlyMap<string, number> = new Map();
