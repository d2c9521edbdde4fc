import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CreateBucketCommand, HeadObjectCommand, ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';
import { defaultsOf } from '../../src/kit/config/section.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { S3ObjectClient } from '../../src/object/s3/client.ts';
import { type S3Config, s3Config } from '../../src/object/s3/config.ts';
import { HttpProxy } from '../faults/http-proxy.ts';
import { objectSuite } from './object-suite.ts';

// moto takes any credentials, versitygw those that its start script gives it
const services = { moto: process.env.MOTO_PORT, versitygw: process.env.S3_PORT };

for (const [name, port] of Object.entries(services)) {
  if (port === undefined) test(`s3 by ${name}: needs its port`, { skip: true });
  else objectSuite({ name: `s3 by ${name}`, open: () => open(port) });
}

if (services.moto === undefined) test('s3: needs MOTO_PORT', { skip: true });
else {
  const port = services.moto;
  const large = new Uint8Array(12 << 20).fill(3);

  test('s3 objects, also those sent in parts, are encrypted as it was asked for', async () => {
    const context = '{"purpose":"metrics"}';
    const cases: [settings: Partial<S3Config>, algorithm: string, key?: string][] = [
      [{ sseType: 'SSE-S3' }, 'AES256'],
      [{ sseType: 'SSE-KMS', sseKmsKeyId: 'our-key', sseKmsEncryptionContext: context }, 'aws:kms', 'our-key'],
    ];
    for (const [settings, algorithm, key] of cases) {
      const proxy = await HttpProxy.listen(Number(port));
      const contexts: unknown[] = [];
      proxy.judge = ({ method, path, headers }) => {
        const makes = method === 'PUT' ? !path.includes('partNumber') : path.includes('uploads');
        if (makes) contexts.push(headers['x-amz-server-side-encryption-context']);
        return { kind: 'pass' };
      };
      const config = configOf(port, { bucketName: `sse-${process.pid}`, partBytes: 5 << 20, ...settings });
      await makeBucket(config);
      const client = await S3ObjectClient.open(
        { ...config, endpoint: `127.0.0.1:${proxy.port}` },
        { clock: systemClock },
      );
      await client.put('one', new Uint8Array(10));
      await client.put('parts', large);
      await client.close();
      await proxy.close();
      const service = serviceOf(config);
      for (const Key of ['one', 'parts']) {
        const head = await service.send(new HeadObjectCommand({ Bucket: config.bucketName, Key }));
        assert.equal(head.ServerSideEncryption, algorithm, Key);
        if (key !== undefined) assert.ok(head.SSEKMSKeyId?.endsWith(key), `${head.SSEKMSKeyId}`);
      }
      const want = key === undefined ? undefined : Buffer.from(context).toString('base64');
      assert.deepEqual(contexts, [want, want]);
      service.destroy();
    }
  });

  test('s3 names the bucket in the path; large objects go in parts, of which a failed one leaves none behind', async () => {
    const proxy = await HttpProxy.listen(Number(port));
    const settings = { bucketName: `parts-${process.pid}`, partBytes: 5 << 20, maxRetries: 1, minBackoffMs: 1 };
    const config = configOf(port, settings);
    await makeBucket(config);
    const client = await S3ObjectClient.open(
      { ...config, endpoint: `http://127.0.0.1:${proxy.port}` },
      { clock: systemClock },
    );
    const parts: (string | null)[] = [];
    proxy.judge = ({ method, path, headers }) => {
      assert.ok(path.startsWith(`/${config.bucketName}/large`), path);
      assert.equal(headers.host, `127.0.0.1:${proxy.port}`);
      if (method === 'PUT') parts.push(new URL(path, 'http://host').searchParams.get('partNumber'));
      return { kind: 'pass' };
    };
    await client.put('large', large);
    assert.deepEqual(parts.sort(), ['1', '2', '3']);
    assert.equal(Buffer.compare(await client.get('large'), large), 0);

    proxy.judge = ({ path }) =>
      path.includes('partNumber=2') ? { kind: 'answer', answer: { status: 500, body: '' } } : { kind: 'pass' };
    await assert.rejects(client.put('large-2', large), /s3 put on/);
    const service = serviceOf(config);
    const { Uploads = [] } = await service.send(new ListMultipartUploadsCommand({ Bucket: config.bucketName }));
    assert.deepEqual(Uploads, []);
    service.destroy();
    await client.close();
    await proxy.close();
  });
}

function configOf(port: string, settings: Partial<S3Config>): S3Config {
  return {
    ...defaultsOf(s3Config),
    endpoint: `127.0.0.1:${port}`,
    insecure: true,
    forcePathStyle: true,
    accessKeyId: 'test',
    secretAccessKey: 'testsecret',
    ...settings,
  };
}

async function open(port: string): Promise<S3ObjectClient> {
  const config = configOf(port, { bucketName: `suite-${process.pid}`, sseType: 'SSE-S3' });
  await makeBucket(config);
  return S3ObjectClient.open(config, { clock: systemClock });
}

function serviceOf({ region, endpoint, accessKeyId, secretAccessKey }: S3Config): S3Client {
  return new S3Client({
    region,
    endpoint: `http://${endpoint}`,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
}

async function makeBucket(config: S3Config): Promise<void> {
  const service = serviceOf(config);
  await service.send(new CreateBucketCommand({ Bucket: config.bucketName }));
  service.destroy();
}
