import type { CompactorControl } from '../../contract/control.ts';
import { AddressParams } from '../../kit/http/form.ts';
import { jsonResponse, type Route, textResponse } from '../../kit/http/message.ts';

/** `/compactor/run?wait=true&sweep=now`; `sweep=now` only where nobody flushes or queries meanwhile, so it is for the admin listener. */
export function compactorRoutes(compactor: CompactorControl, options: { readonly sweepNow: boolean }): Route[] {
  return [
    {
      path: '/compactor/run',
      methods: ['POST'],
      needs: 'admin',
      head: false,
      async handle({ query }) {
        const params = AddressParams.of(query);
        const force = params.get('sweep') === 'now';
        if (force && !options.sweepNow) return textResponse(403, 'sweep=now is for -server.admin-address\n');
        const run = compactor.run({ force });
        if (params.get('wait') !== 'true') {
          run.catch(() => {}); // it is logged and counted where it runs
          return textResponse(202, 'compacting\n');
        }
        const report = await run;
        return jsonResponse(report, { status: report.failures.length === 0 ? 200 : 500 });
      },
    },
  ];
}
