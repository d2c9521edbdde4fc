import type { TenantPurger } from '../../contract/control.ts';
import { type HttpResponse, jsonResponse, type Route, textResponse } from '../../kit/http/message.ts';

/** `/purger/delete_tenant`, `/purger/delete_tenant_status`: as Cortex has them. @param purger undefined where it is switched off */
export function purgerRoutes(purger: TenantPurger | undefined): Route[] {
  const route = (
    path: string,
    method: string,
    answer: (purger: TenantPurger, tenant: string, signal: AbortSignal) => Promise<HttpResponse>,
  ): Route => ({
    path,
    methods: [method],
    needs: method === 'GET' ? 'read' : 'edit',
    tenant: 'one',
    head: false,
    handle: async ({ tenant, signal }) =>
      purger === undefined
        ? textResponse(403, 'tenants can be deleted with -web.enable-admin-api\n')
        : answer(purger, tenant, signal),
  });
  return [
    route('/purger/delete_tenant', 'POST', async (on, tenant, signal) => {
      await on.delete(tenant, signal);
      return { status: 200 };
    }),
    route('/purger/delete_tenant_status', 'GET', async (on, tenant, signal) => {
      const found = await on.deletion(tenant, signal);
      const body = {
        tenant_id: tenant,
        // Cortex' name for: nothing of it is in the store any more
        blocks_deleted: found?.processed ?? false,
        status: found === undefined ? 'none' : found.processed ? 'processed' : 'pending',
        ...(found && { deleted_until: found.endMs / 1e3 }),
      };
      return jsonResponse(body);
    }),
  ];
}
