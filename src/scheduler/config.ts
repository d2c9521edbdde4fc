import { duration } from '../kit/config/field.ts';
import { section } from '../kit/config/section.ts';

export const schedulerConfig = section('query_scheduler', 'Query scheduler', {
  querierForgetDelayMs: duration({
    default: '0',
    flag: 'query-scheduler.querier-forget-delay',
    help: 'How long a querier whose connection broke still counts as one of those that tenants are spread over (max_queriers_per_tenant): a query that kills queriers kills no others meanwhile. 0: not at all.',
  }),
});
