import { test } from 'node:test';
import { defaultsOf } from '../../src/kit/config/section.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { GcsObjectClient } from '../../src/object/gcs/client.ts';
import { gcsConfig } from '../../src/object/gcs/config.ts';
import { objectSuite } from './object-suite.ts';

const { GCS_PORT: port } = process.env;

if (port === undefined) test('gcs: needs GCS_PORT', { skip: true });
else {
  const config = {
    ...defaultsOf(gcsConfig),
    bucketName: `suite-${process.pid}`,
    project: 'test',
    endpoint: `http://127.0.0.1:${port}`,
  };
  objectSuite({
    name: 'gcs',
    async open() {
      const { Storage } = await import('@google-cloud/storage');
      await new Storage({ apiEndpoint: config.endpoint, projectId: config.project }).createBucket(config.bucketName);
      return GcsObjectClient.open(config, { clock: systemClock });
    },
  });
}
