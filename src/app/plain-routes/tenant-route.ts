import type { ServerConfig } from '../../kit/http/config.ts';
import type { Route } from '../../kit/http/message.ts';

/** Prefixes of the Prometheus API: none, its own, the older one of Cortex, and that below the base for clients of Cortex and Mimir. */
export function apiPrefixes({ prometheusHttpPrefix }: ServerConfig): string[] {
  return [...new Set(['', prometheusHttpPrefix.replace(/\/+$/, ''), '/api/prom', '/cortex/prometheus'])];
}

/** A route to what one tenant has configured. */
export function tenantRoute(
  { queryBodyBytesMax: bodyBytesMax }: ServerConfig,
  route: Pick<Route, 'path' | 'methods' | 'needs' | 'handle' | 'bodyBytesMax'>,
): Route {
  const bodyLimit = 'server.query_body_bytes_max';
  return {
    bodyBytesMax,
    ...(route.bodyBytesMax ? {} : { bodyLimit }),
    ...route,
    tenant: 'one',
    head: false,
    cors: true,
  };
}
