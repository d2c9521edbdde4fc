import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { openStores } from '../backends/e2e-stores.ts';
import { TcpProxy } from '../faults/tcp-proxy.ts';
import { type Peer, startService } from '../harness/peers.ts';
import { freePort } from '../harness/ports.ts';
import type { ChaosSettings } from './settings.ts';

const BUCKET = 'chaos';

const TABLE_FLAGS = {
  cassandra: (port: number) => [
    '-schema.store=cassandra',
    '-cassandra.addresses=127.0.0.1',
    `-cassandra.port=${port}`,
    '-cassandra.keyspace=chaos',
    '-cassandra.replication-factor=1',
    '-cassandra.max-retries=3',
    '-cassandra.timeout=3s',
  ],
  dynamodb: (port: number) => [
    '-schema.store=dynamodb',
    `-dynamodb.endpoint=http://127.0.0.1:${port}`,
    '-dynamodb.access-key-id=test',
    '-dynamodb.secret-access-key=test',
    '-dynamodb.max-retries=3',
    '-dynamodb.timeout=3s',
  ],
};

/** The database, the objects and the key-value store of a cluster, which can be away. */
export class Services implements AsyncDisposable {
  readonly #peers = new Map<string, Peer>();
  /** In front of the stores of samples. */
  readonly #proxies: TcpProxy[] = [];
  /** How a process reaches the stores of samples, and all of them. */
  readonly storeFlags: string[] = [];
  /** The database past its proxy. */
  #tableFlags: readonly string[] = [];
  readonly #ringFlags: string[] = [];

  get flags(): readonly string[] {
    return [...this.storeFlags, ...this.#ringFlags];
  }

  static async start(settings: ChaosSettings): Promise<Services> {
    const services = new Services();
    const started = await Promise.allSettled([
      services.#startTable(settings),
      services.#startObjects(settings),
      settings.kv === 'etcd' ? services.#startEtcd() : undefined,
    ]);
    const failed = started.find(({ status }) => status === 'rejected');
    if (failed === undefined) return services;
    await services[Symbol.asyncDispose]();
    throw (failed as PromiseRejectedResult).reason;
  }

  /** @returns its port, and that of the proxy before it */
  async #start(name: string, env: Record<string, string> = {}): Promise<{ own: number; proxied: number }> {
    const peer = await startService(name, env);
    this.#peers.set(name, peer);
    const proxy = await TcpProxy.listen(peer.port);
    this.#proxies.push(proxy);
    return { own: peer.port, proxied: proxy.port };
  }

  async #startTable({ store }: ChaosSettings): Promise<void> {
    const { own, proxied } = await this.#start(store, { CASSANDRA_STORAGE_PORT: `${await freePort()}` });
    this.storeFlags.push(...TABLE_FLAGS[store](proxied));
    this.#tableFlags = [...TABLE_FLAGS[store](own), '-schema.object-store=none'];
  }

  async #startObjects({ objects }: ChaosSettings): Promise<void> {
    if (objects === 'none') {
      this.storeFlags.push('-schema.object-store=none');
      return;
    }
    const endpoint = `http://127.0.0.1:${(await this.#start(objects)).proxied}`;
    const credentials = { accessKeyId: 'test', secretAccessKey: 'testsecret' };
    const client = new S3Client({ region: 'us-east-1', endpoint, forcePathStyle: true, credentials });
    await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
    client.destroy();
    this.storeFlags.push(
      '-schema.object-store=s3',
      `-s3.buckets=${BUCKET}`,
      `-s3.endpoint=${endpoint}`,
      '-s3.force-path-style=true',
      '-s3.max-retries=3',
      '-s3.timeout=3s',
      `-s3.access-key-id=${credentials.accessKeyId}`,
      `-s3.secret-access-key=${credentials.secretAccessKey}`,
    );
  }

  async #startEtcd(): Promise<void> {
    const peer = await startService('etcd');
    this.#peers.set('etcd', peer);
    this.#ringFlags.push('-ring.store=etcd', `-etcd.endpoints=127.0.0.1:${peer.port}`);
  }

  /** Ends the key-value store. */
  async takeKv(): Promise<void> {
    await this.#peers.get('etcd')!.stop();
  }

  /** Starts it again where it was, with nothing in it. */
  async returnKvEmpty(): Promise<void> {
    const { port } = this.#peers.get('etcd')!;
    this.#peers.set('etcd', await startService('etcd', {}, port));
  }

  /** Cuts the ways to the stores of samples; the ring goes with them where it lies there. */
  takeStore(): void {
    for (const proxy of this.#proxies) {
      proxy.weather = { refuse: true };
      proxy.cutAll();
    }
  }

  /**
   * Takes away all keys of a ring that lies beside the index, also while nobody else reaches the database. Samples stay.
   * @returns rows that it had
   */
  async emptyRing(): Promise<number> {
    const opened = await openStores(this.#tableFlags);
    try {
      const { tables, tablePrefix } = opened.schema.periods[0]!;
      const table = `${tablePrefix}ring`;
      let removed = 0;
      for await (const rows of tables.admin.scan(table)) {
        await tables.client.delete(table, rows);
        removed += rows.length;
      }
      for await (const rows of tables.admin.scan(table)) {
        if (rows.length > 0) throw new Error(`${rows.length} rows of the ring are still there`);
      }
      return removed;
    } finally {
      await opened.close();
    }
  }

  returnStore(): void {
    for (const proxy of this.#proxies) proxy.weather = {};
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const proxy of this.#proxies) await proxy.close();
    await Promise.all([...this.#peers.values()].map((peer) => peer[Symbol.asyncDispose]()));
  }
}
