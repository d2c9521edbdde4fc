import { debugRoutes } from '../routes/debug.ts';
import { processRoutes } from '../routes/operating.ts';
import { statusRoutes } from '../routes/status.ts';
import type { Module } from './module.ts';

/** The listeners with what every process serves. It starts last and stops first. */
export const serverModule: Module = {
  needs: ['observer', 'limits'],
  build(app) {
    const { http, admin } = app;
    http.add(statusRoutes(app));
    http.add(processRoutes(app));
    admin?.add(debugRoutes(app.clock));
    return admin === undefined ? [http] : [admin, http];
  },
};

/** The listener before the rest of a process that may wait for others: it tells health, metrics, and what is missing. */
export const earlyServerModule: Module = {
  needs: [],
  build: ({ http }) => [http.early],
};
