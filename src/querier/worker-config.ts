import { duration, list, text } from '../kit/config/field.ts';
import { section } from '../kit/config/section.ts';

export const frontendWorkerConfig = section('frontend_worker', 'Querier of a front end', {
  frontendAddress: list({
    flag: 'querier.frontend-address',
    help: 'host:port (-server.peer-listen-address) of query front ends that are their own schedulers, or of a name with several addresses: the querier asks all of them for work.',
  }),
  schedulerAddress: list({
    flag: 'querier.scheduler-address',
    help: 'The same of query schedulers; one of the two is given.',
  }),
  dnsLookupDurationMs: duration({
    default: '10s',
    min: '100ms',
    flag: 'querier.dns-lookup-period',
    help: 'How often the names are looked up.',
  }),
  id: text({
    flag: 'querier.id',
    help: "Name of this querier; it stays the same over restarts, and no other has it: tenants are spread over queriers by it. Empty: the host's name.",
  }),
});
