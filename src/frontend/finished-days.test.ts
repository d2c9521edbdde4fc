import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryCache } from '../cache/memory.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { FinishedDays } from './finished-days.ts';

const DAY_MS = 86_400_000;
const NOW_MS = 20_000.5 * DAY_MS;
const yesterday = { startMs: 19_999 * DAY_MS, endMs: 20_000 * DAY_MS - 1 };
const limits = { ageMs: 3_600_000, retentionMs: 0, ttlMs: 0 };

function finishedDays() {
  const clock = new ManualClock(NOW_MS);
  const view = { token: 'first', settledMs: 0, isThere: true };
  const generations = async () => {
    if (!view.isThere) throw new Error('the store is away');
    const { token, settledMs } = view;
    return { token: () => token, isSettled: (_: number, __: number, nowMs: number) => settledMs <= nowMs };
  };
  const cache = new MemoryCache({ bytesMax: 32 * 1024 * 1024, clock });
  const noted: string[] = [];
  const days = new FinishedDays({ cache, generations, flags: 'flags', clock, note: (had) => noted.push(had) });
  const open = (tenant = 't', question = 'q', day = yesterday, own = limits) =>
    days.ofTenant(tenant, own)(question, day, new AbortController().signal);
  return { view, open, noted };
}

test('what was found of a day that is over is there again until anything of the day changes', async () => {
  const { view, open, noted } = finishedDays();
  const place = await open();
  assert.equal(place?.value, undefined);
  await place!.keep(Uint8Array.of(1, 2));
  assert.deepEqual((await open())?.value, Uint8Array.of(1, 2));
  assert.deepEqual(noted, ['none', 'whole']);
  for (const [tenant, question] of [
    ['u', 'q'],
    ['t', 'another'],
  ] as const) {
    assert.equal((await open(tenant, question))?.value, undefined, `${tenant} ${question}`);
  }
  view.token = 'second';
  const anew = await open();
  assert.equal(anew?.value, undefined);
  // what began before the change is not found after it
  await place!.keep(Uint8Array.of(3));
  assert.equal((await open())?.value, undefined);
});

test('nothing is kept of a day that is young, partly gone or about to change', async () => {
  const { view, open } = finishedDays();
  const today = { startMs: yesterday.startMs + DAY_MS, endMs: yesterday.endMs + DAY_MS };
  assert.equal(await open('t', 'q', today), undefined);
  assert.equal(await open('t', 'q', yesterday, { ...limits, ageMs: DAY_MS }), undefined);
  assert.equal(await open('t', 'q', yesterday, { ...limits, ageMs: Number.POSITIVE_INFINITY }), undefined);
  assert.equal(await open('t', 'q', yesterday, { ...limits, retentionMs: 1.5 * DAY_MS }), undefined);
  assert.notEqual(await open('t', 'q', yesterday, { ...limits, retentionMs: 2 * DAY_MS }), undefined);
  view.settledMs = NOW_MS + 1;
  assert.equal(await open(), undefined);
  view.settledMs = 0;
  view.isThere = false;
  assert.equal(await open(), undefined);
});

test('what is too large is not kept', async () => {
  const { open } = finishedDays();
  await (await open())!.keep(new Uint8Array(8 * 1024 * 1024 + 1));
  assert.equal((await open())?.value, undefined);
});
