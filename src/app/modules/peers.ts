import type { Module } from './module.ts';

/** The listener for other processes, where there is no ring. */
export const peersModule: Module = {
  needs: ['observer'],
  async build(app) {
    if (app.parts.peers !== undefined) return [];
    // a process that is alone does not load it
    const { PeerListener } = await import('../cluster/peer-host.ts');
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
