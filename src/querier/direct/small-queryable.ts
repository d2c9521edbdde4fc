import { ascendingLabels } from '../../model/labels-order.ts';
import type { Queryable, QueryContext, SelectRequest, SeriesSet } from '../../storage/queryable.ts';
import { rowsAt } from '../../storage/series-rows.ts';
import type { WholeBlock } from '../../storage/series-stream.ts';
import type { OneByOne, Place, WorkMeter } from './one-by-one.ts';

/** The query is not as small as it was taken for: a query thread has to answer it. */
export class NotSmall extends Error {}

const SERIES_MAX = 100;

/** Reads of the store's lists: what they have is kept, and lets `whole` answer for some minutes. @returns false where it may not look now */
export type LookAtStore = (request: SelectRequest, context: QueryContext) => Promise<boolean>;

export interface SmallQueryableOptions {
  readonly inner: Queryable;
  readonly turns: OneByOne;
  readonly meter: WorkMeter;
  readonly look: LookAtStore;
  /** Whether the tenant has something left of what it may use. */
  readonly mayWork: () => boolean;
}

/** The series of a selector where they are few, and recent samples are all that there is of them. Fails with NotSmall for others. */
export class SmallQueryable implements Queryable {
  readonly #options: SmallQueryableOptions;
  /** Selects that wait for samples; those that have them wait for these. */
  #under = 0;
  #allThere: PromiseWithResolvers<void> | undefined;
  #entering: Promise<void> | undefined;
  #place: Place | undefined;
  #isOver = false;
  #isCrowded = false;

  constructor(options: SmallQueryableOptions) {
    this.#options = options;
  }

  /** Whether it failed as others were at work: it may be small all the same. */
  get isCrowded(): boolean {
    return this.#isCrowded;
  }

  async select(request: SelectRequest, context: QueryContext): Promise<SeriesSet> {
    // others evaluate while this one waits
    this.#leave();
    if (this.#under++ === 0) this.#allThere = Promise.withResolvers();
    let block: WholeBlock;
    try {
      block = await this.#found(request, context);
    } finally {
      if (--this.#under === 0) this.#allThere!.resolve();
    }
    try {
      if (block.labels.length > SERIES_MAX) throw new NotSmall();
      while (this.#under > 0) await this.#allThere!.promise;
      this.#entering ??= this.#enter(context.signal);
      await this.#entering;
    } catch (thrown) {
      block.close();
      throw thrown;
    }
    this.#options.meter.go();
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

  async #found(request: SelectRequest, context: QueryContext): Promise<WholeBlock> {
    const { inner, look, meter } = this.#options;
    if (request.limit || inner.whole === undefined || context.missing !== undefined) throw new NotSmall();
    meter.go();
    const block = await inner.whole(request, context);
    meter.go();
    if (block !== undefined) return block;
    if (!(await look(request, context))) throw this.#crowded();
    meter.go();
    const again = await inner.whole(request, context);
    if (again === undefined) throw new NotSmall();
    return again;
  }

  /** Waits until it is this query's turn to evaluate. */
  async #enter(signal: AbortSignal): Promise<void> {
    const { turns, meter, mayWork } = this.#options;
    const place = await turns.enter(meter, signal);
    if (place === undefined) throw this.#crowded();
    if (this.#isOver) place.leave();
    else if (!mayWork()) {
      place.leave();
      throw this.#crowded();
    } else this.#place = place;
  }

  #crowded(): NotSmall {
    this.#isCrowded = true;
    return new NotSmall();
  }

  #leave(): void {
    if (this.#place === undefined) return;
    this.#place.leave();
    this.#place = undefined;
    this.#entering = undefined;
  }

  /** The query is through. */
  end(): void {
    this.#isOver = true;
    this.#leave();
  }

  labelNames(): never {
    throw new NotSmall();
  }

  labelValues(): never {
    throw new NotSmall();
  }
}
