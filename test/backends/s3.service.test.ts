import { test } from 'node:test';
import { defaultsOf } from '../../src/kit/config/section.ts';
import { S3ObjectClient } from '../../src/object/s3/client.ts';
import { s3Config } from '../../src/object/s3/config.ts';
import { objectSuite } from './object-suite.ts';

// moto takes any credentials, versitygw those that its start script gives it
const services = { moto: process.env.MOTO_PORT, versitygw: process.env.S3_PORT };

for (const [name, port] of Object.entries(services)) {
  if (port === undefined) test(`s3 by ${name}: needs its port`, { skip: true });
  else objectSuite({ name: `s3 by ${name}`, open: () => open(port) });
}

async function open(port: string): Promise<S3ObjectClient> {
  const config = {
    ...defaultsOf(s3Config),
    bucketName: `suite-${process.pid}`,
    endpoint: `127.0.0.1:${port}`,
    insecure: true,
    forcePathStyle: true,
    accessKeyId: 'test',
    secretAccessKey: 'testsecret',
    sseType: 'SSE-S3' as const,
  };
  await makeBucket(config);
  return S3ObjectClient.open(config);
}

async function makeBucket(config: typeof s3Config.type): Promise<void> {
  const { S3Client, CreateBucketCommand } = await import('@aws-sdk/client-s3');
  const { accessKeyId, secretAccessKey, region, bucketName } = config;
  const service = new S3Client({
    region,
    endpoint: `http://${config.endpoint}`,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
  await service.send(new CreateBucketCommand({ Bucket: bucketName }));
  service.destroy();
}
