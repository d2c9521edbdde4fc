import { periodsOf } from '../../chunkstore/config.ts';
import type { Config } from '../config.ts';

/** Targets that are parts of a cluster by themselves. */
const PARTS = ['distributor', 'ingester', 'querier', 'query-frontend', 'query-scheduler'];

/** Whether this process is one of several: it has a ring. */
export function isClustered({
  process,
  distributor,
  ring,
  ruler,
}: Pick<Config, 'process' | 'distributor' | 'ring' | 'ruler'>): boolean {
  return (
    distributor.replicationFactor > 1 ||
    ring.seedAddresses.length > 0 ||
    process.target.some((target) => PARTS.includes(target)) ||
    // others evaluate its rules
    (process.target.includes('ruler') && ruler.frontendAddress.length > 0)
  );
}

/** Whether this process holds recent samples. */
export function hasIngester({ process: { target } }: Pick<Config, 'process'>): boolean {
  return target.includes('ingester') || target.includes('all');
}

/**
 * Whether the thread of the only shard listens for other processes in place of the main thread: where this process is an ingester and
 * nothing else, and two threads can listen at one port.
 */
export function handsListener(config: Config, shards: number): boolean {
  return process.platform === 'linux' && shards === 1 && config.process.target.every((target) => target === 'ingester');
}

/**
 * Checks the settings that several processes, and several holders of a sample, need.
 * @throws Error that names the setting
 */
export function checkCluster(config: Config): void {
  if (!isClustered(config)) return;
  const { frontThreads } = config.server;
  if (frontThreads > 1) {
    throw new Error(
      `-server.front-threads ${frontThreads} is refused in a cluster (-target ${config.process.target.join(',')}): it is for a process that is alone`,
    );
  }
  // it reads no store, and has no ring
  if (config.process.target.every((target) => target === 'query-scheduler')) return;
  const { replicationFactor: replicas } = config.distributor;
  const { consistency } = config.cassandra;
  const periods = periodsOf(config.schema);
  if (periods.some(({ store }) => store === 'cassandra') && (consistency === 'ONE' || consistency === 'LOCAL_ONE')) {
    throw new Error(
      `-cassandra.consistency ${consistency} is refused with -distributor.replication-factor ${replicas}: a holder leaves to another what it reads in the store, and a write that one replica confirmed may be lost with it; QUORUM or LOCAL_QUORUM are wanted`,
    );
  }
  const own = periods.find(({ store, objectStore }) => store === 'embedded' || objectStore === 'filesystem');
  if (own !== undefined) {
    const flag = own.store === 'embedded' ? '-schema.store embedded' : '-schema.object-store filesystem';
    throw new Error(
      `${flag} is refused where there are several processes (-distributor.replication-factor ${replicas}, -target ${config.process.target.join(',')}): it lies in the data folder of one; name a store that all of them reach`,
    );
  }
  if (!Number.isInteger(Math.log2(config.ring.arcs))) {
    throw new Error(`-ring.arcs ${config.ring.arcs} is refused: a power of two is wanted`);
  }
}
