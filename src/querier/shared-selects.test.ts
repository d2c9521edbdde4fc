import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../lib/clock.ts';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import { LimitedBudget } from '../limits/query-budget.ts';
import { Labels } from '../model/labels.ts';
import { LabelMatcher } from '../model/matcher.ts';
import { SampleColumns } from '../storage/columns.ts';
import type { Queryable, QueryContext, SelectRequest } from '../storage/queryable.ts';
import type { SeriesBlock } from '../storage/series-stream.ts';
import { KeptOrders } from './kept-orders.ts';
import { SharedSelects } from './shared-selects.ts';

const { signal } = new AbortController();

/** Series `a`, `b`, … in blocks of so many; whoever asks is charged for them. */
function storage(count: number, perBlock: number) {
  const asked = { streams: 0, selects: 0 };
  const all = Array.from({ length: count }, (_, i) => Labels.of({ __name__: 'm', id: String.fromCharCode(97 + i) }));
  const read = (labels: readonly Labels[]) => (index: number, out: SampleColumns) => {
    out.clear();
    out.pushFloat(1, labels[index]!.get('id').charCodeAt(0));
  };
  const inner: Queryable = {
    async select(_, { budget }) {
      asked.selects++;
      budget.addSeries(count);
      return { series: all, warnings: [], read: read(all), close() {} };
    },
    async *stream(_, { budget }): AsyncGenerator<SeriesBlock, void> {
      asked.streams++;
      // in no order
      const mixed = [...all].reverse();
      for (let from = 0; from < count; from += perBlock) {
        const labels = mixed.slice(from, from + perBlock);
        budget.addMemory(100 * labels.length);
        budget.addSeries(labels.length);
        yield { labels, warnings: [], isWhole: perBlock >= count, read: read(labels) };
        budget.addMemory(-100 * labels.length);
      }
    },
    labelNames: async () => ({ values: [], warnings: [] }),
    labelValues: async () => ({ values: [], warnings: [] }),
  };
  return { inner, asked };
}

function contextOf(maxFetchedSeriesPerQuery = 0) {
  const budget = new LimitedBudget({ ...DEFAULT_LIMITS, maxFetchedSeriesPerQuery });
  return { budget, signal } satisfies QueryContext;
}

const request: SelectRequest = { matchers: [LabelMatcher.of('__name__', '=', 'm')], startMs: 0, endMs: 10 };

async function streamed(shared: SharedSelects, context: QueryContext, of = request): Promise<string> {
  const found: string[] = [];
  const out = new SampleColumns();
  for await (const block of shared.stream(of, context)) {
    for (const [i, labels] of block.labels.entries()) {
      block.read(i, out);
      found.push(`${labels.get('id')}${out.values[0]}`);
    }
  }
  return found.sort().join(' ');
}

test('what several queries ask for is read once, and charged to each', async () => {
  const { inner, asked } = storage(3, 10);
  const shared = new SharedSelects(inner, new KeptOrders().ofTenant('t'), systemClock, { signal });
  const contexts = [contextOf(), contextOf(), contextOf()];
  const set = await shared.select(request, contexts[0]!);
  assert.deepEqual(
    set.series.map((labels) => labels.get('id')),
    ['a', 'b', 'c'],
  );
  const out = new SampleColumns();
  set.read(2, out);
  assert.equal(out.values[0], 99);
  const texts = await Promise.all([streamed(shared, contexts[1]!), streamed(shared, contexts[2]!)]);
  assert.deepEqual(texts, ['a97 b98 c99', 'a97 b98 c99']);
  set.close();
  assert.deepEqual(asked, { streams: 1, selects: 0 });
  for (const { budget } of contexts) {
    assert.equal(budget.series, 3);
    assert.equal(budget.memoryBytes, 0);
    assert.equal(budget.peakMemoryBytes, 300);
  }
  await streamed(shared, contextOf(), { ...request, endMs: 11 });
  assert.equal(asked.streams, 2, 'another range is another request');
  await assert.rejects(streamed(shared, contextOf(2)), /max_fetched_series_per_query/);
  await shared.close();
});

test('a large answer is a stream of who asks first, and others ask themselves', async () => {
  const { inner, asked } = storage(7, 2);
  const shared = new SharedSelects(inner, new KeptOrders().ofTenant('t'), systemClock, { signal });
  const contexts = [contextOf(), contextOf()];
  const texts = await Promise.all(contexts.map((context) => streamed(shared, context)));
  assert.equal(texts[0], 'a97 b98 c99 d100 e101 f102 g103');
  assert.equal(texts[1], texts[0]);
  for (const { budget } of contexts) {
    assert.equal(budget.series, 7);
    assert.equal(budget.memoryBytes, 0);
  }
  assert.equal((await shared.select(request, contextOf())).series.length, 7);
  assert.deepEqual(asked, { streams: 2, selects: 1 });
  await shared.close();
});

test('what a query will ask for is there when it asks, where it is one block', async () => {
  for (const perBlock of [10, 2]) {
    const { inner, asked } = storage(3, perBlock);
    const wholes = { asked: 0, open: 0 };
    const whole: Queryable['whole'] = async (of, context) => {
      wholes.asked++;
      if (perBlock < 3) return undefined;
      const { labels, read, warnings } = (await inner.stream!(of, context)[Symbol.asyncIterator]().next()).value!;
      wholes.open++;
      return { labels, read, warnings, isWhole: true, close: () => wholes.open-- };
    };
    const shared = new SharedSelects({ ...inner, whole }, new KeptOrders().ofTenant('t'), systemClock, { signal });
    const other = { ...request, endMs: 11 };
    const isReady = await Promise.all([
      shared.prepare([request, other]),
      shared.prepare([request]),
      shared.prepare([]),
    ]);
    assert.deepEqual(isReady, [perBlock === 10, perBlock === 10, true]);
    assert.deepEqual([wholes.asked, asked.streams], [2, perBlock === 10 ? 2 : 0], 'each once, and no stream');
    const contexts = [contextOf(), contextOf()];
    for (const context of contexts) assert.equal(await streamed(shared, context), 'a97 b98 c99');
    for (const { budget } of contexts) assert.deepEqual([budget.series, budget.memoryBytes], [3, 0]);
    // a stream is of one query
    assert.equal(asked.streams, 2);
    await shared.close();
    assert.equal(wholes.open, 0);
  }
});

test('a block that comes when nobody waits any more is closed', async () => {
  const { inner } = storage(3, 10);
  const gate = Promise.withResolvers<void>();
  let closed = 0;
  const whole: Queryable['whole'] = async () => {
    await gate.promise;
    return { labels: [], warnings: [], read() {}, close: () => closed++ };
  };
  const shared = new SharedSelects({ ...inner, whole }, new KeptOrders().ofTenant('t'), systemClock, { signal });
  const ended = shared.prepare([request]);
  await systemClock.turn();
  await shared.close();
  gate.resolve();
  await ended;
  assert.equal(closed, 1);
});

test('no stream is begun once nobody waits any more, and one that is begun meanwhile is given back', async () => {
  for (const at of ['whole', 'stream'] as const) {
    const gate = Promise.withResolvers<void>();
    const { inner } = storage(3, 10);
    const streams = { begun: 0, returned: 0 };
    const slow: Queryable = {
      ...inner,
      async whole() {
        if (at === 'whole') await gate.promise;
        return undefined;
      },
      stream() {
        streams.begun++;
        return {
          async next() {
            await gate.promise;
            return { done: false as const, value: { labels: [], warnings: [], isWhole: false, read() {} } };
          },
          async return() {
            streams.returned++;
            return { done: true as const, value: undefined };
          },
          [Symbol.asyncIterator]() {
            return this;
          },
        } as unknown as AsyncGenerator<SeriesBlock, void>;
      },
    };
    const shared = new SharedSelects(slow, new KeptOrders().ofTenant('t'), systemClock, { signal });
    const ending = new AbortController();
    const ended = streamed(shared, { ...contextOf(), signal: ending.signal });
    for (let i = 0; i < 3; i++) await systemClock.turn();
    ending.abort(new Error('out of time'));
    await assert.rejects(ended, /out of time/);
    await shared.close();
    gate.resolve();
    for (let i = 0; i < 3; i++) await systemClock.turn();
    assert.equal(streams.begun, at === 'whole' ? 0 : 1);
    assert.ok(streams.returned >= streams.begun);
  }
});

test('what is under way when nobody waits any more is ended', async () => {
  const { inner } = storage(3, 10);
  const ended = Promise.withResolvers<void>();
  const whole: Queryable['whole'] = (_, own) =>
    new Promise((_resolve, reject) => {
      own.signal.addEventListener('abort', () => {
        ended.resolve();
        reject(own.signal.reason);
      });
    });
  const shared = new SharedSelects({ ...inner, whole }, new KeptOrders().ofTenant('t'), systemClock, { signal });
  const isReady = shared.prepare([request]);
  await systemClock.turn();
  await shared.close();
  await ended.promise;
  assert.equal(await isReady, false);
});

test('a stream that nobody took at once is given back, and who asks later has one of its own', async () => {
  const { inner } = storage(3, 1);
  let open = 0;
  const counted: Queryable = {
    ...inner,
    async *stream(...args) {
      open++;
      try {
        yield* inner.stream!(...args);
      } finally {
        open--;
      }
    },
  };
  const shared = new SharedSelects(counted, new KeptOrders().ofTenant('t'), systemClock, { signal });
  // it reads in another way
  await shared.select(request, contextOf());
  for (let i = 0; i < 3; i++) await systemClock.turn();
  assert.equal(open, 0);
  assert.equal(await streamed(shared, contextOf()), 'a97 b98 c99');
  await shared.close();
});

test('a query that ends waits no longer, and fails no other', async () => {
  const { inner } = storage(2, 10);
  let go = () => {};
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  const slow: Queryable = {
    ...inner,
    async *stream(...args) {
      await gate;
      yield* inner.stream!(...args);
    },
  };
  const shared = new SharedSelects(slow, new KeptOrders().ofTenant('t'), systemClock, { signal });
  const ending = new AbortController();
  const ended = streamed(shared, { ...contextOf(), signal: ending.signal });
  const other = streamed(shared, contextOf());
  ending.abort(new Error('out of time'));
  await assert.rejects(ended, /out of time/);
  go();
  assert.equal(await other, 'a97 b98');
  await shared.close();
});

test('the order of the same series is found once, and that of others anew', () => {
  const orders = new KeptOrders().ofTenant('t');
  const of = (...ids: string[]) => ids.map((id) => Labels.of({ id }));
  const [c, a, b] = of('c', 'a', 'b') as [Labels, Labels, Labels];
  const first = orders.of('m', [c, a, b]);
  assert.deepEqual(first.labels, [a, b, c]);
  assert.deepEqual([...first.order], [1, 2, 0]);
  assert.equal(orders.of('m', [c, a, b]), first);
  assert.deepEqual(orders.of('m', [c, b, a]).labels, [a, b, c]);
  assert.deepEqual(orders.of('m', [c, a]).labels, [a, c]);
  assert.deepEqual(orders.of('m', []).labels, []);
});

test('orders and what is made of them are kept up to a bound, of a tenant up to half of it', () => {
  const orders = new KeptOrders();
  const listOf = (name: string) => Array.from({ length: 1_000 }, (_, i) => Labels.of({ name, i: String(i) }));
  const [small, large] = [orders.ofTenant('small'), orders.ofTenant('large')];
  const own = listOf('own');
  const first = small.of('own', own);
  const lists = Array.from({ length: 150 }, (_, i) => listOf(String(i)));
  const isKept = (i: number) => {
    const order = large.of(String(i), lists[i]!);
    return large.of(String(i), lists[i]!) === order && order.memo!.has('thing');
  };
  lists.forEach((list, i) => {
    const { memo } = large.of(String(i), list);
    memo!.set('thing', { memo: new Map([['inner', {}]]) });
    large.of(String(i), list);
  });
  // each weighs three times its series: some 66 fit into a tenant's half
  assert.ok(isKept(149));
  assert.ok(!isKept(50));
  assert.equal(small.of('own', own), first, 'another tenant keeps its own');
});
