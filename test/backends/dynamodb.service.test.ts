import { test } from 'node:test';
import { defaultsOf } from '../../src/kit/config/section.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { dynamodbConfig } from '../../src/table/dynamodb/config.ts';
import { openDynamodb } from '../../src/table/dynamodb/store.ts';
import { kvSuite, tableKv } from './kv-suite.ts';
import { tableSuite } from './table-suite.ts';

const { DYNAMODB_PORT: port } = process.env;

if (port === undefined) test('dynamodb: needs DYNAMODB_PORT', { skip: true });
else {
  const config = {
    ...defaultsOf(dynamodbConfig),
    endpoint: `http://127.0.0.1:${port}`,
    accessKeyId: 'test',
    secretAccessKey: 'test',
  };
  tableSuite({ name: 'dynamodb', open: () => openDynamodb(config, { clock: systemClock }) });
  kvSuite({ name: 'keys in dynamodb', open: () => tableKv(() => openDynamodb(config, { clock: systemClock })) });
}
