import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from 'cassandra-driver';
import { systemClock } from '../../src/lib/clock.ts';
import { AppError } from '../../src/model/errors.ts';
import type { CassandraConfig } from '../../src/table/cassandra/config.ts';
import { openCassandra } from '../../src/table/cassandra/store.ts';
import { singleNode, withStore } from './cassandra.ts';
import { kvSuite, tableKv } from './kv-suite.ts';
import { all, bytes, row, tableSuite } from './table-suite.ts';

const { CASSANDRA_PORT: port } = process.env;

if (port === undefined) test('cassandra: needs CASSANDRA_PORT', { skip: true });
else {
  const config = singleNode(port, 'suite');
  tableSuite({ name: 'cassandra', open: () => openCassandra(config, { clock: systemClock }) });
  kvSuite({ name: 'keys in cassandra', open: () => tableKv(() => openCassandra(config, { clock: systemClock })) });

  const run = `${Date.now().toString(36)}${process.pid.toString(36)}`;

  test('cassandra tables are made with the compaction for what is written once and dropped', async () => {
    const tableOptions = "compaction = {'class': 'LeveledCompactionStrategy'} AND gc_grace_seconds = 7200";
    const want = [
      [config, 'TimeWindowCompactionStrategy', 'DAYS', '1', 864_000],
      [{ ...config, tableOptions }, 'LeveledCompactionStrategy', undefined, undefined, 7200],
    ] as const;
    for (const [settings, strategy, unit, size, graceS] of want) {
      const table = `made_${run}_${strategy.slice(0, 5).toLowerCase()}`;
      await withStore(settings, (store) => store.admin.create(table));
      const [found] = await ask(
        'SELECT compaction, gc_grace_seconds FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?',
        ['suite', table],
      );
      const { compaction, gc_grace_seconds } = found as {
        compaction: Record<string, string>;
        gc_grace_seconds: number;
      };
      assert.equal(compaction.class!.split('.').at(-1), strategy);
      assert.equal(compaction.compaction_window_unit, unit);
      assert.equal(compaction.compaction_window_size, size);
      assert.equal(gc_grace_seconds, graceS);
      await withStore(settings, (store) => store.admin.drop(table));
    }
  });

  test('cassandra keyspaces are made with as many copies as was said, and where', async () => {
    const replication = { datacenter1: '1' };
    for (const [settings, want] of [
      [
        { ...config, replicationFactor: 2 },
        { class: 'SimpleStrategy', replication_factor: '2' },
      ],
      [
        { ...config, replication },
        { class: 'NetworkTopologyStrategy', datacenter1: '1' },
      ],
    ] as const) {
      const keyspace = `k${run}${want.class.slice(0, 3).toLowerCase()}`;
      await withStore({ ...settings, keyspace }, (store) => store.admin.list());
      const [found] = await ask('SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?', [keyspace]);
      const { class: strategy, ...copies } = found!.replication as Record<string, string>;
      assert.deepEqual({ class: strategy!.split('.').at(-1), ...copies }, want);
      await ask(`DROP KEYSPACE ${keyspace}`);
    }
  });

  test('cassandra with one of three copies alive: each level asks for as many as it says', async () => {
    const keyspace = `three${run}`;
    const three = { ...config, keyspace, replication: { datacenter1: '3' }, maxRetries: 0 };
    await withStore({ ...three, consistency: 'ONE' }, async (store) => {
      await store.admin.create('t');
      await store.client.write('t', [row('h', 'r', 'v')]);
    });
    // what Cassandra says it could not reach
    const want = {
      ONE: [],
      LOCAL_ONE: [],
      QUORUM: ['write QUORUM', 'batch QUORUM', 'delete QUORUM', 'query QUORUM'],
      LOCAL_QUORUM: ['write LOCAL_QUORUM', 'batch LOCAL_QUORUM', 'delete LOCAL_QUORUM', 'query LOCAL_QUORUM'],
      EACH_QUORUM: ['write EACH_QUORUM', 'batch EACH_QUORUM', 'delete EACH_QUORUM', 'query LOCAL_QUORUM'],
      ALL: ['write ALL', 'batch ALL', 'delete ALL', 'query ALL'],
    } as const;
    for (const [consistency, failures] of Object.entries(want)) {
      const settings = { ...three, consistency: consistency as CassandraConfig['consistency'] };
      const failed = await withStore(settings, async ({ client }) => {
        const calls = {
          write: () => client.write('t', [row('h', 'r', 'v')]),
          batch: () => client.write('t', [row('h', 'r', 'v'), row('h', 's', 'v')]),
          delete: () => client.delete('t', [row('h', 's')]),
          query: () => all(client.query({ table: 't', hash: bytes('h') })),
        };
        const found: string[] = [];
        for (const [name, call] of Object.entries(calls)) {
          const level = await unreached(call);
          if (level !== undefined) found.push(`${name} ${level}`);
        }
        // a decision needs a majority of all copies, whatever the level
        const decision = await unreached(() => client.compareAndSet('t', row('h', 'c'), undefined, bytes('v')));
        assert.equal(decision, consistency.startsWith('LOCAL') ? 'LOCAL_QUORUM' : 'QUORUM');
        return found;
      });
      assert.deepEqual(failed, failures, consistency);
    }
    await ask(`DROP KEYSPACE ${keyspace}`);
  });

  test('cassandra batches are unlogged, and each is of one partition', async () => {
    const table = `batches_${run}`;
    await withStore(config, async ({ admin, client }) => {
      await admin.create(table);
      const rows = Array.from({ length: 300 }, (_, i) => row(`h${i % 10}`, `${i}`, 'v'));
      await client.write(table, rows);
      await client.delete(table, rows);
      await admin.drop(table);
    });
    // of all that was sent to the node so far
    const metrics = await ask('SELECT name, max FROM system_views.batch_metrics');
    const most = Object.fromEntries(metrics.map(({ name, max }) => [String(name), Number(max)]));
    assert.equal(most.partitions_per_unlogged_batch, 1);
    assert.equal(most.partitions_per_logged_batch, 0);
  });

  test('cassandra prepares its statements once, whatever their values', async () => {
    const table = `prepared_${run}`;
    await withStore(config, async ({ admin, client }) => {
      await admin.create(table);
      for (let i = 0; i < 20; i++) {
        await client.write(table, [row(`h${i}`, 'r', `${i}`), row(`h${i}`, 's', `${i}`)]);
        await all(client.query({ table, hash: bytes(`h${i}`), from: bytes(`${i}`) }));
        await client.delete(table, [row(`h${i}`, 'r')]);
      }
      const prepared = await ask('SELECT query_string FROM system.prepared_statements');
      const own = prepared.map((each) => String(each.query_string)).filter((cql) => cql.includes(table));
      assert.deepEqual(own.map((cql) => cql.split(' ')[0]).sort(), ['DELETE', 'INSERT', 'SELECT'], own.join('\n'));
      await admin.drop(table);
    });
  });
}

/** The level that too few copies were alive for; undefined where the call is answered. */
async function unreached(call: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await call();
    return undefined;
  } catch (thrown) {
    assert.ok(thrown instanceof AppError && thrown.facts.id === 'store-unavailable', String(thrown));
    return / at consistency (?:level )?([A-Z_]+)/.exec(thrown.message)?.[1] ?? thrown.message;
  }
}

/** Asks the node itself. */
async function ask(cql: string, params: string[] = []): Promise<Record<string, unknown>[]> {
  const client = new Client({
    contactPoints: ['127.0.0.1'],
    localDataCenter: 'datacenter1',
    protocolOptions: { port: Number(port) },
    socketOptions: { readTimeout: 30_000 },
  });
  try {
    return (await client.execute(cql, params)).rows as unknown as Record<string, unknown>[];
  } finally {
    await client.shutdown();
  }
}
