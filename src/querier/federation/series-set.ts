import { Labels } from '../../model/labels.ts';
import { ascendingLabels } from '../../model/labels-order.ts';
import { SampleColumns } from '../../storage/columns.ts';
import { mergeColumns } from '../../storage/merge-columns.ts';
import type { QueryBudget, SelectRequest, SeriesSet } from '../../storage/queryable.ts';

/** Memory of a series' labels with its tenant among them: the names and values are shared with those without. */
const SERIES_BYTES = 100;
const LABEL_BYTES = 16;

/** The series of several tenants, as they are taken in. */
export class FoundSeries {
  readonly #budget: QueryBudget;
  readonly #labels: Labels[] = [];
  /** The (set, index) pair of each series. */
  readonly #at: number[] = [];
  readonly #sets: SeriesSet[] = [];
  #heldBytes = 0;

  constructor(budget: QueryBudget) {
    this.#budget = budget;
  }

  /** @returns the place of the set, for `add` */
  addSet(set: SeriesSet): number {
    return this.#sets.push(set) - 1;
  }

  add(set: number, index: number, labels: Labels): void {
    const bytes = SERIES_BYTES + LABEL_BYTES * labels.size;
    this.#heldBytes += bytes;
    this.#budget.addMemory(bytes);
    this.#labels.push(labels);
    this.#at.push(set, index);
  }

  /** All of them as one set, which closes theirs. */
  finish(request: SelectRequest, warnings: readonly string[]): SeriesSet {
    return new FederatedSet(this.#labels, this.#at, this.#sets, request, warnings, () => this.close());
  }

  close(): void {
    for (const set of this.#sets.splice(0)) set.close();
    this.#budget.addMemory(-this.#heldBytes);
    this.#heldBytes = 0;
  }
}

class FederatedSet implements SeriesSet {
  readonly series: readonly Labels[];
  readonly warnings: readonly string[];
  readonly close: () => void;
  readonly #sets: readonly SeriesSet[];
  readonly #at: readonly number[];
  /** Places of `at`, in the order of their series. */
  readonly #order: Uint32Array;
  /** Where in `order` each series begins, and behind them where the last ends: of a few there are several parts. */
  readonly #starts: Uint32Array;
  readonly #request: SelectRequest;
  readonly #columns: SampleColumns[] = [];

  constructor(
    labels: readonly Labels[],
    at: readonly number[],
    sets: readonly SeriesSet[],
    request: SelectRequest,
    warnings: readonly string[],
    close: () => void,
  ) {
    const order = ascendingLabels(labels);
    const starts = startsOf(labels, order);
    const { limit = 0 } = request;
    const count = limit === 0 ? starts.length - 1 : Math.min(limit, starts.length - 1);
    this.series = Array.from(starts.subarray(0, count), (start) => labels[order[start]!]!);
    this.warnings = warnings;
    this.close = close;
    this.#sets = sets;
    this.#at = at;
    this.#order = order;
    this.#starts = starts;
    this.#request = request;
  }

  read(index: number, out: SampleColumns): void {
    const start = this.#starts[index]!;
    const end = this.#starts[index + 1]!;
    if (end === start + 1) {
      this.#readPart(start, out);
      return;
    }
    const parts: SampleColumns[] = [];
    for (let place = start; place < end; place++) {
      this.#columns[place - start] ??= new SampleColumns();
      const columns = this.#columns[place - start]!;
      this.#readPart(place, columns);
      parts.push(columns);
    }
    mergeColumns(parts, this.#request.startMs, this.#request.endMs, out);
  }

  #readPart(place: number, out: SampleColumns): void {
    const i = 2 * this.#order[place]!;
    this.#sets[this.#at[i]!]!.read(this.#at[i + 1]!, out);
  }
}

/** Where each series begins in an order in which equal labels stand beside each other, and the end. */
function startsOf(labels: readonly Labels[], order: Uint32Array): Uint32Array {
  const starts = new Uint32Array(order.length + 1);
  let count = 0;
  for (let place = 0; place < order.length; place++) {
    if (place > 0 && Labels.compare(labels[order[place - 1]!]!, labels[order[place]!]!) === 0) continue;
    starts[count++] = place;
  }
  starts[count++] = order.length;
  return starts.subarray(0, count);
}
