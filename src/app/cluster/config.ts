import { choice, count, duration, list, text, toggle } from '../../kit/config/field.ts';
import { section } from '../../kit/config/section.ts';
import { ARCS_MAX } from '../../ring/version.ts';

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
    help: 'Time without a heartbeat after which an ingester counts as unhealthy.',
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
    help: 'Hosts and ports (-server.peer-listen-address) of some other processes, which tell of the ring while its store is away.',
  }),
});

export type RingConfig = typeof ringConfig.type;

export const peerConfig = section('peer', 'Traffic between the processes of a cluster', {
  listenAddress: text({
    default: '127.0.0.1:9095',
    flag: 'server.peer-listen-address',
    help: 'host:port to listen on for other processes of the cluster; port 0 takes any free one.',
  }),
  advertiseAddress: text({
    flag: 'server.peer-advertise-address',
    help: 'host:port that others reach this process at. Empty: that of -server.peer-listen-address, with the name of the host where it listens on all.',
  }),
  keyFile: text({
    valueWanted: true,
    flag: 'server.peer-key-file',
    help: "File with the cluster's shared key, at least 16 bytes, the same for all processes.",
  }),
  tlsCertPath: text({
    valueWanted: true,
    flag: 'server.peer-tls-cert-path',
    help: 'Certificate of this process in PEM, shown to both sides; with it all traffic is encrypted.',
  }),
  tlsKeyPath: text({ valueWanted: true, flag: 'server.peer-tls-key-path', help: 'Its private key in PEM.' }),
  tlsCaPath: text({
    valueWanted: true,
    flag: 'server.peer-tls-ca-path',
    help: 'Authorities in PEM that the certificates of others must be signed by.',
  }),
  tlsServerName: text({
    flag: 'server.peer-tls-server-name',
    help: 'Name that the certificates of those who listen are for. Empty: the host that is called.',
  }),
  insecure: toggle({
    default: false,
    flag: 'server.peer-insecure',
    help: 'Talk to others on the network with neither shared key nor certificates.',
  }),
});

export type PeerConfig = typeof peerConfig.type;

function checkName(name: string): void {
  if (!/^[A-Za-z0-9._-]{0,200}$/.test(name)) {
    throw new RangeError(`${name} is not a name of up to 200 letters, digits, dots, hyphens and underscores`);
  }
}
