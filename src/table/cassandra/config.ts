import { choice, count, duration, list, mapping, secret, text, toggle } from '../../kit/config/field.ts';
import { storeSection } from '../../kit/store/section.ts';

export const cassandraConfig = storeSection('storage.cassandra', 'cassandra', 'Rows in Apache Cassandra.', {
  addresses: list({ help: 'Host names or addresses of some nodes.' }),
  port: count({ default: 9042, min: 1, max: 65_535, help: 'Port that the nodes listen on.' }),
  keyspace: text({ default: 'pallium', check: checkName, help: 'Keyspace to use. Made where it is missing.' }),
  consistency: choice({
    default: 'QUORUM',
    values: ['QUORUM', 'LOCAL_QUORUM', 'EACH_QUORUM', 'ALL', 'ONE', 'LOCAL_ONE'],
    help: 'Replicas that must confirm a write or a read. Below a quorum a query may miss what was written.',
  }),
  replicationFactor: count({ default: 3, min: 1, help: 'Copies of each row, when the keyspace is made.' }),
  replication: mapping({
    help: 'Copies per data centre, when the keyspace is made (network topology): `{eu: 3, us: 3}`. Instead of the replication factor.',
  }),
  localDatacenter: text({ help: 'Data centre whose nodes are asked. Empty: all nodes in turn.' }),
  ssl: toggle({ default: false, key: 'SSL', help: 'Encrypt connections.' }),
  hostVerification: toggle({ default: true, help: "Check the nodes' certificates and names." }),
  caPath: text({ key: 'CA_path', help: 'File with the certificate authority, PEM.' }),
  tlsCertPath: text({ help: 'File with our certificate, PEM.' }),
  tlsKeyPath: text({ help: 'File with the key of our certificate, PEM.' }),
  auth: toggle({ default: false, help: 'Log in with user name and password.' }),
  username: text({ help: 'User name.' }),
  password: secret({ help: 'Password.' }),
  passwordFile: text({ help: 'File that holds the password.' }),
  timeoutMs: duration({ default: '10s', help: 'Time that one try of a request may take.' }),
  connectTimeoutMs: duration({ default: '5s', help: 'Time that connecting to a node may take.' }),
  maxRetries: count({ default: 9, help: 'Further tries of a request that failed for a reason that may pass.' }),
  retryMinBackoffMs: duration({ default: '100ms', help: 'Least pause before a further try.' }),
  retryMaxBackoffMs: duration({ default: '5s', help: 'Longest pause before a further try.' }),
  queryConcurrency: count({ default: 64, min: 1, help: 'Requests under way at once, per process.' }),
  numConnections: count({ default: 2, min: 1, help: 'Connections to each node.' }),
  batchBytesMax: count({
    default: 40_960,
    min: 1024,
    help: 'Bytes of rows sent in one batch. Cassandra refuses batches over its batch_size_fail_threshold, 50 KiB unless set.',
  }),
  tableOptions: text({
    default:
      "compaction = {'class': 'TimeWindowCompactionStrategy', 'compaction_window_unit': 'DAYS', 'compaction_window_size': 1}",
    help: 'Options in CQL that tables are made with. Rows of a day are written within a few hours and read together.',
  }),
});

export type CassandraConfig = typeof cassandraConfig.type;

function checkName(name: string): void {
  if (!/^[a-z][a-z0-9_]{0,47}$/.test(name)) {
    throw new RangeError(`${name} is not a name of up to 48 small letters, digits and underscores`);
  }
}
