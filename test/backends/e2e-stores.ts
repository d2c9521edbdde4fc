import { BlobServiceClient, StorageSharedKeyCredential } from '@azure/storage-blob';
import { Storage } from '@google-cloud/storage';
import { sections } from '../../src/app/config.ts';
import { storeSpec } from '../../src/app/store-spec.ts';
import { type OpenedStore, openStore } from '../../src/chunkstore/open.ts';
import { loadConfig } from '../../src/kit/config/load.ts';
import { systemClock } from '../../src/lib/clock.ts';

/** A real service, as flags of the server and of the tools. */
export interface ServiceStore {
  readonly name: string;
  /** Undefined: the service is not there. */
  readonly port: number | undefined;
  /** @param port of the service, or of what stands in front of it */
  flags(port: number): readonly string[];
  /** Makes what an operator has to make. */
  prepare?(port: number): Promise<void>;
}

// names of their own for each run, so that a service may be used again
const RUN = Date.now().toString(36);
export const PREFIX = `e2e${RUN}_`;
const BUCKET = `e2e-${RUN}`;
/** The account that every copy of the Azure emulator has. */
const AZURE_ACCOUNT = 'devstoreaccount1';
const AZURE_KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

export const tableServices: readonly ServiceStore[] = [
  {
    name: 'cassandra',
    port: portOf('CASSANDRA_PORT'),
    flags: (port) => [
      '-schema.store=cassandra',
      '-cassandra.addresses=127.0.0.1',
      `-cassandra.port=${port}`,
      `-cassandra.keyspace=e2e`,
      '-cassandra.replication-factor=1',
      '-cassandra.consistency=ONE',
    ],
  },
  {
    name: 'dynamodb',
    port: portOf('DYNAMODB_PORT'),
    flags: (port) => [
      '-schema.store=dynamodb',
      `-dynamodb.endpoint=http://127.0.0.1:${port}`,
      '-dynamodb.access-key-id=test',
      '-dynamodb.secret-access-key=test',
    ],
  },
  {
    name: 'bigtable',
    port: portOf('BIGTABLE_PORT'),
    flags: (port) => [
      '-schema.store=bigtable',
      '-bigtable.project=test',
      '-bigtable.instance=e2e',
      `-bigtable.emulator-host=127.0.0.1:${port}`,
    ],
  },
];

/** Flags that take the place of the retries that are for real networks, where a test wants to see a store away. */
export const QUICK: Readonly<Record<string, readonly string[]>> = {
  cassandra: quick('cassandra', 'retry-min-backoff', 'retry-max-backoff'),
  dynamodb: quick('dynamodb', 'min-backoff', 'max-backoff'),
  bigtable: quick('bigtable', 'min-backoff', 'max-backoff'),
  s3: quick('s3', 'min-backoff', 'max-backoff'),
};

function quick(name: string, least: string, most: string): readonly string[] {
  return [`-${name}.max-retries=2`, `-${name}.${least}=20ms`, `-${name}.${most}=100ms`, `-${name}.timeout=1s`];
}

function s3(name: string, variable: string): ServiceStore {
  return {
    name,
    port: portOf(variable),
    flags: (port) => [
      '-schema.object-store=s3',
      `-s3.buckets=${BUCKET}`,
      `-s3.endpoint=http://127.0.0.1:${port}`,
      '-s3.force-path-style=true',
      '-s3.access-key-id=test',
      '-s3.secret-access-key=testsecret',
    ],
    async prepare(port) {
      const { S3Client, CreateBucketCommand } = await import('@aws-sdk/client-s3');
      const service = new S3Client({
        region: 'us-east-1',
        endpoint: `http://127.0.0.1:${port}`,
        forcePathStyle: true,
        credentials: { accessKeyId: 'test', secretAccessKey: 'testsecret' },
      });
      await service.send(new CreateBucketCommand({ Bucket: BUCKET }));
      service.destroy();
    },
  };
}

export const objectServices: readonly ServiceStore[] = [
  s3('moto', 'MOTO_PORT'),
  s3('versitygw', 'S3_PORT'),
  {
    name: 'gcs',
    port: portOf('GCS_PORT'),
    flags: (port) => [
      '-schema.object-store=gcs',
      `-gcs.bucket-name=${BUCKET}`,
      '-gcs.project=test',
      `-gcs.endpoint=http://127.0.0.1:${port}`,
    ],
    async prepare(port) {
      await new Storage({ apiEndpoint: `http://127.0.0.1:${port}`, projectId: 'test' }).createBucket(BUCKET);
    },
  },
  {
    name: 'azure',
    port: portOf('AZURITE_PORT'),
    flags: (port) => [
      '-schema.object-store=azure',
      `-azure.container-name=${BUCKET}`,
      `-azure.account-name=${AZURE_ACCOUNT}`,
      `-azure.account-key=${AZURE_KEY}`,
      `-azure.endpoint=http://127.0.0.1:${port}/${AZURE_ACCOUNT}`,
    ],
    async prepare(port) {
      const url = `http://127.0.0.1:${port}/${AZURE_ACCOUNT}`;
      const service = new BlobServiceClient(url, new StorageSharedKeyCredential(AZURE_ACCOUNT, AZURE_KEY));
      await service.createContainer(BUCKET);
    },
  },
];

/** The stores that a server with these flags uses, for a test to reach into. */
export function openStores(flags: readonly string[]): Promise<OpenedStore> {
  return openStore(storeSpec(loadConfig(sections, { args: flags, env: {} }).values), systemClock);
}

function portOf(variable: string): number | undefined {
  const text = process.env[variable];
  return text === undefined ? undefined : Number(text);
}
