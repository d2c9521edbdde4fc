import { readFile } from 'node:fs/promises';
import type { ArrayOrObject, Client, ClientOptions, QueryOptions } from 'cassandra-driver';
import { StoreCaller, type StoreOperation } from '../../kit/store/caller.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import type { CassandraConfig } from './config.ts';
import { type ControlConnection, refreshOneByOne } from './control-connection.ts';
import { classifyCassandra } from './failure.ts';

export const BACKEND = 'cassandra';

export interface CassandraParts {
  readonly clock: Clock;
  readonly random?: Random;
}

/**
 * The connections to a cluster. Made at the first call, and made anew after that failed: a process may start before its
 * store. All retrying is ours; the driver's own policies would try again unasked what must not be tried twice.
 */
export class CassandraSession {
  readonly config: CassandraConfig;
  readonly readOptions: QueryOptions;
  /** For reads that see every write confirmed before. */
  readonly strongReadOptions: QueryOptions;
  readonly writeOptions: QueryOptions;
  readonly #caller: StoreCaller;
  readonly #clock: Clock;
  readonly #driver: typeof import('cassandra-driver');
  readonly #options: ClientOptions;
  #client: Promise<Client> | undefined;

  private constructor(
    config: CassandraConfig,
    parts: CassandraParts,
    driver: typeof import('cassandra-driver'),
    options: ClientOptions,
    secrets: readonly string[],
  ) {
    this.config = config;
    this.#clock = parts.clock;
    this.#driver = driver;
    this.#options = options;
    const { consistencies } = driver.types;
    const level = config.consistency;
    const local = level === 'LOCAL_QUORUM' || level === 'LOCAL_ONE';
    this.writeOptions = {
      prepare: true,
      isIdempotent: true,
      consistency: consistencies[lowerCamel(level)],
      serialConsistency: local ? consistencies.localSerial : consistencies.serial,
    };
    // each quorum is a level of writes only
    const readLevel = level === 'EACH_QUORUM' ? 'LOCAL_QUORUM' : level;
    this.readOptions = { prepare: true, isIdempotent: true, consistency: consistencies[lowerCamel(readLevel)] };
    // what one replica confirmed is sure to be seen only where all are asked
    const strongLevel = level === 'ONE' || level === 'LOCAL_ONE' ? 'ALL' : readLevel;
    this.strongReadOptions = { ...this.readOptions, consistency: consistencies[lowerCamel(strongLevel)] };
    this.#caller = new StoreCaller({
      backend: BACKEND,
      classify: classifyCassandra,
      backoff: {
        minMs: config.retryMinBackoffMs,
        maxMs: config.retryMaxBackoffMs,
        triesMax: config.maxRetries + 1,
      },
      timeoutMs: config.timeoutMs,
      parallelMax: config.queryConcurrency,
      secrets,
      ...parts,
    });
  }

  static async open(config: CassandraConfig, parts: CassandraParts): Promise<CassandraSession> {
    const driver = (await import('cassandra-driver')).default;
    const password =
      config.passwordFile === '' ? config.password : (await readFile(config.passwordFile, 'utf8')).trim();
    const { TokenAwarePolicy, RoundRobinPolicy, DCAwareRoundRobinPolicy } = driver.policies.loadBalancing;
    const options: ClientOptions = {
      contactPoints: [...config.addresses],
      protocolOptions: { port: config.port },
      localDataCenter: config.localDatacenter || undefined,
      policies: {
        loadBalancing: new TokenAwarePolicy(
          config.localDatacenter === '' ? new RoundRobinPolicy() : new DCAwareRoundRobinPolicy(config.localDatacenter),
        ),
        retry: new driver.policies.retry.FallthroughRetryPolicy(),
        reconnection: new driver.policies.reconnection.ExponentialReconnectionPolicy(500, 10_000, false),
      },
      pooling: {
        coreConnectionsPerHost: {
          [driver.types.distance.local]: config.numConnections,
          [driver.types.distance.remote]: 1,
        },
      },
      socketOptions: { connectTimeout: config.connectTimeoutMs, readTimeout: config.timeoutMs },
      ...(config.auth && { authProvider: new driver.auth.PlainTextAuthProvider(config.username, password) }),
      ...(config.ssl && {
        sslOptions: {
          rejectUnauthorized: config.hostVerification,
          ca: config.caPath === '' ? undefined : [await readFile(config.caPath)],
          cert: config.tlsCertPath === '' ? undefined : await readFile(config.tlsCertPath),
          key: config.tlsKeyPath === '' ? undefined : await readFile(config.tlsKeyPath),
        },
      }),
    };
    return new CassandraSession(config, parts, driver, options, [password]);
  }

  /** A table's full name. Both parts are checked names, so nothing in it needs quoting. */
  nameOf(table: string): string {
    return `${this.config.keyspace}.${table}`;
  }

  call<T>(
    what: StoreOperation,
    signal: AbortSignal | undefined,
    attempt: (client: Client, failedTries: number) => Promise<T>,
  ): Promise<T> {
    return this.#caller.call(what, signal, async (_signal, failedTries) =>
      attempt(await this.#connected(), failedTries),
    );
  }

  async close(): Promise<void> {
    this.#caller.close();
    const client = await this.#client?.catch(() => undefined);
    await client?.shutdown().catch(() => {});
  }

  #connected(): Promise<Client> {
    this.#client ??= this.#connect().catch((thrown) => {
      this.#client = undefined;
      throw thrown;
    });
    return this.#client;
  }

  async #connect(): Promise<Client> {
    const client = new this.#driver.Client(this.#options);
    const stopRefreshing = refreshOneByOne(
      (client as unknown as { controlConnection: ControlConnection }).controlConnection,
      { clock: this.#clock },
    );
    try {
      await client.connect();
      // asked first: whoever made the keyspace may not have given us the right to make one
      const cql = 'SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?';
      const { rowLength } = await client.execute(cql, [this.config.keyspace], { prepare: true });
      if (rowLength === 0) await client.execute(this.#keyspaceCql());
      return client;
    } catch (thrown) {
      stopRefreshing();
      await client.shutdown().catch(() => {});
      throw thrown;
    }
  }

  #keyspaceCql(): string {
    const { keyspace, replication, replicationFactor } = this.config;
    const centres = Object.entries(replication);
    const strategy: ArrayOrObject =
      centres.length === 0
        ? { class: 'SimpleStrategy', replication_factor: `${replicationFactor}` }
        : { class: 'NetworkTopologyStrategy', ...Object.fromEntries(centres) };
    const options = Object.entries(strategy).map(([name, value]) => `${quoted(name)}: ${quoted(String(value))}`);
    return `CREATE KEYSPACE IF NOT EXISTS ${keyspace} WITH replication = {${options.join(', ')}}`;
  }
}

/** A CQL string. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

type Level = CassandraConfig['consistency'];

/** LOCAL_QUORUM → localQuorum: the driver's name of a consistency level. */
function lowerCamel(level: Level): 'quorum' | 'localQuorum' | 'eachQuorum' | 'all' | 'one' | 'localOne' {
  const names = {
    QUORUM: 'quorum',
    LOCAL_QUORUM: 'localQuorum',
    EACH_QUORUM: 'eachQuorum',
    ALL: 'all',
    ONE: 'one',
    LOCAL_ONE: 'localOne',
  } as const;
  return names[level];
}
