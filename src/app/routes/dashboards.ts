import type { KeptDashboard } from '../../contract/dashboard.ts';
import type { DashboardBook } from '../../dashboards/dashboard-book.ts';
import { toGrafana } from '../../dashboards/grafana-export.ts';
import type { ImportedDashboard } from '../../dashboards/grafana-import.ts';
import { DASHBOARD_BYTES_MAX, DashboardError, parseJson } from '../../dashboards/read-dashboard.ts';
import { AddressParams } from '../../kit/http/form.ts';
import { type HttpRequest, type HttpResponse, jsonResponse, type Route } from '../../kit/http/message.ts';
import { dashboardErrors } from '../../model/errors-dashboard.ts';

/** `/api/v1/dashboards`, `/api/v1/dashboards/:id`, `/api/v1/dashboards/:id/versions` */
export function dashboardRoutes(book: DashboardBook): Route[] {
  const route = (
    path: string,
    needs: Readonly<Record<string, 'read' | 'edit'>>,
    handle: (request: HttpRequest, params: AddressParams) => Promise<HttpResponse>,
  ): Route => ({
    path,
    methods: Object.keys(needs),
    needs,
    tenant: 'one',
    head: false,
    failures: 'api',
    cors: true,
    bodyBytesMax: DASHBOARD_BYTES_MAX,
    handle: (request) => handle(request, AddressParams.of(request.query)),
  });
  return [
    route('/api/v1/dashboards', { GET: 'read', POST: 'edit' }, async (request, params) => {
      const { tenant, method, user = '', signal } = request;
      if (method === 'GET') return success(await book.list(tenant, signal));
      const { dashboard, notes } = await imported(request);
      if (params.get('dry_run') === 'true') return success({ dashboard, notes });
      const { id, version } = await book.add(tenant, dashboard, user, signal);
      return success({ id, version, notes }, 201);
    }),
    route('/api/v1/dashboards/:id', { GET: 'read', PUT: 'edit', DELETE: 'edit' }, async (request, params) => {
      const { tenant, method, user = '', signal } = request;
      const id = request.params?.id ?? '';
      const expected = numberIn(params, 'version');
      if (method === 'GET') {
        const kept =
          expected === undefined
            ? await book.get(tenant, id, signal)
            : await book.versionOf(tenant, id, expected, signal);
        return shown(kept, params.get('format'));
      }
      if (method === 'DELETE') {
        await book.delete(tenant, id, { user, ...(expected !== undefined && { expected }) }, signal);
        return success({ id });
      }
      if (expected === undefined) {
        throw dashboardErrors.dashboardInvalid({ reason: 'the version that it replaces is wanted; 0: there is none' });
      }
      const { dashboard, notes } = await imported(request);
      const { version } = await book.put(tenant, id, dashboard, { user, expected }, signal);
      return success({ id, version, notes });
    }),
    route('/api/v1/dashboards/:id/versions', { GET: 'read' }, async ({ tenant, params: names, signal }) =>
      success(await book.versions(tenant, names?.id ?? '', signal)),
    ),
  ];
}

/** @throws dashboardErrors.dashboardInvalid */
async function imported({ body }: HttpRequest): Promise<ImportedDashboard> {
  const { importDashboard } = await import('../../dashboards/grafana-import.ts');
  try {
    return importDashboard(parseJson(Buffer.from(body).toString()));
  } catch (thrown) {
    if (!(thrown instanceof DashboardError)) throw thrown;
    throw dashboardErrors.dashboardInvalid({ reason: thrown.message });
  }
}

/** `perses` and `grafana` are the bare dashboards, for files. */
function shown(kept: KeptDashboard, format: string | null): HttpResponse {
  if (format === 'perses') return jsonResponse(kept.dashboard);
  if (format === 'grafana') return jsonResponse(toGrafana(kept.dashboard));
  if (format === null) return success(kept);
  throw dashboardErrors.dashboardInvalid({ reason: `format ${format} is neither perses nor grafana` });
}

function numberIn(params: AddressParams, name: string): number | undefined {
  const text = params.get(name);
  if (text === null) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw dashboardErrors.dashboardInvalid({ reason: `${name} ${text} is no number` });
  return Number(text);
}

function success(data: unknown, status = 200): HttpResponse {
  return jsonResponse({ status: 'success', data }, { status });
}
