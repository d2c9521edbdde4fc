import { type AddressInfo, createServer, type Server } from 'node:net';
import type { TlsOptions } from 'node:tls';
import { MessageChannel } from 'node:worker_threads';
import type { ApiBackend } from '../../contract/api.ts';
import type { Gate } from '../../kit/http/auth.ts';
import { type Listener, listenProblem, urlOf } from '../../kit/http/listener.ts';
import type { Route } from '../../kit/http/message.ts';
import { SharedLogins } from '../../kit/http/shared-logins.ts';
import { tlsOptions } from '../../kit/http/tls.ts';
import { KeptCounts } from '../../kit/observe/kept-counts.ts';
import type { Logger } from '../../kit/observe/log.ts';
import {
  counter,
  type MetricSnapshot,
  type MetricSource,
  metricTable,
  type Registry,
} from '../../kit/observe/metrics.ts';
import type { Service, Stop } from '../../kit/service/service.ts';
import { type CallOptions, type RequestOf, type ResponseOf, serve, Transferred } from '../../kit/thread/channel.ts';
import { ThreadsRoom } from '../../kit/thread/threads-room.ts';
import { type WorkerSpec, WorkerThread, workerUrl } from '../../kit/thread/worker.ts';
import { type PooledWorker, WorkerPool } from '../../kit/thread/worker-pool.ts';
import { aborted } from '../../lib/aborted.ts';
import type { Clock } from '../../lib/clock.ts';
import { systemBytes } from '../../lib/random.ts';
import type { LimitsService } from '../../limits/limits-service.ts';
import { packLimits } from '../../limits/limits-table.ts';
import { processErrors } from '../../model/errors-process.ts';
import type { Config } from '../config.ts';
import type { DirectData } from '../threads/direct-querier.ts';
import type { ShardHost } from '../threads/shard-thread-role.ts';
import { FrontHost } from './front-host.ts';
import type {
  EndedInFront,
  FrontData,
  FrontHostRole,
  FrontMemory,
  FrontRole,
  FrontWritesData,
  InForce,
} from './front-role.ts';

export interface FrontThreadsOptions {
  readonly config: Pick<Config, 'server' | 'auth' | 'tenantFederation' | 'log' | 'distributor'>;
  readonly threads: number;
  readonly gate: Gate;
  readonly logins: SharedArrayBuffer;
  readonly limits: LimitsService;
  /** The key of sessions. @throws where it is not known */
  readonly sessionKey: () => Uint8Array;
  readonly log: Logger;
  readonly registry: Registry;
  readonly clock: Clock;
  /** Starts a thread; tests hold on to it. */
  readonly start?: (spec: WorkerSpec) => WorkerThread<FrontRole>;
}

/** Who gives front threads what they need to take writes. */
export interface FrontWritesHost {
  readonly data: FrontWritesData;
  readonly role: WritesRole;
  connect(thread: WorkerThread<FrontRole>): void;
  ended(thread: number): void;
}

/** Who answers queries for front threads, and hears of those that they answer themselves. */
export interface FrontQueriesHost {
  readonly backend: ApiBackend;
  /** The store and the shards, for small queries; undefined: these are handed on, too. */
  readonly direct: { readonly data: DirectData; readonly shards: ShardHost } | undefined;
  /** Time from which on a query is logged as one that took long; 0: none is. */
  readonly slowFromMs: number;
  ended(queries: readonly EndedInFront[]): void;
}

type WritesRole = Pick<FrontHostRole, 'push' | 'ratePlace' | 'slots' | 'slotSize' | 'noteLate' | 'counted'>;

/** Where a listener stands. */
type Phase = 'none' | 'early' | 'open' | 'stopped';

const frontMetrics = metricTable({
  restarts: counter('front_thread_restarts_total', 'Times that a thread that listens died and was replaced.', [
    'front',
  ]),
});

/** Nursery of a front thread, MB: each request leaves more behind there than a worker's call. */
const NURSERY_MB = 12;
const noWrites = (): never => {
  throw new Error('bug: a write in a process that takes none');
};
const NO_WRITES: WritesRole = {
  push: noWrites,
  ratePlace: noWrites,
  slots: noWrites,
  slotSize: noWrites,
  noteLate: noWrites,
  counted: noWrites,
};

/** How often it is looked whether the key of sessions is another one. */
const KEY_LOOK_MS = 1_000;
/** Systems whose kernels spread connections over all who listen at a port. */
const SPREADING: readonly NodeJS.Platform[] = ['linux', 'freebsd', 'sunos', 'aix'];

/**
 * Front threads that a process has by its settings, on this system; 1: none, the main thread listens.
 * @throws Error that names a setting that would do nothing
 */
export function frontThreads(
  { server, distributor }: Pick<Config, 'server' | 'distributor'>,
  log: Logger,
  platform: NodeJS.Platform = process.platform,
): number {
  const { frontThreads: wanted } = server;
  if (wanted > 1 && distributor.edgeWorkers > 0) {
    throw new Error(
      `-distributor.edge-workers ${distributor.edgeWorkers} is refused with -server.front-threads ${wanted}: each of these has an edge of its own`,
    );
  }
  if (wanted === 1 || SPREADING.includes(platform)) return wanted;
  log.warn(
    { platform, wanted },
    'one thread listens: this system does not spread connections over threads that listen at the same port',
  );
  return 1;
}

/**
 * Threads that listen at one port in place of the main thread. Each has the bounds of the process in common with the others, in shared
 * memory, and hands to the main thread what it does not answer itself. One that dies is replaced: its connections end with it, and what
 * it held is given back.
 */
export class FrontThreads implements Listener {
  readonly name = 'front-listener';
  readonly #options: FrontThreadsOptions;
  /** By path. */
  readonly #routes = new Map<string, Route>();
  readonly #memory: FrontMemory;
  readonly #metrics: ReturnType<typeof frontMetrics>;
  readonly #threads: (WorkerThread<FrontRole> | undefined)[] = [];
  /** Resolves when a thread is in the phase that the process was in when it began. */
  readonly #ready: Promise<void>[] = [];
  #pool: WorkerPool<FrontRole> | undefined;
  #port: number;
  #phase: Phase = 'none';
  #toldKey: Uint8Array | undefined;
  /** Certificates in force: a thread that is replaced has those of the others, whatever lies in the files by then. */
  #tls: TlsOptions | undefined;
  /** Held as long as the port is this process'. */
  #lock: Server | undefined;
  /** By thread, what it had counted when it was asked last. */
  readonly #counted: MetricSnapshot[] = [];
  readonly #kept = new KeptCounts();
  #looks: { cancel(): void } | undefined;
  #writes: FrontWritesHost | undefined;
  #queries: FrontQueriesHost | undefined;

  /** @throws where certificate or key cannot be read */
  constructor(options: FrontThreadsOptions) {
    const { config, threads, logins, registry } = options;
    const { httpConnectionsMax, inflightBodyBytesMax, inflightAnswerBytesMax, httpListenPort } = config.server;
    this.#options = options;
    this.#port = httpListenPort;
    this.#tls = tlsOptions(config.server);
    this.#metrics = frontMetrics(registry);
    const room = (size: number) => ThreadsRoom.memory(size, threads, systemBytes);
    this.#memory = {
      connections: room(httpConnectionsMax),
      bodies: room(inflightBodyBytesMax),
      answers: room(inflightAnswerBytesMax),
      logins,
    };
    options.limits.onChange(() => void this.#tellAll());
  }

  /** Memory for logins that fail, for the gate of this thread, too. */
  static logins(): SharedArrayBuffer {
    return SharedLogins.memory(systemBytes);
  }

  add(routes: readonly Route[]): void {
    for (const route of routes) if (!this.#routes.has(route.path)) this.#routes.set(route.path, route);
  }

  get routes(): readonly Route[] {
    return [...this.#routes.values()];
  }

  get url(): string {
    const { server } = this.#options.config;
    return urlOf(server, server.httpListenAddress, this.#port);
  }

  /** Number of them. */
  get threads(): number {
    return this.#options.threads;
  }

  /** The metrics of all of them, added up. */
  get metricSource(): MetricSource {
    return async () => {
      const counted = await Promise.all(Array.from({ length: this.#options.threads }, (_, i) => this.#countedBy(i)));
      return [...this.#kept.snapshot, ...counted.flat()];
    };
  }

  async #countedBy(i: number): Promise<MetricSnapshot> {
    const thread = this.#threads[i];
    if (thread === undefined) return [];
    try {
      const counted = await thread.channel.call('metrics', {});
      if (this.#threads[i] !== thread) return [];
      this.#counted[i] = counted;
      return counted;
    } catch {
      return []; // it is gone, and what it had counted is kept
    }
  }

  get early(): Service {
    return {
      name: `early-${this.name}`,
      start: () => this.#enter('early'),
      stop: (stop) => this.stop(stop),
    };
  }

  async start(): Promise<void> {
    await this.#enter('open');
    this.#options.log.info({ address: this.url, threads: this.#options.threads }, 'listening');
  }

  /** Reads certificates again, and tells all threads of them, of who may ask, and of limits. @throws what is wrong with certificates */
  async reload(): Promise<void> {
    try {
      this.#tls = tlsOptions(this.#options.config.server);
    } finally {
      await this.#tellAll();
    }
  }

  notReady(): string | undefined {
    if (this.#phase !== 'open' || this.#there.length > 0) return undefined;
    return 'no thread listens: they are started again';
  }

  /** Takes no new connections, lets requests under way finish, and cuts them at the deadline. */
  async stop({ signal }: Stop): Promise<void> {
    if (this.#phase === 'stopped') return;
    this.#phase = 'stopped';
    this.#looks?.cancel();
    const stopped = this.#there.map(async ({ channel, gone }) => {
      await Promise.race([channel.call('stopListening', {}, { signal }).catch(() => {}), gone]);
    });
    await Promise.race([Promise.all(stopped), aborted(signal)]);
    this.#lock?.close();
    if (this.#writes === undefined) await this.close();
  }

  get #there(): readonly WorkerThread<FrontRole>[] {
    return this.#threads.filter((thread) => thread !== undefined);
  }

  /** Starts threads that take writes, before they listen. They go on after `stop`, until `close`. */
  async begin(writes: FrontWritesHost): Promise<void> {
    this.#writes = writes;
    this.#startPool();
    await this.#allReady();
  }

  /** Before they start: who answers their queries. */
  answer(queries: FrontQueriesHost): void {
    this.#queries = queries;
  }

  /** Ends all threads. */
  async close(): Promise<void> {
    this.#phase = 'stopped';
    this.#looks?.cancel();
    this.#lock?.close();
    await this.#pool?.close();
  }

  /** The way to a thread; undefined: there is none at the moment. */
  channel(thread: number): WorkerThread<FrontRole>['channel'] | undefined {
    return this.#threads[thread]?.channel;
  }

  /** @throws workerGone */
  call<M extends keyof FrontRole & string>(
    thread: number,
    method: M,
    request: RequestOf<FrontRole, M>,
    options?: CallOptions<ResponseOf<FrontRole, M>>,
  ): Promise<ResponseOf<FrontRole, M>> {
    const channel = this.channel(thread);
    if (channel === undefined) {
      return Promise.reject(processErrors.workerGone({ worker: `front-${thread}`, reason: 'it is started again' }));
    }
    return channel.call(method, request, options);
  }

  async #enter(phase: 'early' | 'open'): Promise<void> {
    if (this.#phase === 'none') await this.#holdPort();
    this.#phase = phase;
    if (this.#pool === undefined) this.#startPool();
    else for (const thread of this.#there) this.#ready[this.#threads.indexOf(thread)] = this.#listen(thread);
    await this.#allReady();
  }

  async #holdPort(): Promise<void> {
    const { server } = this.#options.config;
    this.#port = await freePort(server);
    this.#lock = await portLock(server, this.#port);
  }

  async #allReady(): Promise<void> {
    try {
      await Promise.all(this.#ready);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  #startPool(): void {
    const { threads, log, clock } = this.#options;
    // starts threads, and others in their place; calls go to one or the other by name
    this.#pool = WorkerPool.start<FrontRole>({
      name: 'front',
      size: threads,
      callsPerWorkerMax: 1,
      queueMax: 0,
      log,
      clock,
      spawn: (i) => this.#spawn(i),
    });
    this.#looks = clock.every(KEY_LOOK_MS, () => this.#lookAtKey());
  }

  #spawn(thread: number): PooledWorker<FrontRole> {
    const { config, log, clock, start = WorkerThread.start<FrontRole> } = this.#options;
    const data: FrontData = {
      thread,
      server: config.server,
      auth: config.auth,
      federation: config.tenantFederation,
      host: config.server.httpListenAddress,
      isDebug: config.log.level === 'debug',
      memory: this.#memory,
      routes: this.routes.map(({ handle: _, ...facts }) => facts),
      writes: this.#writes?.data,
      queries: this.#queries && {
        areSmallOnes: this.#queries.direct !== undefined,
        slowFromMs: this.#queries.slowFromMs,
      },
      inForce: this.#inForce(),
    };
    const worker = start({
      name: `front-${thread}`,
      url: workerUrl('./front-worker', import.meta.url),
      data,
      resourceLimits: {
        maxOldGenerationSizeMb: config.server.frontHeapMb,
        maxYoungGenerationSizeMb: NURSERY_MB,
      },
    });
    const queries = this.#queries?.backend;
    const hosted = new FrontHost({ thread, routeOf: (path) => this.#routes.get(path), queries, log, clock });
    const { port1, port2: host } = new MessageChannel();
    serve(port1, {
      ...hosted.role,
      ...(this.#writes?.role ?? NO_WRITES),
      ...this.#queriesRole(worker),
    } satisfies FrontHostRole);
    worker.channel.call('connect', { host }, { transfer: [host] }).catch(() => {}); // it is gone
    this.#writes?.connect(worker);
    this.#threads[thread] = worker;
    void worker.gone.then(() => {
      this.#threads[thread] = undefined;
      this.#kept.add(this.#counted[thread] ?? []);
      this.#counted[thread] = [];
      port1.close();
      hosted.close();
      const { connections, bodies, answers } = this.#memory;
      for (const room of [connections, bodies, answers]) ThreadsRoom.giveBack(room, thread);
      this.#writes?.ended(thread);
      if (this.#phase !== 'stopped') this.#metrics.restarts.inc({ front: String(thread) });
    });
    const ready = this.#listen(worker);
    ready.catch((error: Error) => {
      // at the start this ends the process; later another one is tried
      if (this.#phase !== 'stopped') log.error({ front: thread, err: error.message }, 'a thread does not listen');
      void worker.terminate();
    });
    this.#ready[thread] = ready;
    return { channel: worker.channel, gone: worker.gone, terminate: () => worker.terminate(), ready };
  }

  #queriesRole({ channel, gone }: WorkerThread<FrontRole>): Pick<FrontHostRole, 'openQueries' | 'queriesEnded'> {
    const queries = this.#queries;
    return {
      openQueries: () => {
        if (queries?.direct === undefined) throw new Error('bug: small queries of a process that evaluates none');
        const { data, shards } = queries.direct;
        const connections = shards.connect((shard, connection) => {
          channel.call('reconnectReads', { shard, connection }, { transfer: [connection.port] }).catch(() => {});
        }, gone);
        return Transferred.of(
          { data, shards: connections },
          connections.map(({ port }) => port),
        );
      },
      queriesEnded: ({ queries: ended }) => queries?.ended(ended),
    };
  }

  /** Resolves when the thread is there, and listens where it is to. */
  async #listen({ channel }: WorkerThread<FrontRole>): Promise<void> {
    const phase = this.#phase;
    if (phase === 'none') await channel.call('metrics', {});
    if (phase === 'early' || phase === 'open') {
      await channel.call('listen', { port: this.#port, isEarly: phase === 'early' });
      // the process went on while it began
      if (phase === 'early' && this.#phase === 'open')
        await channel.call('listen', { port: this.#port, isEarly: false });
    }
  }

  #inForce(): InForce {
    const { gate, limits } = this.#options;
    this.#toldKey = gate.closed ? this.#keyNow() : undefined;
    return { users: gate.users, sessionKey: this.#toldKey, limits: packLimits(limits), tls: this.#tls };
  }

  #keyNow(): Uint8Array | undefined {
    try {
      return this.#options.sessionKey();
    } catch {
      return undefined; // who asks hears of it
    }
  }

  #lookAtKey(): void {
    if (!this.#options.gate.closed) return;
    const now = this.#keyNow();
    const [before, after] = [this.#toldKey, now].map((key) =>
      key === undefined ? '' : Buffer.from(key).toString('hex'),
    );
    if (before !== after) void this.#tellAll();
  }

  async #tellAll(): Promise<void> {
    const threads = this.#there;
    if (threads.length === 0) return;
    const inForce = this.#inForce();
    // one that is gone is followed by one that is told at its start
    await Promise.allSettled(threads.map(({ channel }) => channel.call('take', inForce)));
  }
}

/**
 * The port to listen at, once nobody else does: threads that listen together would not be told, and neither would another process of the
 * same user that does the same. The system itself refuses those of other users, and all who listen alone.
 */
async function freePort({ httpListenAddress: host, httpListenPort: port }: Config['server']): Promise<number> {
  const probe = createServer();
  try {
    return await new Promise<number>((resolve, reject) => {
      probe.once('error', reject);
      probe.listen({ host, port }, () => resolve((probe.address() as AddressInfo).port));
    });
  } catch (cause) {
    throw new Error(listenProblem(cause, host, port), { cause });
  } finally {
    await new Promise((resolve) => probe.close(resolve));
  }
}

/**
 * Tells other processes of this kind that the port is taken, also while none of its threads listens: before the first one does, and when
 * all have died. By a name that goes with the process; undefined where the system has no such names.
 */
async function portLock({ httpListenAddress: host }: Config['server'], port: number): Promise<Server | undefined> {
  if (process.platform !== 'linux') return undefined;
  const lock = createServer((socket) => socket.destroy()).unref();
  try {
    await new Promise<void>((resolve, reject) => {
      lock.once('error', reject);
      lock.listen(`\0pallium ${host} ${port}`, resolve);
    });
    return lock;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') return undefined;
    throw new Error(listenProblem(cause, host, port), { cause });
  }
}
