import { MessageChannel } from 'node:worker_threads';
import { alertmanagerLimitsOf } from '../../alertmanager/limits.ts';
import type { AlertmanagerBackend, AlertmanagerMember } from '../../contract/alertmanager.ts';
import type { ApiRequest, ApiResponse } from '../../contract/api.ts';
import type { PostedAlert } from '../../contract/rules.ts';
import type { Logger } from '../../kit/observe/log.ts';
import type { MetricSnapshot } from '../../kit/observe/metrics.ts';
import type { LoopState } from '../../kit/service/loops.ts';
import type { Service } from '../../kit/service/service.ts';
import { serve } from '../../kit/thread/channel.ts';
import { WorkerThread, workerUrl } from '../../kit/thread/worker.ts';
import type { Clock } from '../../lib/clock.ts';
import type { LimitsService } from '../../limits/limits-service.ts';
import { alertmanagerRole } from '../../peer/alertmanager-role.ts';
import type { PeerHost } from '../cluster/peer-host.ts';
import type {
  AlertmanagerHostRole,
  AlertmanagerRole,
  AlertmanagerWorkerData,
  KnownLimits,
} from './alertmanager-role.ts';

export interface AlertmanagerThreadOptions {
  readonly data: AlertmanagerWorkerData;
  /** Known once the listener has its port. */
  readonly externalUrl: () => string;
  /** Reads the text of a configuration for tenants without one of their own. @throws where it is wrong */
  readonly readFallback: () => string | undefined;
  /** Whether there is something to do before anybody asks. */
  readonly isNeeded: (signal: AbortSignal) => Promise<boolean>;
  readonly limits: LimitsService;
  /** Called when tenants may have other owners: alerts of rules are not where they were. */
  readonly ownersMoved: () => void;
  /** Where others that share the store ask this process; absent: nobody does. */
  readonly peers?: PeerHost | undefined;
  readonly log: Logger;
  readonly clock: Clock;
}

/** A thread that died is started again after this time. */
const RESTART_MS = 5_000;

/** The Alertmanager in a thread of its own, which comes when a tenant has a configuration, or somebody asks. */
export class AlertmanagerThread implements Service, AlertmanagerBackend {
  readonly name = 'alertmanager';
  readonly #options: AlertmanagerThreadOptions;
  readonly #stopping = new AbortController();
  #fallback: string | undefined;
  #worker: Promise<WorkerThread<AlertmanagerRole>> | undefined;
  /** The thread once it has started; undefined: it does not hold tenants yet, or no more. */
  #up: WorkerThread<AlertmanagerRole> | undefined;
  #loop: Promise<void> = Promise.resolve();

  /** @throws where the fallback is wrong: who names a file wants it in force */
  constructor(options: AlertmanagerThreadOptions) {
    this.#options = options;
    this.#fallback = options.readFallback();
    options.limits.onChange(() => void this.#tellLimits());
    options.peers?.answer(alertmanagerRole(this.#member()));
  }

  async start(): Promise<void> {
    this.#loop = this.#keepLooking();
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopping'));
    await this.#loop;
    const worker = await this.#worker?.catch(() => undefined);
    if (worker === undefined) return;
    await worker.channel.call('stop', {}).catch(() => {});
    await worker.terminate();
  }

  async handle(request: ApiRequest, signal: AbortSignal): Promise<ApiResponse> {
    const worker = await this.#begun();
    return worker.channel.call('handle', request, { signal });
  }

  async post(tenant: string, alerts: readonly PostedAlert[], signal: AbortSignal): Promise<void> {
    const worker = await this.#begun();
    await worker.channel.call('post', { tenant, alerts }, { signal });
  }

  /** Reads the fallback again. @throws where it is wrong: the one before stays */
  async reload(): Promise<void> {
    const fallback = this.#options.readFallback();
    if (fallback === this.#fallback) return;
    this.#fallback = fallback;
    const worker = await this.#worker?.catch(() => undefined);
    await worker?.channel.call('setFallback', { fallback });
  }

  /** The thread as others ask it: it comes when they do. */
  #member(): AlertmanagerMember {
    return {
      handle: async (request, signal) => (await this.#begun()).channel.call('handleOwned', request, { signal }),
      post: async (tenant, alerts, signal) => {
        await (await this.#begun()).channel.call('postOwned', { tenant, alerts }, { signal });
      },
      release: async (tenant, signal) => {
        // one that starts may wait for the one who asks; what it holds the heads of tenants tell
        await this.#up?.channel.call('release', { tenant }, { signal });
      },
    };
  }

  /** Metrics of the thread; none where nothing runs. */
  async metrics(): Promise<MetricSnapshot> {
    const worker = await this.#worker?.catch(() => undefined);
    return worker === undefined ? [] : worker.channel.call('metrics', {});
  }

  /** Loops of the thread; none where nothing runs. */
  async loops(signal: AbortSignal): Promise<readonly LoopState[]> {
    const worker = await this.#worker?.catch(() => undefined);
    return worker === undefined ? [] : worker.channel.call('loops', {}, { signal });
  }

  /** In the background: what has no configuration starts no slower for it. */
  async #keepLooking(): Promise<void> {
    const { clock, data, isNeeded, log } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        if (this.#worker === undefined) {
          if ((await isNeeded(signal)) && !signal.aborted) await this.#begun();
        } else await this.#tellLimits();
      } catch (thrown) {
        if (!signal.aborted) log.warn({ error: (thrown as Error).message }, 'the Alertmanager does not start');
      }
      await clock.sleep(data.config.pollIntervalMs, signal).catch(() => {});
    }
  }

  async #tellLimits(): Promise<void> {
    const worker = await this.#worker?.catch(() => undefined);
    await worker?.channel.call('setLimits', this.#limits()).catch(() => {});
  }

  #limits(): KnownLimits {
    const { limits } = this.#options;
    const tenants = [...limits.overrides.keys()].map(
      (tenant) => [tenant, alertmanagerLimitsOf(limits.of(tenant))] as const,
    );
    return { others: alertmanagerLimitsOf(limits.others), tenants: new Map(tenants) };
  }

  #begun(): Promise<WorkerThread<AlertmanagerRole>> {
    if (this.#worker !== undefined) return this.#worker;
    this.#stopping.signal.throwIfAborted();
    const starting = this.#started();
    this.#worker = starting;
    starting.catch(() => {
      if (this.#worker === starting) this.#worker = undefined;
    });
    return starting;
  }

  async #started(): Promise<WorkerThread<AlertmanagerRole>> {
    const { data, externalUrl, peers, ownersMoved, log, clock } = this.#options;
    const worker = WorkerThread.start<AlertmanagerRole>({
      name: 'alertmanager',
      url: workerUrl('./alertmanager-worker', import.meta.url),
      data,
      resourceLimits: { maxYoungGenerationSizeMb: 8 },
    });
    void worker.gone.then(async (reason) => {
      this.#worker = undefined;
      this.#up = undefined;
      if (this.#stopping.signal.aborted) return;
      log.error({ error: reason.message }, 'the Alertmanager is gone, it is started again');
      await clock.sleep(RESTART_MS, this.#stopping.signal).then(
        () => this.#begun().catch(() => {}),
        () => {},
      );
    });
    const { port1, port2: host } = new MessageChannel();
    serve(port1, { ownersMoved } satisfies AlertmanagerHostRole);
    // it does not keep the process alive
    port1.unref();
    try {
      const start = {
        host,
        limits: this.#limits(),
        fallback: this.#fallback,
        externalUrl: externalUrl(),
        ...(peers !== undefined && { peers: { ...peers.threadPeers(), address: peers.address } }),
      };
      await worker.channel.call('start', start, { transfer: [host] });
    } catch (thrown) {
      await worker.terminate();
      throw thrown;
    }
    this.#up = worker;
    return worker;
  }
}
