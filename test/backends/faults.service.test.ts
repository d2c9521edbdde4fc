import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { defaultsOf } from '../../src/kit/config/section.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { S3ObjectClient } from '../../src/object/s3/client.ts';
import { s3Config } from '../../src/object/s3/config.ts';
import { bigtableConfig } from '../../src/table/bigtable/config.ts';
import { openBigtable } from '../../src/table/bigtable/store.ts';
import { cassandraConfig } from '../../src/table/cassandra/config.ts';
import { openCassandra } from '../../src/table/cassandra/store.ts';
import type { TableStore } from '../../src/table/client.ts';
import { dynamodbConfig } from '../../src/table/dynamodb/config.ts';
import { openDynamodb } from '../../src/table/dynamodb/store.ts';
import { storeThroughFaults } from '../faults/store-suite.ts';
import { TcpProxy } from '../faults/tcp-proxy.ts';
import { objectServices, openStores, PREFIX, tableServices } from './e2e-stores.ts';
import { all, bytes, row, show } from './table-suite.ts';

const { CASSANDRA_PORT, DYNAMODB_PORT, BIGTABLE_PORT, MOTO_PORT } = process.env;
const s3 = objectServices.find(({ name }) => name === 'moto')!;
const timeoutMs = 1500;
const retries = { maxRetries: 30, minBackoffMs: 20, maxBackoffMs: 500, timeoutMs };

const tables: [name: string, port: string | undefined, open: (port: number) => Promise<TableStore>][] = [
  [
    'cassandra',
    CASSANDRA_PORT,
    (port) =>
      openCassandra(
        {
          ...defaultsOf(cassandraConfig),
          addresses: ['127.0.0.1'],
          port,
          keyspace: 'faults',
          replicationFactor: 1,
          maxRetries: 30,
          retryMinBackoffMs: 20,
          retryMaxBackoffMs: 500,
          timeoutMs,
          connectTimeoutMs: timeoutMs,
        },
        { clock: systemClock },
      ),
  ],
  [
    'dynamodb',
    DYNAMODB_PORT,
    (port) =>
      openDynamodb(
        {
          ...defaultsOf(dynamodbConfig),
          endpoint: `http://127.0.0.1:${port}`,
          accessKeyId: 'test',
          secretAccessKey: 'test',
          ...retries,
        },
        { clock: systemClock },
      ),
  ],
  [
    'bigtable',
    BIGTABLE_PORT,
    (port) =>
      openBigtable(
        {
          ...defaultsOf(bigtableConfig),
          project: 'test',
          instance: 'faults',
          emulatorHost: `127.0.0.1:${port}`,
          ...retries,
        },
        { clock: systemClock },
      ),
  ],
];

const weathers = {
  'cuts every now and then': { delayMs: 5, cut: 0.02 },
  'delays and stalls': { delayMs: 20, stall: 0.005 },
};

// they wait more than they compute: stores beside each other, the tests of each one after another
describe('faults', { concurrency: tables.length + 1 }, () => {
  for (const [name, port, open] of tables) {
    if (port === undefined) test(`faults of ${name}: needs its port`, { skip: true });
    else describe(name, { concurrency: 1 }, () => faultsOf(name, port, open));
  }
  if (MOTO_PORT === undefined) test('faults of s3: needs MOTO_PORT', { skip: true });
  else describe('s3', { concurrency: 1 }, () => faultsOfS3(Number(MOTO_PORT)));
});

function faultsOf(name: string, port: string, open: (port: number) => Promise<TableStore>): void {
  for (const [what, weather] of Object.entries(weathers)) {
    test(`${name} through a network that ${what}: nothing lost, nothing twice`, { timeout: 400_000 }, async () => {
      const proxy = await TcpProxy.listen(Number(port));
      const store = await open(proxy.port);
      const table = `f${Date.now().toString(36)}`;
      try {
        await store.admin.create(table);
        proxy.weather = weather;
        const want: string[] = [];
        for (let i = 0; i < 20; i++) {
          const rows = Array.from({ length: 50 }, (_, j) =>
            row('h', String(i * 50 + j).padStart(5, '0'), 'v'.repeat(500)),
          );
          want.push(...rows.map((one) => show(one.range)));
          await store.client.write(table, rows);
        }
        const got = await all(store.client.query({ table, hash: bytes('h'), strong: true }));
        assert.deepEqual(
          got.map((one) => show(one.range)),
          want,
        );
        for (let i = 0; i < 20; i++) {
          const expected = i === 0 ? undefined : bytes(`value ${i - 1}`);
          assert.equal(await store.client.compareAndSet(table, row('c', 'c'), expected, bytes(`value ${i}`)), true);
        }
      } finally {
        proxy.weather = {};
        await store.admin.drop(table);
        await store.client.close();
        await proxy.close();
      }
    });
  }

  if (MOTO_PORT !== undefined) {
    const title = `${name} and s3 that throttle, fail, lose answers and do things twice: each sample is there once`;
    test(title, { timeout: 400_000 }, async () => {
      await s3.prepare?.(s3.port!);
      const service = tableServices.find((each) => each.name === name)!;
      const prefix = `${PREFIX}seam_${name}_`;
      const flags = [...service.flags(service.port!), ...s3.flags(s3.port!), `-schema.prefix=${prefix}`];
      const { schema, close } = await openStores(flags);
      const { tables, objects } = schema.periods[0]!;
      await storeThroughFaults({ tables, objects: objects!, prefix });
      await close();
    });
  }

  test(`${name} that comes and goes for ten seconds: each write there, and no error that nobody awaits`, {
    timeout: 300_000,
  }, async () => {
    const end = Date.now() + 10_000;
    const onePeer = async (peer: number) => {
      const proxy = await TcpProxy.listen(Number(port));
      const store = await open(proxy.port);
      const table = `f${peer}${Date.now().toString(36)}`;
      await store.admin.create(table);
      const want: string[] = [];
      while (Date.now() < end) {
        if (want.length % 10 === 9) {
          proxy.weather = { refuse: true };
          proxy.cutAll();
        }
        const back = setTimeout(() => {
          proxy.weather = weathers['cuts every now and then'];
        }, 100 * peer);
        const range = String(want.length).padStart(5, '0');
        await store.client.write(table, [row('h', range)]);
        want.push(range);
        clearTimeout(back);
      }
      proxy.weather = {};
      const got = await all(store.client.query({ table, hash: bytes('h'), strong: true }));
      assert.deepEqual(
        got.map((one) => show(one.range)),
        want,
      );
      await store.admin.drop(table);
      await store.client.close();
      await proxy.close();
    };
    await Promise.all([1, 2, 3, 4, 5, 6].map(onePeer));
  });

  test(`${name} away for some seconds: calls wait for it, and it is used again`, { timeout: 300_000 }, async () => {
    const proxy = await TcpProxy.listen(Number(port));
    proxy.weather = { refuse: true }; // away from the start
    const store = await open(proxy.port);
    const table = `f${Date.now().toString(36)}`;
    setTimeout(() => {
      proxy.weather = {};
    }, 2000);
    await store.admin.create(table);
    await store.client.write(table, [row('h', '1')]);
    proxy.weather = { refuse: true };
    proxy.cutAll();
    setTimeout(() => {
      proxy.weather = {};
    }, 2000);
    await store.client.write(table, [row('h', '2')]);
    const got = await all(store.client.query({ table, hash: bytes('h'), strong: true }));
    assert.deepEqual(
      got.map((one) => show(one.range)),
      ['1', '2'],
    );
    await store.admin.drop(table);
    await store.client.close();
    await proxy.close();
  });
}

function faultsOfS3(port: number): void {
  test('s3 through a network that cuts and stalls: bodies whole', { timeout: 400_000 }, async () => {
    const proxy = await TcpProxy.listen(port);
    const bucketName = `faults-${process.pid}`;
    await fetch(`http://127.0.0.1:${port}/${bucketName}`, { method: 'PUT' });
    const client = await S3ObjectClient.open(
      {
        ...defaultsOf(s3Config),
        bucketName,
        endpoint: `http://127.0.0.1:${proxy.port}`,
        forcePathStyle: true,
        accessKeyId: 'test',
        secretAccessKey: 'test',
        partBytes: 5 << 20,
        ...retries,
        timeoutMs: 5000,
      },
      { clock: systemClock },
    );
    proxy.weather = { cut: 0.0008, stall: 0.0001 };
    try {
      const body = new Uint8Array(12 << 20);
      for (let i = 0; i < body.length; i += 1009) body[i] = i % 251;
      for (let i = 0; i < 8; i++) {
        await client.put(`big/${i}`, body);
        assert.equal(Buffer.compare(await client.get(`big/${i}`), body), 0);
      }
      assert.equal((await all(client.list('big/'))).length, 8);
      assert.ok(proxy.broken > 0, 'the network was bad');
    } finally {
      await client.close();
      await proxy.close();
    }
  });
}
