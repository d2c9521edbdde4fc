import assert from 'node:assert/strict';
import { test } from 'node:test';
import { metricHashOf } from './slots.ts';
import { after, childOf, memberOf, membersOf, ringOf } from './test-ring.ts';
import { encodeVersion, hashOfVersion, ownersOf } from './version.ts';
import { RingView } from './view.ts';

test('a writer uses the newest version that counts, a reader the newest that is known and older ones too', () => {
  const first = ringOf(membersOf(3, 3), 64, 3);
  const second = after(first, { kind: 'join', member: memberOf(3, 3) });
  const newcomer = memberOf(3, 3).id;
  const hash = hashOfVersion(encodeVersion(second));
  const view = new RingView({ chain: [first, second], hash, confirmed: 1, words: new Map(), wordMs: 0 });
  const tenants = Array.from({ length: 100 }, (_, i) => `tenant-${i}`);
  let moved = 0;
  for (const tenant of tenants) {
    const arc = view.slots.arcOf(tenant, 1, 2);
    assert.deepEqual(view.ownersOf(arc), ownersOf(first, arc), 'the newcomer has not confirmed');
    const asks = view.asksOfTenant(tenant);
    if (!ownersOf(second, arc).includes(newcomer)) continue;
    moved++;
    assert.deepEqual(
      asks.map(({ version, quorum }) => [version, quorum]),
      [
        [2, 2],
        [1, 2],
      ],
    );
  }
  assert.ok(moved > 25, `${moved} tenants moved`);
  const counted = new RingView({ chain: [first, second], hash, confirmed: 2, words: new Map(), wordMs: 0 });
  assert.ok(tenants.some((tenant) => counted.ownersOf(counted.slots.arcOf(tenant, 1, 2)).includes(newcomer)));
});

test('a metric of a tenant that grew is looked for where it was before as well', () => {
  const first = ringOf(membersOf(6, 3), 64, 3);
  const second = childOf(first, { tenants: new Map([['grown', { buckets: 16, splits: new Map() }]]) });
  const hash = hashOfVersion(encodeVersion(second));
  const view = new RingView({ chain: [first, second], hash, confirmed: 2, words: new Map(), wordMs: 0 });
  const before = new RingView({ chain: [first], hash, confirmed: 1, words: new Map(), wordMs: 0 });
  let elsewhere = 0;
  for (let metric = 0; metric < 40; metric++) {
    const metricHash = metricHashOf(`metric_${metric}`);
    const old = ownersOf(first, before.slots.arcOf('grown', metricHash, 0));
    const now = ownersOf(second, view.slots.arcOf('grown', metricHash, 0));
    const asked = view.asksOfMetric('grown', metricHash).map(({ owners }) => owners.toSorted().join());
    assert.ok(asked.includes(old.toSorted().join()) && asked.includes(now.toSorted().join()));
    if (asked.length === 2) elsewhere++;
  }
  assert.ok(elsewhere > 10, `${elsewhere} metrics are elsewhere now`);
});

test('nobody writes under a first version that does not count yet', () => {
  const first = ringOf(membersOf(3, 3), 64, 3);
  const view = new RingView({ chain: [first], hash: '', confirmed: 0, words: new Map(), wordMs: 0 });
  assert.throws(() => view.slots, /the first version of the ring is not confirmed by all of its 3 members yet/);
  assert.equal(view.asksOfTenant('t').length, 1);
});
