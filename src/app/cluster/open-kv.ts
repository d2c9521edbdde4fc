import { openStore } from '../../chunkstore/open.ts';
import { TableKv } from '../../kv/table.ts';
import type { Clock } from '../../lib/clock.ts';
import { systemBytes } from '../../lib/random.ts';
import type { Config } from '../config.ts';
import { storeSpec } from '../store-spec.ts';
import type { OpenedKv } from './late-kv.ts';

/** Opens the store of the ring that a configuration names. */
export async function openKv(config: Config, clock: Clock): Promise<OpenedKv> {
  const options = { clock, randomBytes: systemBytes };
  if (config.ring.store === 'etcd') {
    const { EtcdKv } = await import('../../kv/etcd/client.ts');
    const kv = new EtcdKv({ ...options, config: config.etcd });
    return { kv, close: () => kv.close() };
  }
  const opened = await openStore(storeSpec(config), clock);
  // the first period stays the first when others are added
  const { tables: store, tablePrefix } = opened.schema.periods[0]!;
  const table = `${tablePrefix}ring`;
  const kv = new TableKv({ ...options, store, table, pollMs: config.ring.pollPeriodMs });
  return { kv, close: () => opened.close() };
}
