import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../lib/manual-clock.ts';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import { Edge } from './edge.ts';
import { encodeSeriesPush } from './series-push.ts';
import { RatePlaces, SharedRates } from './shared-rates.ts';

test('several threads grant a burst at once and then its rate', () => {
  const clock = new ManualClock(1_767_231_000_000);
  const rates = new SharedRates();
  const others = new SharedRates(rates.buffer);
  const grant = { rate: 2, burst: 10, clock };
  assert.equal(rates.take(3, 6, grant), true);
  assert.equal(others.take(3, 5, grant), false);
  assert.equal(others.take(3, 4, grant), true);
  assert.equal(rates.take(3, 1, grant), false);
  assert.equal(rates.take(4, 10, grant), true, 'another tenant');
  clock.setWall(clock.nowMs() + 500);
  assert.equal(rates.take(3, 1, grant), true);
  assert.equal(others.take(3, 1, grant), false);
  clock.setWall(clock.nowMs() + 60_000);
  assert.equal(rates.take(3, 11, grant), false);
  assert.equal(rates.take(3, 10, grant), true);
  // an hour back: not an hour without a sample
  clock.setWall(clock.nowMs() - 3_600_000);
  assert.equal(rates.take(3, 1, grant), false);
  clock.setWall(clock.nowMs() + 500);
  assert.equal(rates.take(3, 1, grant), true);
  assert.equal(rates.take(5, 1, { rate: 1e-300, burst: 1, clock }), true);
  assert.equal(rates.take(5, 1, { rate: 1e-300, burst: 1, clock }), false);
});

test('a tenant keeps its place until others need it', () => {
  const clock = new ManualClock(1_767_231_000_000);
  const rates = new SharedRates();
  let reused = 0;
  const places = new RatePlaces(rates, 2, () => reused++);
  const grant = { rate: 1, burst: 1, clock };
  assert.deepEqual(
    ['a', 'b', 'a'].map((tenant) => places.of(tenant)),
    [0, 1, 0],
  );
  assert.equal(rates.take(1, 1, grant), true);
  assert.equal(reused, 0);
  assert.equal(places.of('c'), 1, 'b was asked for before a');
  assert.equal(reused, 1, 'who remembers places of tenants hears of it');
  assert.equal(rates.take(1, 1, grant), true, 'and starts with a full bucket');
  assert.equal(places.of('a'), 0);
});

test('edges of a process grant one rate, not each its own', async () => {
  const clock = new ManualClock(1_767_231_000_000);
  const rates = new SharedRates();
  const target = {
    async push({ frames }: { frames: ArrayBuffer }) {
      const counts = [4, 0, 0, 0, 0, 0];
      const result = { counts, histogramsLost: 0, exemplarsLost: 0, refused: 0, first: undefined, unknown: [] };
      return { result, frames, keysTaken: false };
    },
    setMetadata: async () => ({}),
  };
  const edges = [rates.buffer, rates.buffer].map(
    (buffer) => new Edge({ clock, rawBytesMax: 1 << 20, rates: new SharedRates(buffer), targets: [target] }),
  );
  const limits = { ...DEFAULT_LIMITS, ingestionRate: 1, ingestionBurstSize: 10 };
  const samples = Array.from({ length: 4 }, (_, i) => ({ timeMs: clock.nowMs() + i, value: i }));
  const statuses: number[] = [];
  for (let i = 0; i < 4; i++) {
    const write = encodeSeriesPush([{ pairs: ['__name__', 'm'], samples }]);
    const { response } = await edges[i % 2]!.push({ tenant: 't', ...write, limits, ratePlace: 7 });
    statuses.push(response.status);
  }
  assert.deepEqual(statuses, [204, 204, 429, 429]);
});
