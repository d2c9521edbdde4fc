import assert from 'node:assert/strict';
import { test } from 'node:test';
import zlib from 'node:zlib';
import fc from 'fast-check';
import { BytesError } from '../lib/bytes.ts';
import { after, memberOf, membersOf, ringOf } from './test-ring.ts';
import { decodeVersion, encodeVersion, type RingVersion } from './version.ts';

/** A version with some of everything. */
function rich(): RingVersion {
  const first = ringOf(membersOf(5, 3), 64, 3);
  const next = after(after(first, { kind: 'drain', id: memberOf(3, 3).id }), { kind: 'join', member: memberOf(7, 3) });
  return {
    ...next,
    floor: 2,
    givenUp: ['ingester-x', 'ingester-y'],
    givenUpMs: 1_700_000_000_000,
    lost: [{ id: 'ingester-w', atMs: 1_690_000_000_000 }],
    tenants: new Map([
      ['b', { buckets: 1, splits: new Map([['m', 16]]) }],
      ['a', { buckets: 256, splits: new Map() }],
      [
        'ä',
        {
          buckets: 16,
          splits: new Map([
            ['z', 4096],
            ['käse', 256],
          ]),
        },
      ],
    ]),
  };
}

/** The bytes with another content and a checksum that is right. */
function sealed(content: Uint8Array, format = 1): Uint8Array {
  const out = new Uint8Array(5 + content.length);
  out[0] = format;
  new DataView(out.buffer).setUint32(1, zlib.crc32(content), true);
  out.set(content, 5);
  return out;
}

test('a version comes back as it was written, and equal ones have equal bytes', () => {
  const version = rich();
  const bytes = encodeVersion(version);
  const back = decodeVersion(bytes);
  assert.deepEqual(Buffer.from(encodeVersion(back)), Buffer.from(bytes));
  assert.deepEqual({ ...back, tenants: 0 }, { ...version, tenants: 0 });
  assert.deepEqual([...back.tenants.keys()], ['a', 'b', 'ä']);
  assert.deepEqual(back.tenants.get('ä')!.splits, version.tenants.get('ä')!.splits);
  const reordered = { ...version, tenants: new Map([...version.tenants].reverse()) };
  assert.deepEqual(Buffer.from(encodeVersion(reordered)), Buffer.from(bytes));
});

test('fields of later builds come back, also where nobody was lost, and go on from version to version', () => {
  const later = new Map([
    ['later-a', Buffer.from('1')],
    ['later-b', new Uint8Array(0)],
  ]);
  const { lost, ...without } = rich();
  for (const version of [
    { ...without, later },
    { ...without, lost: lost!, later },
  ]) {
    const bytes = encodeVersion(version);
    const back = decodeVersion(bytes);
    assert.deepEqual(Buffer.from(encodeVersion(back)), Buffer.from(bytes));
    assert.deepEqual(
      [...back.later!].map(([name, value]) => [name, Buffer.from(value).toString()]),
      [
        ['later-a', '1'],
        ['later-b', ''],
      ],
    );
    assert.equal(back.lost === undefined, !('lost' in version));
    const next = after(back, { kind: 'join', member: memberOf(8, 3) });
    assert.deepEqual(decodeVersion(encodeVersion(next)).later, back.later);
  }
  const twice = Buffer.concat([encodeVersion({ ...without, later }).subarray(5), Buffer.from([1, 97, 0, 1, 97, 0])]);
  assert.throws(() => decodeVersion(sealed(twice)), /without a name of its own/);
  const many = new Map(Array.from({ length: 65 }, (_, i) => [`f${i}`, Buffer.from('1')]));
  assert.throws(() => decodeVersion(encodeVersion({ ...without, later: many })), /more than 64 fields/);
});

test('more than 255 members and arcs that lack owners come back, too', () => {
  const many = ringOf(membersOf(300, 3), 1024, 3);
  assert.deepEqual(decodeVersion(encodeVersion(many)).owners, many.owners);
  const few = after(ringOf(membersOf(3, 3), 64, 3), { kind: 'remove', id: memberOf(1, 3).id }, true);
  assert.deepEqual(decodeVersion(encodeVersion(few)).owners, few.owners);
});

test('a version of 1,000 members is under 350 KB', () => {
  const bytes = encodeVersion(ringOf(membersOf(1000, 3), 16_384, 3)).length;
  assert.ok(bytes < 350_000, `${bytes} bytes`);
});

test('a version that is cut or changed anywhere is refused', () => {
  const bytes = encodeVersion(rich());
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => decodeVersion(bytes.subarray(0, length)), BytesError);
    const flipped = bytes.slice();
    flipped[length]! ^= 1 << (length % 8);
    assert.throws(() => decodeVersion(flipped), BytesError);
  }
  assert.throws(() => decodeVersion(sealed(bytes.subarray(5), 2)), /format 2, known is 1/);
});

test('whatever has a right checksum is refused by name, or is the version that is written as these bytes', () => {
  const content = encodeVersion(rich()).subarray(5);
  const change = fc.record({
    at: fc.nat(content.length - 1),
    bytes: fc.uint8Array({ maxLength: 12 }),
    drop: fc.nat(12),
  });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
      let changedContent: Uint8Array = content;
      for (const { at, bytes, drop } of changes) {
        changedContent = Buffer.concat([changedContent.subarray(0, at), bytes, changedContent.subarray(at + drop)]);
      }
      const input = sealed(changedContent);
      try {
        const version = decodeVersion(input);
        assert.deepEqual(Buffer.from(encodeVersion(version)), Buffer.from(input));
      } catch (error) {
        assert.ok(error instanceof BytesError, String(error));
      }
    }),
    { numRuns: 5000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      assert.throws(() => decodeVersion(sealed(bytes)), BytesError);
    }),
    { numRuns: 2000 },
  );
});

test('what no ring can be is refused, each with its reason', () => {
  const version = rich();
  const members = version.members;
  const owners = (change: (owners: Uint16Array) => void) => {
    const changedOwners = version.owners.slice();
    change(changedOwners);
    return { owners: changedOwners };
  };
  const drained = members.findIndex(({ state }) => state === 'draining');
  const cases: [Partial<RingVersion>, RegExp][] = [
    [{ number: 0 }, /version 0/],
    [{ number: 1 }, /version 1 of parent/],
    [{ parent: undefined }, /version 3 of parent/],
    [{ floor: 4 }, /floor 4 of version 3/],
    [{ floor: 0 }, /floor 0/],
    [{ replicas: 0, owners: new Uint16Array(0) }, /0 owners/],
    [{ replicas: 8 }, /8 owners/],
    [{ arcs: 8 }, /8 arcs/],
    [{ arcs: 32_768 }, /32768 arcs/],
    [{ members: [...members].reverse() }, /members are not in ascending order/],
    [{ members: [members[0]!, ...members.slice(0, -1)] }, /members are not in ascending order/],
    [{ members: members.map((member) => ({ ...member, id: '' })) }, /without name/],
    [{ members: members.map((member) => ({ ...member, zone: 'z'.repeat(257) })) }, /above 256/],
    [owners((all) => all.fill(drained, 0, 1)), /no active member/],
    [owners((all) => all.fill(200, 0, 1)), /no active member/],
    [owners((all) => all.set([all[4]!], 3)), /two times the same owner of arc 1/],
    [owners((all) => all.fill(0xffff, 0, 3)), /arc 0 has no owner/],
    [owners((all) => all.fill(0xffff, 1, 2)), /an owner behind none of arc 0/],
    [{ givenUpMs: 0 }, /2 owners given up at 0/],
    [{ givenUp: [] }, /0 owners given up at 1700000000000/],
    [{ givenUp: ['b', 'a'] }, /given up are not in ascending order/],
    [{ lost: [] }, /0 owners lost/],
    [{ lost: ['b', 'a'].map((id) => ({ id, atMs: 1 })) }, /lost are not in ascending order/],
    [{ lost: Array.from({ length: 101 }, (_, i) => ({ id: String(1000 + i), atMs: 1 })) }, /101 owners lost/],
    [{ tenants: new Map([['t', { buckets: 1, splits: new Map() }]]) }, /a tenant of one slot/],
    [{ tenants: new Map([['t', { buckets: 17, splits: new Map() }]]) }, /a number of slots that there is not/],
    [{ tenants: new Map([['t', { buckets: 16, splits: new Map([['m', 1]]) }]]) }, /a split metric of one part/],
  ];
  for (const [change, reason] of cases) {
    assert.throws(() => decodeVersion(encodeVersion({ ...version, ...change })), reason);
  }
});
