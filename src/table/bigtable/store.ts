import type { TableStore } from '../client.ts';
import { BigtableTableAdmin } from './admin.ts';
import { BIGTABLE_LIMITS, BigtableTableClient } from './client.ts';
import type { BigtableConfig } from './config.ts';
import { type BigtableParts, BigtableSession } from './session.ts';

/** Rows in Google Cloud Bigtable. */
export async function openBigtable(config: BigtableConfig, parts: BigtableParts = {}): Promise<TableStore> {
  const session = await BigtableSession.open(config, parts);
  const client = new BigtableTableClient(session);
  return { client, admin: new BigtableTableAdmin(session, client), limits: BIGTABLE_LIMITS };
}
