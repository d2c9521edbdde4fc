import { periodsOf } from '../../chunkstore/config.ts';
import type { Module } from './module.ts';

/** The listener for processes that only share a store with this one: they read its address in the store. */
export const storePeersModule: Module = {
  needs: ['observer'],
  async build({ config, gate, loops, log, registry, clock, parts }) {
    if (parts.peers !== undefined || periodsOf(config.schema).at(-1)!.store === 'embedded') return [];
    // a process whose store is its own does not load it
    const { PeerListener } = await import('../cluster/peer-host.ts');
    const isSought = config.process.target.some((name) => name === 'query-frontend' || name === 'query-scheduler');
    const isClosed = () => gate.closed;
    const peers = new PeerListener({ settings: config.server, isSought, isClosed, loops, log, registry, clock });
    parts.peers = peers;
    return [peers];
  },
};
