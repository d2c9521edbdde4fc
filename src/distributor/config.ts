import { bytes, count } from '../kit/config/field.ts';
import { section } from '../kit/config/section.ts';

export const distributorConfig = section('distributor', 'Distributor', {
  replicationFactor: count({
    default: 1,
    min: 1,
    max: 7,
    help: 'Ingesters that hold each sample. With more than 1 the processes are a cluster, and as many ingesters are needed before any takes writes.',
  }),
  edgeWorkers: count({
    default: 0,
    help: "Threads that read and check the bodies of writes. 0: one for every two processors, at most 4; with two processors and one shard that shard's thread does it.",
  }),
  maxRecvMsgSize: bytes({
    default: '32MiB',
    help: 'Bytes of a write request when it is inflated. What declares more is refused with 413 before it is.',
  }),
  inflightPushes: count({
    default: 64,
    min: 1,
    help: 'Writes that one edge worker has under way; more wait, and -distributor.queued-pushes more are refused.',
  }),
  queuedPushes: count({ default: 256, help: 'Writes that wait for an edge worker; one more is refused with 503.' }),
});

export type DistributorConfig = typeof distributorConfig.type;
