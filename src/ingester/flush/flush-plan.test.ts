import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bucketSlot } from '../../chunkstore/placement.ts';
import { slotTurn } from '../flush-turn.ts';
import type { SavedArena } from '../log/checkpoint.ts';
import { FlushPlan, resumedEnd, shareDue, spreadOf, turnsEndMs } from './flush-plan.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const TIMES = { windowMs: 2 * HOUR, delayMs: 15 * MINUTE, spreadMs: 45 * MINUTE };
/** The end of window 0. */
const END = 2 * HOUR;
const open = (window: number, id = window + 1): SavedArena => ({ id, window, sealLsn: 0, flushedMs: 0 });
const sealed = (window: number, sealLsn: number): SavedArena => ({ ...open(window), sealLsn });
const reached = (sealLsn: number, share: number) => ({
  shard: 0,
  sealLsn,
  share,
  endMs: END,
  spread: { spreadMs: TIMES.spreadMs, waitMs: 0, turns: undefined },
  placements: new Map(),
});

test('the slots of a window become due over the hour after its end', () => {
  const shares = new Set<number>();
  let last = 0;
  for (let nowMs = END; nowMs <= END + HOUR; nowMs += 15_000) {
    const share = shareDue({ ...TIMES, nowMs }, END);
    assert.ok(share >= last);
    last = share;
    shares.add(share);
  }
  assert.equal(shareDue({ ...TIMES, nowMs: END + 15 * MINUTE - 1 }, END), 0);
  assert.deepEqual([...shares], [0, ...Array.from({ length: 9 }, (_, i) => (i + 1) / 9)]);
});

test('a plan asks for each step once', () => {
  const plan = new FlushPlan(TIMES);
  const asked: number[] = [];
  let arena = open(0);
  for (let nowMs = END; nowMs <= END + HOUR; nowMs += 15_000) {
    const request = plan.due([[arena, open(1)]], nowMs, false);
    if (request === undefined) continue;
    assert.ok(request.sealBeforeMs >= END && request.sealBeforeMs < 2 * END);
    arena = sealed(0, 7);
    const share = shareDue(request.pace!, END);
    plan.reached(share === 1 ? [] : [reached(7, share)]);
    if (share === 1) arena = { ...arena, flushedMs: nowMs };
    asked.push((nowMs - END) / MINUTE);
  }
  assert.deepEqual(asked, [15, 20, 25, 30, 35, 40, 45, 50, 55]);
});

test('turns go on where they stopped when the store failed, and a clock that is set back does not make them wait', () => {
  const begun = reached(7, 4 / 9);
  const failedMs = END + 5 * HOUR;
  const pace = { ...TIMES, nowMs: failedMs };
  const resumed = { ...begun, resumedEndMs: resumedEnd(pace, failedMs, begun) };
  const due = (nowMs: number) => shareDue({ ...pace, nowMs }, turnsEndMs({ ...pace, nowMs }, resumed), resumed.spread);
  assert.equal(due(failedMs), 5 / 9);
  assert.equal(due(failedMs + 5 * MINUTE), 6 / 9);
  assert.equal(due(failedMs - 4 * HOUR), 1, 'as if it had not failed');
  const plan = new FlushPlan(TIMES);
  plan.reached([resumed]);
  assert.equal(plan.status([[sealed(0, 7)]], failedMs).lagSeconds, (5 * HOUR - 35 * MINUTE) / 1000, 'lag counts all');
});

test('what comes late for a window waits for more of its kind', () => {
  const plan = new FlushPlan(TIMES);
  const late = [open(0)];
  assert.equal(plan.due([late], END + 5 * HOUR, false), undefined);
  assert.equal(plan.due([late], END + 5 * HOUR + 14 * MINUTE, false), undefined);
  const request = plan.due([late], END + 5 * HOUR + 15 * MINUTE, false);
  assert.deepEqual(request?.keepOpen, [[]]);
  // another one, while the first is due
  const both = plan.due([[open(0), open(1)]], END + 5 * HOUR + 16 * MINUTE, false);
  assert.deepEqual(both?.keepOpen, [[1]]);
});

test('short of memory, and when told, everything is due at once', () => {
  const plan = new FlushPlan(TIMES);
  const nowMs = END + 15 * MINUTE;
  assert.equal(shareDue(plan.due([[open(0)]], nowMs, true)!.pace!, END), 1);
  assert.deepEqual(plan.due([[open(0)]], nowMs + 5 * HOUR, true)!.keepOpen, [[]]);
  assert.equal(plan.all([[open(5)]])!.pace, undefined);
  assert.equal(plan.all([[{ ...sealed(0, 3), flushedMs: 1 }]]), undefined);
});

test('lag is how long the slot that waits longest has been due', () => {
  const plan = new FlushPlan(TIMES);
  const status = (arenas: readonly SavedArena[], nowMs: number) => plan.status([arenas], nowMs);
  assert.deepEqual(status([open(0)], END), { lagSeconds: 0, windows: 0, share: 1 });
  assert.deepEqual(status([open(0)], END + 16 * MINUTE), { lagSeconds: 60, windows: 1, share: 0 });
  plan.reached([reached(7, 1 / 9)]);
  assert.deepEqual(status([sealed(0, 7)], END + 16 * MINUTE), { lagSeconds: 0, windows: 1, share: 1 / 9 });
  assert.equal(status([sealed(0, 7)], END + 30 * MINUTE).lagSeconds, 600);
  assert.deepEqual(status([{ ...sealed(0, 7), flushedMs: 5 }], END + 9 * HOUR), {
    lagSeconds: 0,
    windows: 0,
    share: 1,
  });
});

test('owners that lost something at the same moment look one after another', () => {
  const turnsOf = (order: number) => ({ orders: new Uint8Array(64).fill(order), orderMax: 2, sizes: new Map() });
  const since = { atMs: END + HOUR, windows: [new Set([0, 1])], isFirst: true };
  const looksAfterMs = (order: number): number => {
    const plan = new FlushPlan(TIMES);
    for (let afterMs = 0; afterMs < HOUR; afterMs += 1_000) {
      const nowMs = since.atMs + afterMs;
      const request = plan.losses(
        [[open(1), sealed(0, 7)]],
        nowMs,
        { ...since, isFirst: afterMs === 0 },
        turnsOf(order),
      );
      if (request === undefined) continue;
      // what is open then goes too, what comes later stays
      assert.equal(request.sealBeforeMs, afterMs === 0 ? Number.MAX_SAFE_INTEGER : Number.MIN_SAFE_INTEGER);
      const endMs = request.late![0]!.get(0)!;
      const spread = spreadOf(request.pace, request.turns);
      const share = shareDue(request.pace!, endMs, spread);
      if (share > slotTurn(spread, 'tenant', bucketSlot(1, 0))) return afterMs;
      plan.reached([7, 8].map((sealLsn) => ({ ...reached(sealLsn, share), endMs, spread })));
    }
    throw new Error('it never looks');
  };
  const wroteAfterMs = [0, 1, 2].map(looksAfterMs);
  assert.equal(wroteAfterMs[0], 0);
  for (const order of [1, 2]) {
    const laterMs = wroteAfterMs[order]! - wroteAfterMs[order - 1]!;
    assert.ok(laterMs > 30_000 && laterMs <= MINUTE, `${laterMs} ms`);
  }
});
