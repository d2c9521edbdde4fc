import type { IngesterAdmin } from '../../contract/ingester.ts';
import { AddressParams } from '../../kit/http/form.ts';
import { type Route, textResponse } from '../../kit/http/message.ts';
import { checkTenant } from '../../model/tenant.ts';

/** `/ingester/flush?tenant=&wait=true` */
export function ingesterRoutes(ingester: Pick<IngesterAdmin, 'flush'>): Route[] {
  return [
    {
      path: '/ingester/flush',
      methods: ['POST', 'PUT'],
      needs: 'admin',
      head: false,
      async handle({ query, signal }) {
        const params = AddressParams.of(query);
        const tenant = params.get('tenant') || undefined;
        if (tenant !== undefined) checkTenant(tenant);
        const wait = params.get('wait') === 'true';
        await ingester.flush({ tenant, wait }, signal);
        return wait ? textResponse(200, 'flushed\n') : textResponse(202, 'flushing\n');
      },
    },
  ];
}
