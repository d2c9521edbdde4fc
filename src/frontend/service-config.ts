import { duration, list } from '../kit/config/field.ts';
import { section } from '../kit/config/section.ts';

export const frontendConfig = section('frontend', 'Query front end as a process', {
  schedulerAddress: list({
    flag: 'frontend.scheduler-address',
    help: 'host:port (-server.peer-listen-address) of query schedulers, or of a name with several addresses. Empty: the front end is one itself.',
  }),
  schedulerDnsLookupPeriodMs: duration({
    default: '10s',
    min: '100ms',
    flag: 'frontend.scheduler-dns-lookup-period',
    help: 'How often the names are looked up.',
  }),
});
