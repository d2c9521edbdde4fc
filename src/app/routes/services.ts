import { apiError } from '../../kit/http/failure.ts';
import { AddressParams } from '../../kit/http/form.ts';
import { jsonResponse, type Route } from '../../kit/http/message.ts';
import type { ServiceDirectory } from '../service-directory.ts';

const NAME_CHARS_MAX = 2048;

/** `/api/v1/services`: services as a tenant's metrics tell of them, and the dashboard of each. */
export function serviceRoutes(directory: ServiceDirectory): Route[] {
  const get = (path: string, handle: Route['handle']): Route => ({
    path,
    methods: ['GET'],
    needs: 'read',
    tenant: 'one',
    failures: 'api',
    cors: true,
    handle,
  });
  return [
    get('/api/v1/services', async ({ tenant }) => success(await directory.list(tenant))),
    get('/api/v1/services/dashboard', async ({ tenant, query, signal }) => {
      const params = AddressParams.of(query);
      const part = (name: string) => params.get(name) ?? '';
      const id = { cluster: part('cluster'), namespace: part('namespace'), name: part('name') };
      const tooLong = Object.values(id).some((text) => text.length > NAME_CHARS_MAX);
      if (id.name === '' || tooLong) {
        const text = `name is wanted, and maybe namespace and cluster, of at most ${NAME_CHARS_MAX} characters each`;
        return jsonResponse(apiError('bad_data', text), { status: 400 });
      }
      return success(await directory.dashboard(tenant, id, signal));
    }),
  ];
}

function success(data: unknown) {
  return jsonResponse({ status: 'success', data });
}
