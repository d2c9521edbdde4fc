import type { Clock } from '../lib/clock.ts';
import { getOrMake } from '../lib/map.ts';
import type {
  LabelRequest,
  Queryable,
  QueryBudget,
  QueryContext,
  SelectRequest,
  SeriesSet,
} from '../storage/queryable.ts';
import { rowsAt } from '../storage/series-rows.ts';
import { type SeriesBlock, StreamBroken, type WholeBlock } from '../storage/series-stream.ts';
import type { TenantOrders } from './kept-orders.ts';

/** Memory of the answers that are kept for others; what is asked for beyond is asked for by each by itself. */
const SHARED_BYTES_MAX = 16 * 1024 * 1024;

type Stream = AsyncIterator<SeriesBlock, void>;

/** The only block of a selector's series, in ascending order of labels, and what it cost. */
interface Answer {
  readonly block: SeriesBlock;
  readonly cost: Recorded;
}

/** A request that is under way: what came of it, or the stream of one that has more than a block, for who takes it. */
interface Asked {
  /** Undefined: it is no block that is there at once. */
  readonly whole: Promise<Answer | undefined>;
  /** The outcome of `whole` or else of a stream, which is begun once a query is evaluated: where nobody reads it, it expires. */
  answer: Promise<Answer | undefined> | undefined;
  /** The outcome of either, once it is there. */
  known: Answer | undefined;
  stream:
    | { readonly first: IteratorResult<SeriesBlock, void>; readonly rest: Stream; readonly cost: Recorded }
    | undefined;
}

/**
 * Selectors that several queries of a batch have in common are asked for once: the rules of a group mostly look at the same series.
 * Only small answers are shared; every query is charged as if it had asked itself.
 */
export class SharedSelects implements Queryable {
  readonly #inner: Queryable;
  readonly #shared: Pick<QueryContext, 'signal' | 'missing'>;
  readonly #ends = new AbortController();
  readonly #letGo: () => void;
  readonly #asked = new Map<string, Asked>();
  readonly #open: Stream[] = [];
  readonly #wholes: WholeBlock[] = [];
  readonly #orders: TenantOrders;
  readonly #clock: Pick<Clock, 'turn'>;
  #turn: Promise<void> | undefined;
  #heldBytes = 0;
  #isClosed = false;

  /** @param shared the context of what is asked for on behalf of several */
  constructor(
    inner: Queryable,
    orders: TenantOrders,
    clock: Pick<Clock, 'turn'>,
    shared: Pick<QueryContext, 'signal' | 'missing'>,
  ) {
    this.#inner = inner;
    this.#orders = orders;
    this.#clock = clock;
    const { signal, missing } = shared;
    const end = () => this.#ends.abort(signal.reason);
    if (signal.aborted) end();
    signal.addEventListener('abort', end, { once: true });
    this.#letGo = () => signal.removeEventListener('abort', end);
    this.#shared = { signal: this.#ends.signal, missing };
  }

  async select(request: SelectRequest, context: QueryContext): Promise<SeriesSet> {
    const answer = request.limit ? undefined : await this.#answerOf(request, context);
    if (answer === undefined) return this.#inner.select(request, context);
    answer.cost.charge(context.budget);
    const { labels, warnings, rows, memo } = answer.block;
    return {
      series: labels,
      warnings,
      read: (index, out) => answer.block.read(index, out),
      rows,
      memo,
      close: () => context.budget.addMemory(-answer.cost.memory),
    };
  }

  async *stream(request: SelectRequest, context: QueryContext): AsyncGenerator<SeriesBlock, void> {
    const answer = await this.#answerOf(request, context);
    if (answer !== undefined) {
      answer.cost.charge(context.budget);
      try {
        if (answer.block.labels.length + answer.block.warnings.length > 0) yield answer.block;
      } finally {
        context.budget.addMemory(-answer.cost.memory);
      }
      return;
    }
    const asked = this.#asked.get(keyOf(request));
    const taken = asked?.stream;
    if (taken === undefined) {
      if (this.#inner.stream === undefined) throw new StreamBroken();
      yield* this.#inner.stream(request, context);
      return;
    }
    // the first who asked goes on with it
    asked!.stream = undefined;
    taken.cost.handTo(context.budget);
    for (let next = taken.first; next.done !== true; next = await taken.rest.next()) yield next.value;
  }

  labelNames(request: LabelRequest, context: QueryContext) {
    return this.#inner.labelNames(request, context);
  }

  labelValues(name: string, request: LabelRequest, context: QueryContext) {
    return this.#inner.labelValues(name, request, context);
  }

  /** Lets go of what was shared, once no query reads it any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#letGo();
    // what nobody waited for ends, too
    this.#ends.abort(new StreamBroken());
    for (const whole of this.#wholes) whole.close();
    for (const stream of this.#open) await stream.return?.().catch(() => {});
    this.#asked.clear();
  }

  /** Asks for those blocks of what a query will ask for that are there at once. @returns whether nothing will be waited for */
  async prepare(requests: readonly SelectRequest[]): Promise<boolean> {
    if (this.#inner.stream === undefined || this.#heldBytes > SHARED_BYTES_MAX) return false;
    const asked = requests.map((request) => this.#askedOf(keyOf(request), request));
    for (const each of asked) if (each.known === undefined) await each.whole.catch(() => {});
    return asked.every(({ known }) => known !== undefined);
  }

  #askedOf(key: string, request: SelectRequest): Asked {
    return getOrMake(this.#asked, key, () => this.#ask(request));
  }

  /** Undefined: whoever asks has to ask itself. */
  async #answerOf(request: SelectRequest, { signal }: QueryContext): Promise<Answer | undefined> {
    const key = keyOf(request);
    const before = this.#asked.get(key)?.known;
    signal.throwIfAborted();
    if (before !== undefined) return before;
    if (this.#inner.stream === undefined || this.#heldBytes > SHARED_BYTES_MAX) return undefined;
    const asked = this.#askedOf(key, request);
    asked.answer ??= this.#answerTo(request, asked);
    const { answer } = asked;
    let abort = () => {};
    const aborted = new Promise<never>((_, reject) => {
      abort = () => reject(signal.reason);
      signal.addEventListener('abort', abort, { once: true });
    });
    try {
      return await Promise.race([answer, aborted]);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  #ask(request: SelectRequest): Asked {
    const asked: Asked = { stream: undefined, known: undefined, answer: undefined, whole: this.#whole(request) };
    asked.whole.then(
      (answer) => {
        asked.known = answer;
      },
      () => {}, // who waits for it hears of it
    );
    return asked;
  }

  async #whole(request: SelectRequest): Promise<Answer | undefined> {
    // in one go with what other queries of the batch ask for
    this.#turn ??= this.#clock.turn().then(() => {
      this.#turn = undefined;
    });
    await this.#turn;
    if (this.#isClosed) return undefined;
    const cost = new Recorded();
    const whole = await this.#inner.whole?.(request, { ...this.#shared, budget: cost });
    if (whole === undefined) return undefined;
    if (this.#isClosed) {
      // who asked did not wait for it
      whole.close();
      return undefined;
    }
    this.#wholes.push(whole);
    return this.#answer(request, whole, cost);
  }

  async #answerTo(request: SelectRequest, asked: Asked): Promise<Answer | undefined> {
    asked.known = (await asked.whole) ?? (await this.#first(request, asked));
    return asked.known;
  }

  async #first(request: SelectRequest, asked: Asked): Promise<Answer | undefined> {
    if (this.#isClosed) return undefined;
    const cost = new Recorded();
    const rest = this.#inner.stream!(request, { ...this.#shared, budget: cost })[Symbol.asyncIterator]() as Stream;
    this.#open.push(rest);
    let first: IteratorResult<SeriesBlock, void>;
    try {
      first = await rest.next();
    } catch (thrown) {
      if (thrown instanceof StreamBroken) return undefined;
      throw thrown;
    }
    if (this.#isClosed) {
      await rest.return?.();
      return undefined;
    }
    if (first.done === true) return { block: NO_SERIES, cost };
    if (first.value.isWhole === true) return this.#answer(request, first.value, cost);
    const stream = { first, rest, cost };
    asked.stream = stream;
    // whoever waits for it takes it now; later it may have expired
    void this.#clock.turn().then(() => {
      if (asked.stream !== stream) return;
      asked.stream = undefined;
      rest.return?.().catch(() => {});
    });
    return undefined;
  }

  #answer(request: SelectRequest, { labels: found, warnings, read, rows }: SeriesBlock, cost: Recorded): Answer {
    this.#heldBytes += cost.memory;
    const { labels, order, memo } = this.#orders.of(selectorOf(request), found);
    const block: SeriesBlock = {
      labels,
      warnings,
      isWhole: true,
      read: (index, out) => read(order[index]!, out),
      rows: rows && rowsAt(rows, order),
      memo,
    };
    return { block, cost };
  }
}

const NO_SERIES: SeriesBlock = { labels: [], warnings: [], isWhole: true, read: (_, out) => out.clear() };

/** Equal for equal requests. */
function keyOf(request: SelectRequest): string {
  return `${request.startMs} ${request.endMs} ${selectorOf(request)}`;
}

/** The same at any time. */
function selectorOf({ matchers, labelsOnly, shard }: SelectRequest): string {
  let key = `${labelsOnly === true} ${shard?.index} ${shard?.count}`;
  for (const { name, op, value } of matchers) key += ` ${name.length}:${name}${op}${value.length}:${value}`;
  return key;
}

/** Counts of a read, to be charged to each query that has its answer. */
class Recorded implements QueryBudget {
  series = 0;
  chunks = 0;
  chunkBytes = 0;
  fetchedBytes = 0;
  memory = 0;
  rows = 0;
  objects = 0;
  hits = 0;
  slots = 0;
  groups = 0;
  #to: QueryBudget | undefined;

  addSeries(count: number): void {
    this.series += count;
    this.#to?.addSeries(count);
  }

  addChunks(count: number, bytes: number): void {
    this.chunks += count;
    this.chunkBytes += bytes;
    this.#to?.addChunks(count, bytes);
  }

  addFetchedBytes(count: number): void {
    this.fetchedBytes += count;
    this.#to?.addFetchedBytes(count);
  }

  addMemory(bytes: number): void {
    this.memory += bytes;
    this.#to?.addMemory(bytes);
  }

  addFetches(rows: number, objects: number): void {
    this.rows += rows;
    this.objects += objects;
    this.#to?.addFetches(rows, objects);
  }

  addCacheHits(blocks: number): void {
    this.hits += blocks;
    this.#to?.addCacheHits(blocks);
  }

  addGroups(slots: number, groups: number): void {
    this.slots += slots;
    this.groups += groups;
    this.#to?.addGroups(slots, groups);
  }

  /** @throws the error of a limit that is exceeded; then no memory is charged, or all of it */
  charge(budget: QueryBudget): void {
    budget.addFetches(this.rows, this.objects);
    budget.addCacheHits(this.hits);
    budget.addGroups(this.slots, this.groups);
    budget.addFetchedBytes(this.fetchedBytes);
    budget.addChunks(this.chunks, this.chunkBytes);
    budget.addSeries(this.series);
    budget.addMemory(this.memory);
  }

  /** Charges what there was so far, and all that follows. */
  handTo(budget: QueryBudget): void {
    this.#to = budget;
    this.charge(budget);
  }
}
