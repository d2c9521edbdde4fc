import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../lib/clock.ts';
import { fencedSignal } from '../../lib/fenced-signal.ts';
import { ManualClock } from '../../lib/manual-clock.ts';
import { AppError } from '../../model/errors.ts';
import { StoreCaller, type StoreCallerOptions } from './caller.ts';
import { type Failure, redact } from './failure.ts';

const what = { operation: 'read', table: 't' };

/** A clock on which a pause is over at once, and the time for a try never. */
function quickClock(pauses: number[]): Clock {
  return Object.assign(new ManualClock(), {
    sleep(ms: number, signal?: AbortSignal) {
      if (ms === TIMEOUT_MS) return new Promise<void>((_, reject) => signal?.addEventListener('abort', reject));
      pauses.push(ms);
      return Promise.resolve();
    },
  });
}

const TIMEOUT_MS = 30_000;

function caller(options: Partial<StoreCallerOptions> = {}, pauses: number[] = []): StoreCaller {
  return new StoreCaller({
    backend: 'test',
    classify: (thrown) => thrown as Failure,
    backoff: { minMs: 100, maxMs: 1000, triesMax: 5 },
    timeoutMs: TIMEOUT_MS,
    parallelMax: 2,
    clock: quickClock(pauses),
    random: () => 0.5,
    ...options,
  });
}

/** Fails so often with the given kinds, then answers. */
function failing(...kinds: Failure['kind'][]): () => Promise<string> {
  return async () => {
    const kind = kinds.shift();
    if (kind === undefined) return 'answer';
    throw { kind, reason: 'because' } satisfies Failure;
  };
}

async function idOf(call: Promise<unknown>): Promise<string> {
  const thrown = await call.then(
    () => assert.fail('did not fail'),
    (reason) => reason,
  );
  assert.ok(thrown instanceof AppError, String(thrown));
  return thrown.facts.id;
}

test('what may pass is tried again, after growing pauses', async () => {
  const pauses: number[] = [];
  const answer = await caller({}, pauses).call(what, undefined, failing('unavailable', 'throttled', 'unavailable'));
  assert.equal(answer, 'answer');
  assert.deepEqual(pauses, [75, 150, 300]);
});

test('pauses are bounded, and vary with chance', async () => {
  const pauses: number[] = [];
  const all = Array.from({ length: 9 }, () => 'unavailable' as const);
  const backoff = { minMs: 100, maxMs: 400, triesMax: 10 };
  await caller({ backoff, random: () => 0.999 }, pauses).call(what, undefined, failing(...all));
  assert.ok(pauses.every((ms) => ms <= 400) && pauses[8]! > 399);
  const least: number[] = [];
  await caller({ backoff, random: () => 0 }, least).call(what, undefined, failing('unavailable'));
  assert.deepEqual(least, [50]);
});

test('after the last try the error names backend, operation, table and how often', async () => {
  const always = Array.from({ length: 5 }, () => 'unavailable' as const);
  const error = await caller()
    .call(what, undefined, failing(...always))
    .catch((thrown) => thrown);
  assert.equal(error.message, 'test read on t failed after 5 tries: because');
});

test('what will not pass is told at once', async () => {
  const ids: [Failure['kind'], string][] = [
    ['denied', 'store-denied'],
    ['refused', 'store-refused'],
    ['full', 'store-full'],
    ['table-missing', 'store-table-missing'],
    ['object-missing', 'object-not-found'],
  ];
  for (const [kind, id] of ids) {
    const pauses: number[] = [];
    assert.equal(await idOf(caller({}, pauses).call(what, undefined, failing(kind))), id);
    assert.deepEqual(pauses, []);
  }
});

test('a try that does not answer in time is given up and made again', async () => {
  let tries = 0;
  const clock = Object.assign(new ManualClock(), { sleep: () => Promise.resolve() });
  const call = caller({ clock }).call(what, undefined, () => {
    tries++;
    return new Promise(() => {});
  });
  await assert.rejects(call, /no answer within 30000 ms/);
  assert.equal(tries, 5);
});

test('an abort ends a call that does not listen, and one that pauses', async () => {
  const reason = new Error('enough');
  const abort = new AbortController();
  const hanging = caller().call(what, abort.signal, () => new Promise(() => {}));
  const sleeping = caller({ clock: new ManualClock() }).call(what, abort.signal, failing('unavailable'));
  setImmediate(() => abort.abort(reason));
  for (const call of [hanging, sleeping]) await assert.rejects(call, (thrown) => thrown === reason);
});

test('closing ends calls under way, and all that come', async () => {
  const one = caller();
  const hanging = one.call(what, undefined, () => new Promise(() => {}));
  setImmediate(() => one.close());
  assert.equal(await idOf(hanging), 'store-closed');
  assert.equal(await idOf(one.call(what, undefined, failing())), 'store-closed');
});

test('no more calls are under way at once than allowed', async () => {
  const one = caller();
  let now = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 20 }, () =>
      one.call(what, undefined, async () => {
        most = Math.max(most, ++now);
        await new Promise(setImmediate);
        now--;
      }),
    ),
  );
  assert.equal(most, 2);
});

test('secrets do not reach an error', async () => {
  const one = caller({
    secrets: ['hunter2'],
    classify: () => ({ kind: 'denied', reason: 'bad login hunter2 at http://me:pw@host/x?sig=abc&x=1' }),
  });
  const error = await one.call(what, undefined, failing('denied')).catch((thrown) => thrown);
  assert.equal(error.message, 'test read on t was denied: bad login *** at http://***@host/x?sig=***&x=1');
  assert.equal(redact('a\n  b'.repeat(1000), []).length, 301);
});

test('no further try is made once the fence of its signal is passed, whatever the process did between them', async () => {
  let isPassed = false;
  const signal = fencedSignal(() => (isPassed ? new Error('too late') : undefined));
  let tries = 0;
  const attempt = async () => {
    tries++;
    // it stands still here
    isPassed = true;
    throw { kind: 'unavailable', reason: 'because' } satisfies Failure;
  };
  await assert.rejects(caller().call(what, signal, attempt), /too late/);
  assert.equal(tries, 1);
  await assert.rejects(caller().call(what, signal, attempt), /too late/);
  assert.equal(tries, 1);
});
