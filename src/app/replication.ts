import { periodsOf } from '../chunkstore/config.ts';
import type { Config } from './config.ts';

/**
 * Checks the settings that several holders of a sample need.
 * @throws Error that names the setting
 */
export function checkReplication(config: Pick<Config, 'distributor' | 'schema' | 'cassandra'>): void {
  const { replicationFactor: replicas } = config.distributor;
  if (replicas === 1) return;
  const { consistency } = config.cassandra;
  const isCassandra = periodsOf(config.schema).some(({ store }) => store === 'cassandra');
  if (isCassandra && (consistency === 'ONE' || consistency === 'LOCAL_ONE')) {
    throw new Error(
      `-cassandra.consistency ${consistency} is refused with -distributor.replication-factor ${replicas}: a holder leaves to another what it reads in the store, and a write that one replica confirmed may be lost with it; QUORUM or LOCAL_QUORUM are wanted`,
    );
  }
  throw new Error(
    `-distributor.replication-factor ${replicas} is refused: it needs as many ingesters, and this version runs one, in this process`,
  );
}
