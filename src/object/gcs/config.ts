import { count, duration, text } from '../../kit/config/field.ts';
import { storeSection } from '../../kit/store/section.ts';

export const gcsConfig = storeSection('storage.gcs', 'gcs', 'Objects in Google Cloud Storage.', {
  bucketName: text({ help: 'Bucket. It must be there.' }),
  project: text({ help: 'Project, where the credentials do not say.' }),
  keyFile: text({ help: 'File with the key of a service account. Empty: as the environment or the machine says.' }),
  endpoint: text({ help: 'URL of an emulator, which is spoken to without credentials.' }),
  requestTimeoutMs: duration({ default: '30s', help: 'Time that one try of a request may take.' }),
  maxRetries: count({ default: 9, help: 'Further tries of a request that failed for a reason that may pass.' }),
  minBackoffMs: duration({ default: '100ms', help: 'Least pause before a further try.' }),
  maxBackoffMs: duration({ default: '5s', help: 'Longest pause before a further try.' }),
  concurrency: count({ default: 64, min: 1, help: 'Requests under way at once, per process.' }),
});

export type GcsConfig = typeof gcsConfig.type;
