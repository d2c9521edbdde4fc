import { bytes, choice, count, duration, secret, text, toggle } from '../../kit/config/field.ts';
import { storeSection } from '../../kit/store/section.ts';

export const s3Config = storeSection('storage.aws', 's3', 'Objects in Amazon S3, or in what speaks its protocol.', {
  bucketName: text({ key: 'bucketnames', flag: 's3.buckets', help: 'Bucket. It must be there.' }),
  region: text({ default: 'us-east-1', help: 'Region.' }),
  endpoint: text({ help: 'Host, or URL, of a service other than AWS.' }),
  insecure: toggle({ default: false, help: 'Speak to the endpoint without encryption, where it is no URL.' }),
  forcePathStyle: toggle({
    default: false,
    key: 's3forcepathstyle',
    help: "Name the bucket in the path rather than in the host's name, as most services other than AWS want it.",
  }),
  accessKeyId: text({ help: 'Access key. Empty: as the environment, the profile or the machine says.' }),
  secretAccessKey: secret({ help: 'Secret of the access key.' }),
  sseType: choice({
    default: 'none',
    values: ['none', 'SSE-S3', 'SSE-KMS'],
    flag: 's3.sse.type',
    help: 'Encryption that the service is asked for.',
  }),
  sseKmsKeyId: text({ flag: 's3.sse.kms-key-id', help: 'Key for SSE-KMS. Empty: the one of the account.' }),
  sseKmsEncryptionContext: text({
    flag: 's3.sse.kms-encryption-context',
    help: 'Encryption context for SSE-KMS, a JSON object.',
    check: checkJson,
  }),
  partBytes: bytes({ default: '8MiB', min: '5MiB', help: 'Objects larger than this are sent in parts of this size.' }),
  timeoutMs: duration({ default: '30s', help: 'Time that one try of a request may take.' }),
  maxRetries: count({ default: 9, help: 'Further tries of a request that failed for a reason that may pass.' }),
  minBackoffMs: duration({ default: '100ms', help: 'Least pause before a further try.' }),
  maxBackoffMs: duration({ default: '5s', help: 'Longest pause before a further try.' }),
  concurrency: count({ default: 64, min: 1, help: 'Requests under way at once, per process.' }),
});

export type S3Config = typeof s3Config.type;

function checkJson(value: string): void {
  try {
    JSON.parse(value);
  } catch {
    throw new RangeError('not a JSON object');
  }
}
