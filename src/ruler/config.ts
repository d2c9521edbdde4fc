import { count, duration, list, text, toggle } from '../kit/config/field.ts';
import { section } from '../kit/config/section.ts';

export const rulerConfig = section('ruler', 'Ruler', {
  evaluationIntervalMs: duration({
    default: '1m',
    min: '1s',
    help: 'How often groups are evaluated that say nothing themselves.',
  }),
  pollIntervalMs: duration({
    default: '1m',
    min: '1s',
    help: 'How often to look for rules that other processes have changed; changes made through this one are in force at once.',
  }),
  frontendAddress: list({
    help: 'host:port (-server.peer-listen-address) of query front ends that are their own schedulers, or of query schedulers, or of a name with several addresses: their queriers evaluate the rules. Empty: this process does. Names are looked up as often as -frontend.scheduler-dns-lookup-period says.',
  }),
  localDirectory: text({
    help: 'Folder with rule files that are only read, TENANT/*.yaml; looked at every five seconds.',
  }),
  alertmanagerUrl: list({
    check: checkUrl,
    help: 'Alertmanagers that alerts are sent to, as http://host:port/prefix; each gets all. dns+http://name:port: every address of the name; dnssrv+http://_service._tcp.name: every host of its SRV records.',
  }),
  alertmanagerDiscovery: toggle({
    default: false,
    help: 'Take the hosts of all Alertmanagers for names of SRV records, as Cortex does.',
  }),
  alertmanagerRefreshIntervalMs: duration({
    default: '1m',
    min: '1s',
    help: 'How often names of Alertmanagers are looked up.',
  }),
  notificationQueueCapacity: count({
    default: 10_000,
    min: 1,
    help: 'Alerts that wait for one Alertmanager, for each tenant; beyond, the oldest go.',
  }),
  notificationBatchSize: count({ default: 256, min: 1, max: 10_000, help: 'Alerts in one request.' }),
  notificationTimeoutMs: duration({ default: '10s', min: '100ms', help: 'Time that an Alertmanager has to answer.' }),
  resendDelayMs: duration({ default: '1m', help: 'Time after which an alert that still fires is sent again.' }),
  forOutageToleranceMs: duration({
    default: '1h',
    help: 'How far back ALERTS_FOR_STATE is looked at for alerts of which no state is kept.',
  }),
  forGracePeriodMs: duration({
    default: '10m',
    help: 'Least time before such an alert fires again; rules with a shorter `for` are not restored from series.',
  }),
  externalUrl: text({
    flag: 'ruler.external.url',
    help: 'Address under which users reach this server, for links in alerts. Empty: that of the listener.',
  }),
});

export type RulerConfig = typeof rulerConfig.type;

/** @throws RangeError */
function checkUrl(value: string): void {
  const url = URL.parse(value.replace(/^dns(srv)?\+/, ''));
  if (url === null || !/^https?:$/.test(url.protocol) || url.hostname === '') {
    throw new RangeError(`${value} is no address of an Alertmanager: http://host:port is wanted`);
  }
}
