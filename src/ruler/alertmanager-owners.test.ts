import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MEMBER_TIMING, MemberRows } from '../chunkstore/documents/member-rows.ts';
import { StateRows } from '../chunkstore/documents/state-rows.ts';
import { TenantTables } from '../chunkstore/documents/tables.ts';
import { Schema } from '../chunkstore/schema.ts';
import { ALERTMANAGERS } from '../contract/alertmanager.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { systemBytes } from '../lib/random.ts';
import { alertmanagerErrors } from '../model/errors-alertmanager.ts';
import { MemoryTableStore } from '../table/memory.ts';
import { AlertmanagerOwners } from './alertmanager-owners.ts';

const TENANTS = Array.from({ length: 20 }, (_, i) => `t${i}`);
const { signal } = new AbortController();

async function stage() {
  const clock = new ManualClock();
  const tables = new MemoryTableStore();
  const period = {
    fromMs: Number.NEGATIVE_INFINITY,
    tables: { client: tables, admin: tables, limits: tables.limits },
    tablePrefix: 'p_',
    tableMs: 86_400_000,
  };
  const rows = new StateRows(await TenantTables.open(new Schema([period])), systemBytes);
  const member = (id: string, address = `at-${id}`) =>
    new MemberRows({ rows, kind: ALERTMANAGERS, self: { id, address }, clock, isAsked: true });
  const taken: string[] = [];
  /** Alertmanagers that say that another one holds the tenant, as often as told. */
  const refusing = new Map<string, number>();
  const owners = new AlertmanagerOwners({
    rows,
    clock,
    at: (address) => ({
      async post(tenant) {
        const left = refusing.get(address) ?? 0;
        refusing.set(address, left - 1);
        if (left > 0) throw alertmanagerErrors.tenantElsewhere({ tenant });
        taken.push(`${tenant} ${address}`);
      },
    }),
  });
  const post = (tenant: string) => owners.post(tenant, [], signal);
  return { clock, rows, member, owners, taken, refusing, post };
}

test("a tenant's alerts go to the Alertmanager that its members hold for the owner", async () => {
  const { clock, member, owners, taken, post } = await stage();
  assert.equal(await owners.look(signal), false);
  assert.equal(owners.isAway, true);
  await assert.rejects(post('t0'), /no Alertmanager/);
  const members = ['a', 'b', 'c'].map((id) => member(id));
  // one that nobody can ask
  await member('deaf', '').beat();
  for (const each of members) await each.beat();
  for (const each of members) await each.look();
  assert.equal(await owners.look(signal), true);
  assert.equal(await owners.look(signal), false);
  assert.equal(owners.isAway, false);
  for (const tenant of TENANTS) await post(tenant);
  const expected = TENANTS.map((tenant) => `${tenant} ${members[0]!.ownerOf(tenant).address}`);
  assert.deepEqual(taken.splice(0), expected);
  assert.ok(new Set(expected.map((each) => each.split(' ')[1])).size === 3);

  // one that leaves is gone at once, one whose row stands still after a while
  await members[1]!.leave();
  assert.equal(await owners.look(signal), true);
  for (const tenant of TENANTS) await post(tenant);
  assert.ok(taken.splice(0).every((each) => !each.endsWith('at-b')));
  for (let ms = 0; ms < MEMBER_TIMING.goneMs; ms += MEMBER_TIMING.beatMs) {
    await clock.advance(MEMBER_TIMING.beatMs);
    await members[2]!.beat();
    await owners.look(signal);
  }
  for (const tenant of TENANTS) await post(tenant);
  assert.ok(taken.splice(0).every((each) => each.endsWith('at-c')));
});

test('an owner that has just lost the tenant is asked again, a few times', async () => {
  const { clock, member, owners, taken, refusing, post } = await stage();
  await member('a').beat();
  await owners.look(signal);
  const posted = async () => {
    const done = post('t0').then(
      () => 'taken',
      (error: Error) => error.message,
    );
    for (let i = 0; i < 10; i++) await clock.advance(200);
    return done;
  };
  refusing.set('at-a', 2);
  assert.equal(await posted(), 'taken');
  assert.deepEqual(taken, ['t0 at-a']);
  refusing.set('at-a', 9);
  assert.match(await posted(), /another Alertmanager holds t0/);
});

test('an Alertmanager gets alerts while its row cannot be read, and is not away when it is gone, so that they are counted', async (t) => {
  const { clock, rows, member, owners, taken, post } = await stage();
  await member('a').beat();
  await owners.look(signal);
  // biome-ignore lint/correctness/useYield: the store is away
  const list = t.mock.method(rows, 'list', async function* () {
    throw new Error('the store is away');
  });
  for (let ms = 0; ms < 2 * MEMBER_TIMING.goneMs; ms += MEMBER_TIMING.beatMs) {
    await clock.advance(MEMBER_TIMING.beatMs);
    await assert.rejects(owners.look(signal), /the store is away/);
  }
  await post('t0');
  assert.deepEqual([taken, owners.isAway], [['t0 at-a'], false]);

  list.mock.restore();
  let looks = 0;
  do await clock.advance(MEMBER_TIMING.beatMs);
  while (++looks < 10 && !(await owners.look(signal)));
  // two beats of the time before the first of them are counted
  assert.equal(looks, MEMBER_TIMING.goneMs / MEMBER_TIMING.beatMs - 1);
  assert.equal(owners.isAway, false);
  await assert.rejects(post('t0'), /no Alertmanager is seen/);
  await member('b').beat();
  assert.equal(await owners.look(signal), true, 'who comes hears of what fires');
});

test('members that could not move their rows while the store was away are not gone when it is back', async (t) => {
  const { clock, rows, member, owners, taken, post } = await stage();
  const members = ['a', 'b'].map((id) => member(id));
  for (const each of members) await each.beat();
  for (const each of members) await each.look();
  await owners.look(signal);
  const owned = members.map((each) => TENANTS.filter((tenant) => each.owns(tenant)));
  const away = [t.mock.method(rows, 'list'), t.mock.method(rows, 'compareAndSet')];
  for (const { mock } of away) {
    mock.mockImplementation(() => {
      throw new Error('the store is away');
    });
  }
  for (let ms = 0; ms < 2 * MEMBER_TIMING.goneMs; ms += MEMBER_TIMING.beatMs) {
    await clock.advance(MEMBER_TIMING.beatMs);
    for (const each of members) await assert.rejects(each.beat(), /the store is away/);
    await assert.rejects(owners.look(signal), /the store is away/);
  }
  for (const { mock } of away) mock.restore();
  // who looks first sees rows that nobody has moved yet
  assert.equal(await owners.look(signal), false);
  for (const tenant of TENANTS) await post(tenant);
  assert.equal(new Set(taken.map((each) => each.split(' ')[1])).size, 2);
  for (const each of members) assert.equal(await each.beat(), false);
  assert.deepEqual(
    members.map((each) => TENANTS.filter((tenant) => each.owns(tenant))),
    owned,
  );
});

test('that owners are others is told by the next look, whatever a refused post saw before', async () => {
  const { clock, member, owners, refusing, post } = await stage();
  await member('a').beat();
  await owners.look(signal);
  await member('b').beat();
  refusing.set('at-a', 1);
  refusing.set('at-b', 1);
  const posted = TENANTS.map(post);
  for (let i = 0; i < 5; i++) await clock.advance(200);
  await Promise.all(posted);
  assert.equal(await owners.look(signal), true);
  assert.equal(await owners.look(signal), false);
});

test('readings at the same time are one, and one that is left does not fail the others', async (t) => {
  const { rows, member, owners } = await stage();
  await member('a').beat();
  const gate = Promise.withResolvers<void>();
  const { list } = rows;
  const listed = t.mock.method(rows, 'list', async function* (this: StateRows, ...asked: Parameters<typeof list>) {
    await gate.promise;
    asked[2]?.throwIfAborted();
    yield* list.apply(this, asked);
  });
  const leaves = new AbortController();
  const left = owners.look(leaves.signal);
  const others = [owners.look(signal), owners.look(signal)];
  leaves.abort(new Error('enough'));
  gate.resolve();
  await assert.rejects(left, /enough/);
  assert.deepEqual((await Promise.all(others)).sort(), [false, true]);
  assert.equal(listed.mock.callCount(), 2);
});
