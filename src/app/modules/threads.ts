import { threadLayout } from '../threads/layout.ts';
import type { Module } from './module.ts';

/** How many threads there are for what. */
export const threadsModule: Module = {
  needs: [],
  build(app) {
    app.parts.layout = threadLayout(app.config);
    return [];
  },
};
