import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../lib/manual-clock.ts';
import { Labels } from '../model/labels.ts';
import { PushSink } from './push-sink.ts';
import { PART_SERIES_MAX } from './recorded-series.ts';

test('what throws waits for the requests beside it, whose bytes are those of the next evaluation, too', async () => {
  const clock = new ManualClock(1_764_000_000_000);
  const statuses = [500, 204];
  let requests = 0;
  const backend = {
    async pushSeries() {
      if (requests++ === 0) throw new Error('the way is gone');
      return { status: statuses.shift()!, headers: {}, text: '' };
    },
  };
  const sink = new PushSink(backend, 'a', clock, new AbortController().signal);
  // one too many for one request
  const stale = Array.from({ length: PART_SERIES_MAX }, (_, i) => Labels.of({ i: `${i}` }));
  let ended = false;
  const appended = sink
    .append(clock.nowMs(), [
      { samples: [], stale: stale.slice(0, 1) },
      { samples: [], stale },
    ])
    .finally(() => {
      ended = true;
    });
  const refused = assert.rejects(appended, /the way is gone/);
  for (let i = 0; i < 3; i++) await clock.turn();
  await clock.advance(99);
  assert.deepEqual([requests, ended], [2, false]);
  await clock.advance(1);
  await refused;
  assert.equal(requests, 3);
});
