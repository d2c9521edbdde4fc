import { isClustered } from '../cluster/clustered.ts';
import { threadLayout } from '../threads/layout.ts';
import type { Module } from './module.ts';

/** How many threads there are for what. */
export const threadsModule: Module = {
  needs: [],
  build(app) {
    const { config } = app;
    const isDistributor = config.process.target.every((target) => target === 'distributor');
    app.parts.layout = threadLayout(config, !isClustered(config) ? 'alone' : isDistributor ? 'distributor' : 'other');
    return [];
  },
};
