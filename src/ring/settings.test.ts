import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClusterSettings, checkSettings, decodeSettings, encodeSettings, judgeSettings } from './settings.ts';

const NOW_MS = Date.UTC(2026, 5, 1);
const CLUSTER: ClusterSettings = {
  windowMs: 7_200_000,
  replicas: 3,
  arcs: 4096,
  keepFlushedMs: 900_000,
  splitMetricSeries: 200_000,
  periods: [{ fromMs: null, place: 'cassandra, s3' }],
};

test('settings come back as they were kept, and what is none is left', () => {
  const kept = { ...CLUSTER, seriesKey: '00112233445566778899aabbccddeeff' };
  assert.deepEqual(decodeSettings(encodeSettings(kept)), kept);
  for (const wrong of [
    {},
    { ...kept, seriesKey: 'x' },
    { ...kept, windowMs: '2h' },
    { ...kept, periods: [{}] },
    null,
  ]) {
    assert.equal(decodeSettings(Buffer.from(JSON.stringify(wrong))), undefined);
  }
  assert.equal(decodeSettings(Uint8Array.of(0xff)), undefined);
});

test('a process whose settings differ is told which, by the names of their flags', () => {
  checkSettings(CLUSTER, CLUSTER, NOW_MS);
  const own = { ...CLUSTER, windowMs: 3_600_000, periods: [{ fromMs: null, place: 'dynamodb, s3' }] };
  assert.throws(
    () => checkSettings(own, CLUSTER, NOW_MS),
    /does not join.*-ingester.window is 3600000 here and 7200000 in the cluster; the period of -schema first is dynamodb, s3 here and cassandra, s3 in the cluster$/,
  );
});

test('a period that is to come may be known to either side first, until it begins', () => {
  const next = { fromMs: NOW_MS + 1, place: 'cassandra, gcs' };
  const ahead = { ...CLUSTER, periods: [...CLUSTER.periods, next] };
  assert.deepEqual(judgeSettings(ahead, CLUSTER, NOW_MS), { differences: [], isAhead: true });
  assert.deepEqual(judgeSettings(CLUSTER, ahead, NOW_MS), { differences: [], isAhead: false });
  for (const [own, cluster] of [
    [ahead, CLUSTER],
    [CLUSTER, ahead],
  ] as const) {
    assert.match(judgeSettings(own, cluster, NOW_MS + 1).differences.join(), /period of -schema from 2026-06-01 is/);
  }
  const other = { ...CLUSTER, periods: [...CLUSTER.periods, { ...next, place: 'cassandra, s3' }] };
  assert.equal(judgeSettings(other, ahead, NOW_MS).differences.length, 1);
});
