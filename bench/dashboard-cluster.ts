import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { sections } from '../src/app/config.ts';
import { storeSpec } from '../src/app/store-spec.ts';
import { openStore } from '../src/chunkstore/open.ts';
import { loadConfig } from '../src/kit/config/load.ts';
import { systemClock } from '../src/lib/clock.ts';
import { Cluster, QUICK_RING } from '../test/harness/cluster.ts';
import { freePort } from '../test/harness/ports.ts';
import { startService } from '../test/harness/services.ts';
import { fillSchema, type MonthOptions } from './month-store.ts';

/** A server that is asked, with all of its processes. `await using` ends those that were started for it. */
export interface AskedServer extends AsyncDisposable {
  readonly url: string;
  /** CPU of its processes so far; that of databases is not counted. */
  cpuMs(): number;
}

const BUCKET = 'dashboard';
const CREDENTIALS = { accessKeyId: 'test', secretAccessKey: 'testsecret' };
const INGESTERS = ['ingester-1', 'ingester-2', 'ingester-3'] as const;
const QUERYING = ['frontend', 'querier'] as const;

/** Three ingesters on Cassandra and S3, which have a month of samples; a front end and a querier come and go. */
export class DashboardCluster implements AsyncDisposable {
  readonly #resources = new AsyncDisposableStack();
  #cluster: Cluster | undefined;

  static async start(month: MonthOptions): Promise<DashboardCluster> {
    const own = new DashboardCluster();
    try {
      const flags = await own.#storeFlags();
      const { schema, close } = await openStore(
        storeSpec(loadConfig(sections, { args: flags, env: {} }).values),
        systemClock,
      );
      await fillSchema(schema, month);
      await close();
      own.#cluster = own.#resources.use(new Cluster([...flags, ...QUICK_RING, '-self-monitoring.enabled=false']));
      for (const name of INGESTERS) await own.#cluster.start(name, ['-target=ingester']);
      await own.#cluster.ready();
      return own;
    } catch (thrown) {
      await own[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  async #storeFlags(): Promise<string[]> {
    const cassandra = this.#resources.use(await startService('cassandra'));
    const s3 = this.#resources.use(await startService('s3'));
    const endpoint = `http://127.0.0.1:${s3.port}`;
    const client = new S3Client({ region: 'us-east-1', endpoint, forcePathStyle: true, credentials: CREDENTIALS });
    await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
    client.destroy();
    return [
      '-schema.store=cassandra',
      '-cassandra.addresses=127.0.0.1',
      `-cassandra.port=${cassandra.port}`,
      '-cassandra.keyspace=dashboard',
      '-cassandra.replication-factor=1',
      '-schema.object-store=s3',
      `-s3.buckets=${BUCKET}`,
      `-s3.endpoint=${endpoint}`,
      '-s3.force-path-style=true',
      `-s3.access-key-id=${CREDENTIALS.accessKeyId}`,
      `-s3.secret-access-key=${CREDENTIALS.secretAccessKey}`,
    ];
  }

  /** A front end and a querier that have nothing cached. */
  async serve(flags: readonly string[]): Promise<AskedServer> {
    const cluster = this.#cluster!;
    const address = `127.0.0.1:${await freePort()}`;
    const { url } = await cluster.start('frontend', [
      '-target=query-frontend',
      `-server.peer-listen-address=${address}`,
      ...flags,
    ]);
    await cluster.start('querier', ['-target=querier', `-querier.frontend-address=${address}`, ...flags]);
    await cluster.ready();
    return {
      url,
      cpuMs: () => cluster.cpuMs(),
      [Symbol.asyncDispose]: async () => {
        await Promise.all(QUERYING.map((name) => cluster.of(name).stop()));
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}
