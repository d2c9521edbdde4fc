import type { IncomingHttpHeaders } from 'node:http';
import { type ApiPath, apiPaths } from '../../api/paths.ts';
import type { ApiAsker, ApiBackend, ApiCaller } from '../../contract/api.ts';
import type { ServerConfig } from '../../kit/http/config.ts';
import { readParams } from '../../kit/http/form.ts';
import { type HttpRequest, type Route, textResponse } from '../../kit/http/message.ts';
import { traceParentOf } from '../../kit/observe/trace.ts';
import { apiPrefixes } from './tenant-route.ts';

/** Answers that are sent while they are written, where they are long. */
const MAY_BE_LONG: ReadonlySet<string> = new Set([
  '/api/v1/query',
  '/api/v1/query_range',
  '/api/v1/series',
  '/api/v1/labels',
  '/api/v1/label/:name/values',
  '/federate',
]);

/** Longer headers are cut. */
const HEADER_CHARS_MAX = 256;

async function* withRest(first: Uint8Array, rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const parts = rest[Symbol.asyncIterator]();
  try {
    yield first;
    for (let next = await parts.next(); next.done !== true; next = await parts.next()) yield next.value;
  } finally {
    await parts.return?.();
  }
}

/** Who asks: dashboards say so by the header that Grafana's data sources send, which these pages' own do, too. */
function askerOf({ headers, user = '' }: HttpRequest): ApiAsker {
  const isDashboard = headers['x-dashboard-uid'] !== undefined || /^Grafana\//.test(headers['user-agent'] ?? '');
  return { user, source: isDashboard ? 'dashboard' : 'api' };
}

function callerOf(headers: IncomingHttpHeaders): ApiCaller {
  const text = (name: string) => String(headers[name] ?? '').slice(0, HEADER_CHARS_MAX);
  return { userAgent: text('user-agent'), dashboardUid: text('x-dashboard-uid'), panelId: text('x-panel-id') };
}

/** The Prometheus API at the root, under its prefix and under Cortex' older one. */
export function apiHandlers(backend: ApiBackend, config: ServerConfig): Route[] {
  const limit = { params: config.formParamsMax, limit: 'server.form_params_max' };
  return apiPrefixes(config).flatMap((prefix) =>
    apiPaths.map(
      ({ path, methods, needs = 'read', takesBody = false, tenants = 'one' }: ApiPath): Route => ({
        path: prefix + path,
        methods,
        needs,
        tenant: tenants,
        cors: true,
        head: false,
        failures: path === '/api/v1/read' || path === '/federate' ? 'text' : 'api',
        bodyBytesMax: config.queryBodyBytesMax,
        bodyLimit: 'server.query_body_bytes_max',
        inFront: 'queries',
        async handle(request) {
          const params = takesBody ? [] : await readParams(request, limit);
          if (params === undefined) return textResponse(415, 'a form (application/x-www-form-urlencoded) is wanted\n');
          const { status, contentType, headers, body, parts } = await backend.handle(
            {
              tenant: request.tenant,
              method: request.method,
              path: request.path.slice(prefix.length),
              params,
              accept: request.headers.accept,
              asker: askerOf(request),
              noStore: /\bno-store\b/i.test(request.headers['cache-control'] ?? ''),
              body: takesBody ? request.body : undefined,
              takesParts: takesBody || MAY_BE_LONG.has(path),
              caller: callerOf(request.headers),
              ...(config.traceContext && { trace: traceParentOf(request.headers.traceparent) }),
            },
            request.signal,
          );
          return {
            status,
            headers: status === 204 ? headers : { ...headers, 'content-type': contentType },
            ...(parts === undefined ? { body, isOwn: true } : { body: withRest(body, parts) }),
          };
        },
      }),
    ),
  );
}
