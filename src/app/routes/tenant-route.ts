import type { ServerConfig } from '../../kit/http/config.ts';
import type { Route } from '../../kit/http/message.ts';

/** Where Prometheus' paths lie: at the root, under its prefix, and under Cortex' older one. */
export function apiPrefixes({ prometheusHttpPrefix }: ServerConfig): string[] {
  return [...new Set(['', prometheusHttpPrefix.replace(/\/+$/, ''), '/api/prom'])];
}

/** A route to what one tenant has configured. */
export function tenantRoute(
  { queryBodyBytesMax: bodyBytesMax }: ServerConfig,
  route: Pick<Route, 'path' | 'methods' | 'needs' | 'handle'>,
): Route {
  return { ...route, tenant: 'one', head: false, cors: true, bodyBytesMax, bodyLimit: 'server.query_body_bytes_max' };
}
