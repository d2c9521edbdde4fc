import { type ApiPath, apiPaths } from '../../api/paths.ts';
import type { ApiBackend } from '../../contract/api.ts';
import type { ServerConfig } from '../../kit/http/config.ts';
import type { HttpRequest, Route } from '../../kit/http/message.ts';
import { textResponse } from '../../kit/http/message.ts';

/** Cortex' older prefix. */
const LEGACY_PREFIX = '/api/prom';

/** The Prometheus API at the root, under its prefix and under Cortex' older one. */
export function apiHandlers(backend: ApiBackend, config: ServerConfig): Route[] {
  const prefixes = new Set(['', config.prometheusHttpPrefix.replace(/\/+$/, ''), LEGACY_PREFIX]);
  return [...prefixes].flatMap((prefix) =>
    apiPaths.map(
      ({ path, methods, takesBody = false }: ApiPath): Route => ({
        path: prefix + path,
        methods,
        tenant: true,
        cors: true,
        head: false,
        bodyBytesMax: config.queryBodyBytesMax,
        bodyLimit: 'server.query_body_bytes_max',
        async handle(request) {
          const params = takesBody ? [] : paramsOf(request);
          if (params === undefined) return textResponse(415, 'a form (application/x-www-form-urlencoded) is wanted\n');
          const { status, contentType, headers, body } = await backend.handle(
            {
              tenant: request.tenant,
              method: request.method,
              path: request.path.slice(prefix.length),
              params,
              body: takesBody ? request.body : undefined,
            },
            request.signal,
          );
          return { status, headers: status === 204 ? headers : { ...headers, 'content-type': contentType }, body };
        },
      }),
    ),
  );
}

/** Those of the form before those of the address, as Go has them; undefined for a body that is no form. */
function paramsOf({ method, query, headers, body }: HttpRequest): [string, string][] | undefined {
  const params = query === '' ? [] : [...new URLSearchParams(query)];
  if (method !== 'POST' || body.length === 0) return params;
  const type = headers['content-type']?.replace(/;.*/s, '').trim().toLowerCase();
  if (type !== undefined && type !== 'application/x-www-form-urlencoded') return undefined;
  return [...new URLSearchParams(Buffer.from(body.buffer, body.byteOffset, body.length).toString()), ...params];
}
