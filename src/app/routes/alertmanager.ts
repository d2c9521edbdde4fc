import type { AlertmanagerBackend } from '../../contract/alertmanager.ts';
import type { ServerConfig } from '../../kit/http/config.ts';
import { AddressParams } from '../../kit/http/form.ts';
import { type HttpRequest, type HttpResponse, type Need, type Route, textResponse } from '../../kit/http/message.ts';
import { apiPrefixes, tenantRoute } from '../plain-routes/tenant-route.ts';

/** Bases of the Alertmanager's API; the second one is for clients of Cortex and Mimir. */
const BASES = ['/alertmanager', '/cortex/alertmanager'];

/** Bodies are read in one go in a thread that all tenants share, so those that may be large have a limit of their own. */
const API: readonly (readonly [path: string, needs: Readonly<Record<string, Need>>, bodyBytesMax?: number])[] = [
  ['/api/v2/status', { GET: 'read' }],
  ['/api/v2/receivers', { GET: 'read' }],
  ['/api/v2/alerts', { GET: 'read', POST: 'write' }, 2 << 20],
  ['/api/v2/alerts/groups', { GET: 'read' }],
  ['/api/v2/silences', { GET: 'read', POST: 'edit' }, 256 << 10],
  ['/api/v2/silence/:id', { GET: 'read', DELETE: 'edit' }],
];

/** Who may read a configuration sees its secrets, so that it can be edited. */
const CONFIG_NEEDS: Readonly<Record<string, Need>> = { GET: 'edit', POST: 'edit', DELETE: 'edit' };

/** Versions of a configuration have its secrets, too. */
const VERSIONS: readonly (readonly [path: string, needs: Readonly<Record<string, Need>>])[] = [
  ['/config/v1/alerts/versions', { GET: 'edit' }],
  ['/config/v1/alerts/versions/:version', { GET: 'edit' }],
  ['/config/v1/alerts/versions/:version/restore', { POST: 'edit' }],
];

/** The v2 API of the Alertmanager, and the configuration in the form of Cortex and Mimir. */
export function alertmanagerRoutes(backend: AlertmanagerBackend, config: ServerConfig): Route[] {
  const prefixes = apiPrefixes(config);
  const route = (
    path: string,
    needs: Readonly<Record<string, Need>>,
    handle: (request: HttpRequest) => Promise<HttpResponse>,
    bodyBytesMax?: number,
  ): Route =>
    tenantRoute(config, { path, methods: Object.keys(needs), needs, handle, ...(bodyBytesMax && { bodyBytesMax }) });
  return [
    ...BASES.flatMap((base) =>
      API.map(([path, needs, bytesMax]) =>
        route(base + path, needs, (request) => answered(backend, request, request.path.slice(base.length)), bytesMax),
      ),
    ),
    ...[...prefixes.map((prefix) => `${prefix}/config/v1/alerts`), '/cortex/api/v1/alerts'].map((path) =>
      route(path, CONFIG_NEEDS, (request) => answered(backend, request, '/config/v1/alerts')),
    ),
    ...prefixes.flatMap((prefix) =>
      ['/config/v1/alerts/test', '/config/v1/alerts/preview', '/config/v1/alerts/route'].map((path) =>
        route(prefix + path, { POST: 'edit' }, (request) => answered(backend, request, path)),
      ),
    ),
    ...prefixes.flatMap((prefix) =>
      VERSIONS.map(([path, needs]) =>
        route(prefix + path, needs, (request) => answered(backend, request, request.path.slice(prefix.length))),
      ),
    ),
    ...['/config/v1/alerts/routes', '/config/v1/alerts/notifications'].map((path) =>
      route(path, { GET: 'read' }, (request) => answered(backend, request, path)),
    ),
    route('/api/v1/alerts', { POST: 'edit', DELETE: 'edit' }, (request) =>
      answered(backend, request, '/config/v1/alerts'),
    ),
    ...['configs', 'status', 'ring']
      .map((name) => `/multitenant_alertmanager/${name}`)
      .map(
        (path): Route => ({
          path,
          methods: ['GET'],
          needs: 'admin',
          head: false,
          handle: (request) => answered(backend, request, path),
        }),
      ),
  ];
}

/**
 * The root's `/api/v1/alerts`, which shows alerts as Prometheus does, and takes the configuration as Cortex does.
 * @param shown what shows alerts
 */
export function withAlertConfig(
  { inFront: _, ...shown }: Route,
  backend: () => AlertmanagerBackend | undefined,
): Route {
  return {
    ...shown,
    methods: [...shown.methods, 'POST', 'DELETE'],
    needs: { GET: 'read', POST: 'edit', DELETE: 'edit' },
    handle(request) {
      if (request.method === 'GET') return shown.handle(request);
      const alertmanager = backend();
      if (alertmanager === undefined) return textResponse(404, 'this process has no Alertmanager\n');
      return answered(alertmanager, request, '/config/v1/alerts');
    },
  };
}

async function answered(backend: AlertmanagerBackend, request: HttpRequest, path: string): Promise<HttpResponse> {
  const { tenant, user = '', method, query, body, signal } = request;
  const params = AddressParams.of(query).all;
  const answer = await backend.handle({ tenant, user, method, path, params, body }, signal);
  return { status: answer.status, headers: { 'content-type': answer.contentType }, body: answer.body };
}
