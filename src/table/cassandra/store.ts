import type { TableStore } from '../client.ts';
import { RemoteTableClient } from '../remote.ts';
import { CassandraTableAdmin } from './admin.ts';
import { CASSANDRA_LIMITS, CassandraRows } from './client.ts';
import type { CassandraConfig } from './config.ts';
import { type CassandraParts, CassandraSession } from './session.ts';

/** Rows in Apache Cassandra. Connects at the first call. */
export async function openCassandra(config: CassandraConfig, parts: CassandraParts): Promise<TableStore> {
  const session = await CassandraSession.open(config, parts);
  const rows = new CassandraRows(session);
  return {
    client: new RemoteTableClient(rows),
    admin: new CassandraTableAdmin(session, rows),
    limits: CASSANDRA_LIMITS,
  };
}
