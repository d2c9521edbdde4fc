import { bytes, count, duration, secret, text } from '../../kit/config/field.ts';
import { storeSection } from '../../kit/store/section.ts';

export const azureConfig = storeSection('storage.azure', 'azure', 'Objects in Azure Blob Storage.', {
  containerName: text({ help: 'Container. It must be there.' }),
  accountName: text({ help: 'Storage account.' }),
  accountKey: secret({ help: 'Key of the storage account.' }),
  endpointSuffix: text({ default: 'blob.core.windows.net', help: "What follows the account in the service's name." }),
  endpoint: text({ help: 'URL of the account, where it is no part of a name, as in an emulator.' }),
  blockBytes: bytes({
    default: '8MiB',
    min: '1MiB',
    help: 'Objects larger than this are sent in blocks of this size.',
  }),
  timeoutMs: duration({ default: '30s', help: 'Time that one try of a request may take.' }),
  maxRetries: count({ default: 9, help: 'Further tries of a request that failed for a reason that may pass.' }),
  minBackoffMs: duration({ default: '100ms', key: 'min_retry_delay', help: 'Least pause before a further try.' }),
  maxBackoffMs: duration({ default: '5s', key: 'max_retry_delay', help: 'Longest pause before a further try.' }),
  concurrency: count({ default: 64, min: 1, help: 'Requests under way at once, per process.' }),
});

export type AzureConfig = typeof azureConfig.type;
