import type { TableStore } from '../client.ts';
import { CassandraTableAdmin } from './admin.ts';
import { CASSANDRA_LIMITS, CassandraTableClient } from './client.ts';
import type { CassandraConfig } from './config.ts';
import { type CassandraParts, CassandraSession } from './session.ts';

/** Rows in Apache Cassandra. Connects at the first call. */
export async function openCassandra(config: CassandraConfig, parts: CassandraParts = {}): Promise<TableStore> {
  const session = await CassandraSession.open(config, parts);
  const client = new CassandraTableClient(session);
  return { client, admin: new CassandraTableAdmin(session, client), limits: CASSANDRA_LIMITS };
}
