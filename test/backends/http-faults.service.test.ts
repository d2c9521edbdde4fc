import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultsOf } from '../../src/kit/config/section.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { seededRandom } from '../../src/lib/random.ts';
import { S3ObjectClient } from '../../src/object/s3/client.ts';
import { s3Config } from '../../src/object/s3/config.ts';
import { dynamodbConfig } from '../../src/table/dynamodb/config.ts';
import { openDynamodb } from '../../src/table/dynamodb/store.ts';
import { type HttpAnswer, HttpProxy, type Verdict } from '../faults/http-proxy.ts';
import { all, bytes, fails, row, show } from './table-suite.ts';

const { DYNAMODB_PORT, MOTO_PORT } = process.env;
const quick = { maxRetries: 30, minBackoffMs: 5, maxBackoffMs: 50 };
const PASS: Verdict = { kind: 'pass' };

function dynamodbError(name: string, status = 400): HttpAnswer {
  return {
    status,
    headers: { 'content-type': 'application/x-amz-json-1.0' },
    body: JSON.stringify({ __type: `com.amazonaws.dynamodb.v20120810#${name}`, message: 'slow down' }),
  };
}

if (DYNAMODB_PORT === undefined) test('faults of dynamodb: needs DYNAMODB_PORT', { skip: true });
else {
  const open = async (proxy: HttpProxy, more: Partial<typeof dynamodbConfig.type> = {}) =>
    openDynamodb(
      {
        ...defaultsOf(dynamodbConfig),
        endpoint: `http://127.0.0.1:${proxy.port}`,
        accessKeyId: 'test',
        secretAccessKey: 'a very secret key',
        ...quick,
        ...more,
      },
      { clock: systemClock },
    );

  test('dynamodb that throttles, fails, loses answers and does things twice: nothing lost, nothing twice', async () => {
    const proxy = await HttpProxy.listen(Number(DYNAMODB_PORT));
    const random = seededRandom(7);
    let hurt = 0;
    proxy.judge = ({ headers }) => {
      if (/Table/.test(String(headers['x-amz-target']))) return PASS;
      const dice = random();
      if (dice < 0.5) return PASS;
      hurt++;
      if (dice < 0.6) return { kind: 'answer', answer: dynamodbError('ProvisionedThroughputExceededException') };
      if (dice < 0.7) return { kind: 'answer', answer: dynamodbError('InternalServerError', 500) };
      if (dice < 0.85) return { kind: 'lose' };
      return /PutItem/.test(String(headers['x-amz-target'])) ? { kind: 'lose' } : { kind: 'repeat' };
    };
    const store = await open(proxy);
    const table = `h${Date.now().toString(36)}`;
    await store.admin.create(table);
    const rows = Array.from({ length: 500 }, (_, i) => row('h', String(i).padStart(4, '0'), `${i}`));
    await store.client.write(table, rows);
    const got = await all(store.client.query({ table, hash: bytes('h'), strong: true }));
    assert.deepEqual(
      got.map((one) => show(one.value)),
      rows.map((one) => show(one.value)),
    );
    for (let i = 0; i < 30; i++) {
      const expected = i === 0 ? undefined : bytes(`${i - 1}`);
      assert.equal(await store.client.compareAndSet(table, row('c', 'c'), expected, bytes(`${i}`)), true, `${i}`);
    }
    assert.ok(hurt > 20, `${hurt} requests hurt`);
    await store.admin.drop(table);
    await store.client.close();
    await proxy.close();
  });

  test('dynamodb that leaves items undone is asked again for just those', async () => {
    const proxy = await HttpProxy.listen(Number(DYNAMODB_PORT));
    const store = await open(proxy);
    const table = `u${Date.now().toString(36)}`;
    await store.admin.create(table);
    const sizes: number[] = [];
    proxy.judge = ({ headers, body }) => {
      if (!/BatchWriteItem/.test(String(headers['x-amz-target']))) return PASS;
      const { RequestItems } = JSON.parse(body.toString()) as { RequestItems: Record<string, unknown[]> };
      const items = RequestItems[table]!;
      sizes.push(items.length);
      // the service takes none of the first batch, and later all
      if (sizes.length > 3) return PASS;
      const answer = { UnprocessedItems: { [table]: items } };
      const headersOut = { 'content-type': 'application/x-amz-json-1.0' };
      return { kind: 'answer', answer: { status: 200, headers: headersOut, body: JSON.stringify(answer) } };
    };
    await store.client.write(
      table,
      Array.from({ length: 20 }, (_, i) => row('h', `${i}`, 'v')),
    );
    assert.deepEqual(sizes, [20, 20, 20, 20]);
    assert.equal((await all(store.client.query({ table, hash: bytes('h') }))).length, 20);
    await store.admin.drop(table);
    await store.client.close();
    await proxy.close();
  });

  test('dynamodb that stays throttled, denies or refuses: the error says so, without the secret', async () => {
    const proxy = await HttpProxy.listen(Number(DYNAMODB_PORT));
    const store = await open(proxy, { maxRetries: 2 });
    const write = () => store.client.write('t', [row('h', 'r')]);
    const cases = {
      ThrottlingException: 'store-throttled',
      AccessDeniedException: 'store-denied',
      UnrecognizedClientException: 'store-denied',
      ValidationException: 'store-refused',
      ResourceNotFoundException: 'store-table-missing',
    };
    for (const [name, id] of Object.entries(cases)) {
      proxy.judge = () => ({ kind: 'answer', answer: dynamodbError(name) });
      await fails(id, write);
    }
    proxy.judge = () => ({ kind: 'answer', answer: { status: 403, body: 'no, a very secret key!' } });
    await assert.rejects(write, (thrown) => !String((thrown as Error).message).includes('a very secret key'));
    await store.client.close();
    await proxy.close();
  });

  test('dynamodb tables with provisioned capacity, lowered when their time is over', async () => {
    const proxy = await HttpProxy.listen(Number(DYNAMODB_PORT));
    const asked: string[] = [];
    proxy.judge = ({ headers, body }) => {
      const target = String(headers['x-amz-target']);
      if (/CreateTable|UpdateTable/.test(target)) asked.push(body.toString());
      return PASS;
    };
    const store = await open(proxy, {
      billing: 'provisioned',
      writeCapacity: 50,
      readCapacity: 20,
      pastWriteCapacity: 1,
      pastReadCapacity: 5,
      tags: { team: 'metrics' },
    });
    const table = `p${Date.now().toString(36)}`;
    await store.admin.create(table);
    await store.admin.retire?.(table);
    await store.admin.retire?.(table);
    const [made, lowered, ...rest] = asked.map((one) => JSON.parse(one));
    assert.deepEqual(made.ProvisionedThroughput, { ReadCapacityUnits: 20, WriteCapacityUnits: 50 });
    assert.deepEqual(made.Tags, [{ Key: 'team', Value: 'metrics' }]);
    assert.deepEqual(lowered.ProvisionedThroughput, { ReadCapacityUnits: 5, WriteCapacityUnits: 1 });
    assert.deepEqual(rest, []);
    await store.admin.drop(table);
    await store.client.close();
    await proxy.close();
  });
}

if (MOTO_PORT === undefined) test('http faults of s3: needs MOTO_PORT', { skip: true });
else {
  test('s3 that says to slow down, fails, loses answers and does things twice: bodies whole', async () => {
    const proxy = await HttpProxy.listen(Number(MOTO_PORT));
    const bucketName = `http-${process.pid}`;
    await fetch(`http://127.0.0.1:${MOTO_PORT}/${bucketName}`, { method: 'PUT' });
    const client = await S3ObjectClient.open(
      {
        ...defaultsOf(s3Config),
        bucketName,
        endpoint: `http://127.0.0.1:${proxy.port}`,
        forcePathStyle: true,
        accessKeyId: 'test',
        secretAccessKey: 'test',
        partBytes: 5 << 20,
        ...quick,
      },
      { clock: systemClock },
    );
    const random = seededRandom(3);
    proxy.judge = () => {
      const dice = random();
      if (dice < 0.6) return PASS;
      if (dice < 0.7) return { kind: 'answer', answer: { status: 503, body: '<Error><Code>SlowDown</Code></Error>' } };
      if (dice < 0.8)
        return { kind: 'answer', answer: { status: 500, body: '<Error><Code>InternalError</Code></Error>' } };
      return dice < 0.95 ? { kind: 'lose' } : { kind: 'repeat' };
    };
    const body = new Uint8Array(11 << 20).fill(5);
    for (let i = 0; i < 5; i++) {
      await client.put(`big/${i}`, body);
      assert.equal((await client.get(`big/${i}`)).length, body.length);
      await client.put(`small/${i}`, bytes(`${i}`));
      assert.equal(show(await client.getRange(`small/${i}`, 0, 10)), `${i}`);
    }
    assert.equal((await all(client.list(''))).length, 10);
    for (let i = 0; i < 5; i++) await client.delete(`big/${i}`);
    assert.equal((await all(client.list(''))).length, 5);
    await client.close();
    await proxy.close();
  });
}
