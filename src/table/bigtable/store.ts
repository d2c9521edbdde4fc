import type { TableStore } from '../client.ts';
import { RemoteTableClient } from '../remote.ts';
import { BigtableTableAdmin } from './admin.ts';
import { BIGTABLE_LIMITS, BigtableRows } from './client.ts';
import type { BigtableConfig } from './config.ts';
import { type BigtableParts, BigtableSession } from './session.ts';

/** Rows in Google Cloud Bigtable. */
export async function openBigtable(config: BigtableConfig, parts: BigtableParts): Promise<TableStore> {
  const session = await BigtableSession.open(config, parts);
  const rows = new BigtableRows(session);
  return { client: new RemoteTableClient(rows), admin: new BigtableTableAdmin(session, rows), limits: BIGTABLE_LIMITS };
}
