import { PeerListener } from '../cluster/peer-host.ts';
import type { Module } from './module.ts';

/** The listener for other processes, where there is no ring. */
export const peersModule: Module = {
  needs: ['observer'],
  build(app) {
    if (app.parts.peers !== undefined) return [];
    const { config, gate, loops, log, registry, clock } = app;
    const peers = new PeerListener({
      settings: config.server,
      isSought: true,
      isClosed: () => gate.closed,
      loops,
      log,
      registry,
      clock,
    });
    app.parts.peers = peers;
    return [peers];
  },
};
