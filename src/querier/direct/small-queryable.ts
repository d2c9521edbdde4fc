import { ascendingLabels } from '../../model/labels-order.ts';
import type { Queryable, QueryContext, SelectRequest, SeriesSet } from '../../storage/queryable.ts';
import { rowsAt } from '../../storage/series-rows.ts';
import type { OneByOne, Place } from './one-by-one.ts';

/** The query is not as small as it was taken for: a query thread has to answer it. */
export class NotSmall extends Error {}

const SERIES_MAX = 100;

/** Reads of the store's lists: what they have is kept, and lets `whole` answer for some minutes. */
export type LookAtStore = (request: SelectRequest, context: QueryContext) => Promise<void>;

/** The series of a selector where they are few, and recent samples are all that there is of them. Fails with NotSmall for others. */
export class SmallQueryable implements Queryable {
  readonly #inner: Queryable;
  readonly #turns: OneByOne;
  readonly #look: LookAtStore;
  #place: Promise<Place> | undefined;
  #taken: Place | undefined;
  #isOver = false;

  constructor(inner: Queryable, turns: OneByOne, look: LookAtStore) {
    this.#inner = inner;
    this.#turns = turns;
    this.#look = look;
  }

  async select(request: SelectRequest, context: QueryContext): Promise<SeriesSet> {
    if (request.limit || this.#inner.whole === undefined) throw new NotSmall();
    let block = await this.#inner.whole(request, context);
    if (block === undefined) {
      await this.#look(request, context);
      block = await this.#inner.whole(request, context);
    }
    if (block === undefined) throw new NotSmall();
    if (block.labels.length > SERIES_MAX) {
      block.close();
      throw new NotSmall();
    }
    await this.#enter();
    const { labels, warnings, read, rows, close } = block;
    const order = ascendingLabels(labels);
    return {
      series: Array.from(order, (index) => labels[index]!),
      warnings,
      read: (index, out) => read(order[index]!, out),
      rows: rows && rowsAt(rows, order),
      close,
    };
  }

  /** Waits until it is this query's turn to evaluate. */
  async #enter(): Promise<void> {
    this.#place ??= this.#turns.enter();
    this.#taken = await this.#place;
    if (this.#isOver) this.#taken.leave();
  }

  /** The query is through. @returns CPU time of the thread since its first samples were there, ms */
  leave(): number {
    this.#isOver = true;
    return this.#taken?.leave() ?? 0;
  }

  labelNames(): never {
    throw new NotSmall();
  }

  labelValues(): never {
    throw new NotSmall();
  }
}
