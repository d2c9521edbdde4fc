import { sessionRoutes } from '../routes/session.ts';
import { webRoutes } from '../routes/web.ts';
import { findWebBuild } from '../web-build.ts';
import type { Module } from './module.ts';

/** Pages in a browser, and how they log in. */
export const webModule: Module = {
  needs: [],
  build(app) {
    const build = findWebBuild();
    app.http.add(sessionRoutes(app));
    app.http.add(webRoutes(build, app.config.server));
    return [];
  },
};
