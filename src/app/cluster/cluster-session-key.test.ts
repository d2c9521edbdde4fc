import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultsOf } from '../../kit/config/section.ts';
import { Gate } from '../../kit/http/auth.ts';
import { authConfig } from '../../kit/http/config.ts';
import { SESSION_COOKIE } from '../../kit/http/session.ts';
import { silentLogger } from '../../kit/observe/log.ts';
import type { KvClient } from '../../kv/client.ts';
import { TableKv } from '../../kv/table.ts';
import { ManualClock } from '../../lib/manual-clock.ts';
import { systemBytes } from '../../lib/random.ts';
import { MemoryTableStore } from '../../table/memory.ts';
import { ClusterSessionKey } from './cluster-session-key.ts';

const USERS = 'users:\n- {name: ann, password: secret-a}\n';

/** A process of a cluster: what it takes a request for. */
async function processOn(kv: KvClient, clock: ManualClock) {
  const keeper = new ClusterSessionKey({ kv, log: silentLogger, clock });
  const auth = { ...defaultsOf(authConfig), usersFile: 'users.yaml' };
  const gate = Gate.of(auth, { clock, readText: () => USERS, sessionKey: () => keeper.key });
  const starting = keeper.start(new AbortController().signal);
  const ask = (cookie: string) =>
    gate.identify({ cookie: `${SESSION_COOKIE}=${cookie}`, 'sec-fetch-site': 'same-origin' });
  const session = () => gate.session({ name: 'ann', tenants: undefined, rights: [] })!.value;
  return { keeper, starting, ask, session };
}

test('a session that one process began is honoured by the others on the same store', async (t) => {
  const clock = new ManualClock();
  const store = new MemoryTableStore();
  // each process has a client of its own, and both come at the same time
  const kvs = [0, 1].map(() => new TableKv({ store, table: 'ring', clock, randomBytes: systemBytes }));
  const [a, b] = await Promise.all(kvs.map((kv) => processOn(kv, clock)));
  t.after(() => Promise.all([a!, b!].map(({ keeper }) => keeper.stop())));
  await Promise.all([a!.starting, b!.starting]);
  assert.equal(b!.ask(a!.session()).name, 'ann');
  assert.equal(a!.ask(b!.session()).name, 'ann');
  const c = await processOn(
    new TableKv({ store: new MemoryTableStore(), table: 'ring', clock, randomBytes: systemBytes }),
    clock,
  );
  t.after(() => c.keeper.stop());
  await c.starting;
  assert.throws(() => c.ask(a!.session()), /authentication required/, 'of another cluster');
});

test('a process starts while the store is away, says so to whoever has a session, and honours it when the store is back', async (t) => {
  const clock = new ManualClock();
  const kv = new TableKv({ store: new MemoryTableStore(), table: 'ring', clock, randomBytes: systemBytes });
  const a = await processOn(kv, clock);
  t.after(() => a.keeper.stop());
  await a.starting;
  const session = a.session();
  let away = true;
  const flaky = new Proxy(kv, {
    get: (target, name) => {
      if (name !== 'get') return Reflect.get(target, name);
      return (key: string, signal?: AbortSignal) =>
        away ? Promise.reject(new Error('away')) : target.get(key, signal);
    },
  });
  const b = await processOn(flaky, clock);
  t.after(() => b.keeper.stop());
  await clock.advance(11_000);
  await b.starting;
  assert.throws(() => b.ask(session), /the key of sessions is not known yet/);
  away = false;
  await clock.advance(2_000);
  assert.equal(b.ask(session).name, 'ann');
});
