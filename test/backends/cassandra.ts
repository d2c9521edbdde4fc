import { defaultsOf } from '../../src/kit/config/section.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { type CassandraConfig, cassandraConfig } from '../../src/table/cassandra/config.ts';
import { openCassandra } from '../../src/table/cassandra/store.ts';
import type { TableStore } from '../../src/table/client.ts';

/** Long enough for an answer on a busy machine. */
const TIMEOUT_MS = 60_000;

/** An operator's settings for a single node on this machine. */
export function singleNode(port: string | undefined, keyspace: string): CassandraConfig {
  return {
    ...defaultsOf(cassandraConfig),
    addresses: ['127.0.0.1'],
    port: Number(port),
    keyspace,
    replicationFactor: 1,
    timeoutMs: TIMEOUT_MS,
    connectTimeoutMs: TIMEOUT_MS,
  };
}

/** Runs `body` with a store that is closed after it. */
export async function withStore<T>(config: CassandraConfig, body: (store: TableStore) => Promise<T>): Promise<T> {
  const store = await openCassandra(config, { clock: systemClock });
  try {
    return await body(store);
  } finally {
    await store.client.close();
  }
}
