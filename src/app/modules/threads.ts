import { isClustered } from '../cluster/clustered.ts';
import { threadLayout } from '../threads/layout.ts';
import type { Module } from './module.ts';

/** How many threads there are for what. */
export const threadsModule: Module = {
  needs: [],
  build(app) {
    const layout = threadLayout(app.config);
    // an edge before a ring sends to other processes, too
    app.parts.layout = isClustered(app.config) ? { ...layout, edgeWithinShard: false } : layout;
    return [];
  },
};
