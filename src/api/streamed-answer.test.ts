import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { QueryExplanation } from '../contract/query.ts';
import { systemClock } from '../lib/clock.ts';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import { SharedMemory } from '../limits/query-budget.ts';
import type { TestSeries } from '../storage/test-list.ts';
import { PromApi } from './backend.ts';
import { testSources } from './test-sources.ts';

const START_S = 1767225600;
const STEPS = 4000;
const NOW_MS = 1767231000000;
const LIST = Array.from({ length: 60 }, (_, i): TestSeries => {
  const points = [0, 1, 2].map((at) => [(START_S + at) * 1000, i + at / 7] as const);
  return [{ __name__: 'm', i: `${i}` }, ...points];
});
const PARAMS = [
  ['query', `last_over_time(m[${STEPS}s]) + time() / 7`],
  ['start', `${START_S}`],
  ['end', `${START_S + STEPS - 1}`],
  ['step', '1'],
] as const;

async function asked(takesParts: boolean, limit = DEFAULT_LIMITS.maxQueryResponseSize, path = '/api/v1/query_range') {
  const memory = new Held();
  const sources = testSources(LIST, { limits: () => ({ ...DEFAULT_LIMITS, maxQueryResponseSize: limit }), memory });
  const request = { tenant: 't', method: 'GET', path, params: PARAMS, takesParts };
  const response = await new PromApi(sources).handle(request, new AbortController().signal);
  return { ...response, memory };
}

/** Series with long labels, as of one day. */
const WIDE = Array.from(
  { length: 3000 },
  (_, i): TestSeries => [{ __name__: 'wide', i: `${i}`, text: `${'"ü'.repeat(500)}${i}` }, [NOW_MS - 60_000, 1]],
);

async function askedWide(path: string, takesParts: boolean) {
  const memory = new Held();
  const sources = testSources(WIDE, { limits: () => DEFAULT_LIMITS, memory });
  const params = [['match[]', 'wide']] as const;
  const request = { tenant: 't', method: 'GET', path, params, takesParts };
  const response = await new PromApi(sources).handle(request, new AbortController().signal);
  assert.equal(response.status, 200);
  const all = [response.body];
  for await (const part of response.parts ?? []) all.push(part);
  assert.equal(memory.bytes, 0);
  return { text: Buffer.concat(all).toString(), parts: all.length };
}

test('long lists of series and labels, and what is federated, are sent while they are written', async () => {
  for (const path of ['/api/v1/series', '/api/v1/label/text/values', '/federate']) {
    const [whole, parted] = [await askedWide(path, false), await askedWide(path, true)];
    assert.equal(whole.parts, 1);
    assert.ok(whole.text.length > 2e6 && parted.parts > 4, path);
    assert.ok(parted.text === whole.text, path);
  }
  const short = await askedWide('/api/v1/labels', true);
  assert.equal(short.parts, 1);
});

test('the time-out of a look-up cuts nothing off that a slow reader has begun to get', async () => {
  const timeOuts: (() => void)[] = [];
  let monotonicMs = 0;
  const sources = testSources(WIDE, {
    clock: {
      ...systemClock,
      nowMs: () => NOW_MS,
      // it is time for a pause at each step
      monotonicMs: () => (monotonicMs += 1000),
      every: (_, work) => {
        timeOuts.push(work);
        return { cancel: () => {} };
      },
    },
  });
  const params = [['match[]', 'wide']] as const;
  const request = { tenant: 't', method: 'GET', path: '/federate', params, takesParts: true };
  const response = await new PromApi(sources).handle(request, new AbortController().signal);
  const all = [response.body];
  for await (const part of response.parts!) {
    for (const out of timeOuts.splice(0)) out();
    all.push(part);
  }
  assert.equal(Buffer.concat(all).toString(), (await askedWide('/federate', false)).text);
});

/** Counts what is held. */
class Held extends SharedMemory {
  bytes = 0;
  bytesMost = 0;

  constructor() {
    super(2 ** 30);
  }

  override change(beforeBytes: number, afterBytes: number): void {
    super.change(beforeBytes, afterBytes);
    this.bytes += afterBytes - beforeBytes;
    this.bytesMost = Math.max(this.bytesMost, this.bytes);
  }
}

test('a long answer is sent while it is written, byte for byte as it is whole, in parts that are let go of', async () => {
  const whole = await asked(false);
  assert.equal(whole.parts, undefined);
  assert.ok(whole.body.length > 6e6);
  const { body, parts, memory, status } = await asked(true);
  assert.equal(status, 200);
  const all = [body];
  let longest = 0;
  for await (const part of parts!) {
    longest = Math.max(longest, part.length);
    all.push(part);
    // columns and what is being written, not the text
    assert.ok(memory.bytes < 20e6);
  }
  assert.ok(body.length < 5e6 && longest < 1e6 && all.length > 5);
  assert.equal(Buffer.compare(Buffer.concat(all), whole.body), 0);
  assert.equal(memory.bytes, 0);
});

test('an explanation counts the bytes of a long answer without holding them', async () => {
  const { body } = await asked(false);
  const { body: explained, memory } = await asked(false, undefined, '/api/v1/query_range_explain');
  const { data } = JSON.parse(new TextDecoder().decode(explained)) as { readonly data: QueryExplanation };
  assert.ok(data.what.endsWith(` an answer of ${body.length} bytes`), data.what);
  assert.ok(memory.bytesMost < 2e6, `${memory.bytesMost}`);
  assert.equal(memory.bytes, 0);
});

test('a reader that goes away ends it, and what it holds', async () => {
  const { parts, memory } = await asked(true);
  const taken = parts![Symbol.asyncIterator]();
  await taken.next();
  assert.ok(memory.bytes > 0);
  await taken.return!();
  assert.equal(memory.bytes, 0);
});

test('an answer that may be too long is known to be before any of it is sent', async () => {
  const { status, body, parts } = await asked(true, 5_000_000);
  assert.equal(parts, undefined);
  assert.equal(status, 422);
  assert.match(new TextDecoder().decode(body), /max_query_response_size/);
});
