import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PLACEMENT_DEFAULT, slotOf } from '../../chunkstore/placement.ts';
import { ManualClock } from '../../lib/manual-clock.ts';
import { seededRandom, shuffled } from '../../lib/random.ts';
import { decodeLabels } from '../../model/canonical.ts';

import { testFrames } from '../shard/test-frames.ts';
import { testShard } from '../shard/test-shard.ts';
import { ExportOrder } from './export-order.ts';

const NOW_MS = 1_700_000_000_000;
const LIMITS = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0, exemplarsMax: 0 };
const ALL = { placement: PLACEMENT_DEFAULT, phases: [0, 1] } as const;

/** A clock on which each look at the time takes as long as a slice: whoever may pause does. */
class SlowClock extends ManualClock {
  #looks = 0;
  turns = 0;
  onTurn = () => {};

  override monotonicMs(): number {
    return super.monotonicMs() + 10 * this.#looks++;
  }

  override async turn(): Promise<void> {
    this.turns++;
    this.onTurn();
  }
}

async function shardWith(all: readonly Record<string, string>[], clock = new ManualClock(NOW_MS)) {
  const shard = await testShard(clock);
  for (let at = 0; at < all.length; at += 2000) {
    const some = all.slice(at, at + 2000).map((labels) => ({ labels, samples: [[NOW_MS, 1]] as const }));
    await shard.push('t', testFrames(some), LIMITS);
  }
  const { head } = shard;
  const labelsOf = (ref: number) => {
    const at = head.kernel.reserve(4096);
    return Buffer.from(head.kernel.u8.slice(at, at + head.kernel.exports.seriesLabels(ref, at, 4096)));
  };
  return { head, tenant: head.tenant('t')!, arena: shard.arenas()[0]!.id, labelsOf };
}

test('series come in order of slot, metric and labels, whatever order they arrived in', async () => {
  const random = seededRandom(7);
  const letters = ['', 'a', 'A', '\u{1f600}', 'é', 'aa', 'x'.repeat(130), 'x'.repeat(127), '0', '~'];
  const some = () => letters[Math.floor(random() * letters.length)]!;
  const all = new Map<string, Record<string, string>>();
  for (let i = 0; i < 4_000; i++) {
    const labels: Record<string, string> = { __name__: ['m', 'M', 'many', 'é'][Math.floor(random() ** 2 * 4)]! };
    for (const name of ['a', 'aa', 'b', 'é', 'z']) if (random() < 0.6) labels[name] = some() + some();
    for (const name of Object.keys(labels)) if (labels[name] === '') delete labels[name];
    all.set(JSON.stringify(labels), labels);
  }
  const orders: string[] = [];
  const spread = { ...PLACEMENT_DEFAULT, buckets: 4, splits: new Map([['many', 3]]) };
  for (const placement of [PLACEMENT_DEFAULT, spread]) {
    for (let i = 0; i < 2; i++) {
      const { head, tenant, arena, labelsOf } = await shardWith(shuffled([...all.values()], random));
      const refs = await new ExportOrder(head, new ManualClock()).refs(tenant, arena, { ...ALL, placement });
      assert.equal(refs.length, all.size);
      const keys = Array.from(refs, (ref) => {
        const labels = labelsOf(ref);
        return { slot: Buffer.from(slotOf(placement, labels)), labels };
      });
      for (let k = 1; k < keys.length; k++) {
        const a = keys[k - 1]!;
        const b = keys[k]!;
        const bySlot = Buffer.compare(a.slot, b.slot);
        assert.ok(bySlot <= 0);
        const metric = (key: typeof a) => decodeLabels(key.labels, 0, key.labels.length).metricName;
        if (bySlot === 0 && metric(a) === metric(b)) assert.ok(Buffer.compare(a.labels, b.labels) < 0, `at ${k}`);
      }
      orders.push(keys.map(({ labels }) => labels.toString('hex')).join());
    }
    assert.equal(orders.pop(), orders.pop(), 'the same order');
  }
});

test('a metric of many series is put in order in pieces, whichever go meanwhile', async () => {
  const random = seededRandom(3);
  const count = 30_000;
  const labels = Array.from({ length: count }, (_, i) => ({ __name__: 'm', id: `${i}`, pod: `p${i % 100}` }));
  const clock = new SlowClock(NOW_MS);
  const { head, tenant, arena, labelsOf } = await shardWith(shuffled(labels, random), clock);
  head.holdRefs = true;
  const names = new Map<number, Buffer>();
  for (const { refs } of tenant.metrics.values()) for (const ref of refs) names.set(ref, labelsOf(ref));
  const { exports } = head.kernel;
  const gone = new Set<number>();
  let droppedAt = 0;
  clock.onTurn = () => {
    // as when a window goes: series, and the pairs that only they had
    if (++droppedAt % 3 !== 0) return;
    for (const ref of [...names.keys()].slice(droppedAt * 400, droppedAt * 400 + 300)) {
      if (gone.has(ref)) continue;
      if (exports.dropSeries(ref)) gone.add(ref);
    }
  };
  const refs = await new ExportOrder(head, clock).refs(tenant, arena, ALL);
  assert.ok(clock.turns > 10, `${clock.turns} pauses`);
  assert.ok(gone.size > 1000);
  assert.equal(new Set(refs).size, refs.length, 'each once');
  // one that goes early is not among them
  const there = new Set(refs);
  for (const ref of names.keys()) assert.ok(there.has(ref) || gone.has(ref));
  const left = [...refs].filter((ref) => !gone.has(ref)).map((ref) => names.get(ref)!);
  for (let i = 1; i < left.length; i++) assert.ok(Buffer.compare(left[i - 1]!, left[i]!) < 0, `at ${i}`);
});
