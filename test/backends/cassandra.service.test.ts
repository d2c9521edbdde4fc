import { test } from 'node:test';
import { defaultsOf } from '../../src/kit/config/section.ts';
import { cassandraConfig } from '../../src/table/cassandra/config.ts';
import { openCassandra } from '../../src/table/cassandra/store.ts';
import { tableSuite } from './table-suite.ts';

const { CASSANDRA_PORT: port } = process.env;

if (port === undefined) test('cassandra: needs CASSANDRA_PORT', { skip: true });
else {
  const config = {
    ...defaultsOf(cassandraConfig),
    addresses: ['127.0.0.1'],
    port: Number(port),
    keyspace: 'suite',
    replicationFactor: 1,
  };
  tableSuite({ name: 'cassandra', open: () => openCassandra(config) });
}
