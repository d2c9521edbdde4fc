import { choice, count, duration, list, text } from '../kit/config/field.ts';
import { section } from '../kit/config/section.ts';
import { ARCS_MAX } from './version.ts';

export const ringConfig = section('ring', 'The ring of a cluster', {
  store: choice({
    default: 'index-store',
    values: ['index-store', 'etcd'],
    help: 'Where the ring is kept: in a table beside the index, or in etcd.',
  }),
  instanceName: text({
    check: checkName,
    help: "Name of this process in its cluster; it stays the same over restarts, and no other process has it. Empty: the host's name.",
  }),
  instanceZone: text({
    check: checkName,
    help: 'Zone of this process: holders of a sample are in different ones where there are as many.',
  }),
  zonesMin: count({ default: 0, max: 7, help: 'Zones that must have an ingester before the ring begins.' }),
  arcs: count({
    default: 4096,
    min: 16,
    max: ARCS_MAX,
    help: 'Parts that the ring is handed out in, a power of two, settled when it begins. 16384 for 1,000 ingesters.',
  }),
  heartbeatPeriodMs: duration({ default: '5s', min: '100ms', help: 'How often an ingester shows that it lives.' }),
  heartbeatTimeoutMs: duration({
    default: '1m',
    min: '1s',
    help: 'Time without a heartbeat after which an ingester counts as unhealthy. Writes of a version of the ring are refused five times as long after the next one.',
  }),
  autoForgetMs: duration({
    default: '1h',
    min: '1s',
    help: 'Time without a heartbeat after which an ingester is taken out of the ring, where the other holders of all its samples are healthy and complete.',
  }),
  pollPeriodMs: duration({
    default: '2s',
    min: '10ms',
    help: 'How often the ring is read, with -ring.store=index-store.',
  }),
  seedAddresses: list({
    help: 'Hosts and ports (-server.peer-listen-address) of some other processes, which tell of the ring, and of settings in common, while its store is away or empty.',
  }),
});

function checkName(name: string): void {
  if (!/^[A-Za-z0-9._-]{0,200}$/.test(name)) {
    throw new RangeError(`${name} is not a name of up to 200 letters, digits, dots, hyphens and underscores`);
  }
}
