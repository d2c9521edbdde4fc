import { count, duration, text } from '../../kit/config/field.ts';
import { storeSection } from '../../kit/store/section.ts';

export const bigtableConfig = storeSection('storage.bigtable', 'bigtable', 'Rows in Google Cloud Bigtable.', {
  project: text({ help: 'Project of the instance.' }),
  instance: text({ help: 'Instance.' }),
  appProfile: text({
    help: 'Application profile. Where an instance has several clusters it must route to one of them, or writes are not seen at once.',
  }),
  keyFile: text({ help: 'File with the key of a service account. Empty: as the environment or the machine says.' }),
  emulatorHost: text({ help: 'Host and port of an emulator, which is spoken to without encryption.' }),
  timeoutMs: duration({ default: '20s', help: 'Time that one try of a request may take.' }),
  maxRetries: count({ default: 9, help: 'Further tries of a request that failed for a reason that may pass.' }),
  minBackoffMs: duration({ default: '100ms', help: 'Least pause before a further try.' }),
  maxBackoffMs: duration({ default: '5s', help: 'Longest pause before a further try.' }),
  queryConcurrency: count({ default: 64, min: 1, help: 'Requests under way at once, per process.' }),
});

export type BigtableConfig = typeof bigtableConfig.type;
