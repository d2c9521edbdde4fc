import assert from 'node:assert/strict';
import { test } from 'node:test';
import { after, memberOf, membersOf, ringOf } from './test-ring.ts';
import { encodeVersion, hashOfVersion, ownersOf, type RingVersion } from './version.ts';
import { RingView } from './view.ts';

test('a writer uses the newest version that counts', () => {
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
    if (ownersOf(second, arc).includes(newcomer)) moved++;
  }
  assert.ok(moved > 25, `${moved} tenants moved`);
  const counted = new RingView({ chain: [first, second], hash, confirmed: 2, words: new Map(), wordMs: 0 });
  assert.ok(tenants.some((tenant) => counted.ownersOf(counted.slots.arcOf(tenant, 1, 2)).includes(newcomer)));
});

test('nobody writes under a first version that does not count yet', () => {
  const first = ringOf(membersOf(3, 3), 64, 3);
  const view = new RingView({ chain: [first], hash: '', confirmed: 0, words: new Map(), wordMs: 0 });
  assert.throws(() => view.slots, /the first version of the ring is not confirmed by all of its 3 members yet/);
});

test('an address that another member has by now leads to nobody who had it before', () => {
  const first = ringOf(membersOf(3, 3), 64, 3);
  const [gone, stays] = first.members;
  const heir = { ...gone!, id: `${gone!.id}-anew` };
  const second = after(first, { kind: 'replace', id: gone!.id, member: heir });
  const viewOf = (chain: RingVersion[]) => new RingView({ chain, hash: '', confirmed: 1, words: new Map(), wordMs: 0 });
  assert.equal(viewOf([first]).addressOf(gone!.id), gone!.address);
  const view = viewOf([first, second]);
  assert.equal(view.addressOf(gone!.id), undefined, 'its heir has nothing of what it held');
  assert.equal(view.addressOf(heir.id), gone!.address);
  assert.equal(view.addressOf(stays!.id), stays!.address);
  const elsewhere = after(first, { kind: 'replace', id: gone!.id, member: { ...heir, address: '10.9.9.9:9095' } });
  assert.equal(viewOf([first, elsewhere]).addressOf(gone!.id), gone!.address, 'who was taken out may live on');
  assert.equal(view.addressOf('nobody'), undefined);
});
