import { MessageChannel } from 'node:worker_threads';
import type { ApiBackend, ApiRequest, ApiResponse } from '../../contract/api.ts';
import type { PushBackend } from '../../contract/push.ts';
import type { BatchRunner } from '../../contract/query.ts';
import { type AlertTarget, RULES, type RuleGroupState } from '../../contract/rules.ts';
import type { Logger } from '../../kit/observe/log.ts';
import type { MetricSnapshot } from '../../kit/observe/metrics.ts';
import type { LoopState } from '../../kit/service/loops.ts';
import type { Service, Stop } from '../../kit/service/service.ts';
import { serve } from '../../kit/thread/channel.ts';
import { WorkerThread, workerUrl } from '../../kit/thread/worker.ts';
import type { Clock } from '../../lib/clock.ts';
import type { TenantLimits } from '../../limits/limits.ts';
import { joinedLimits } from '../../limits/query-limits.ts';
import { rulerErrors } from '../../model/errors-ruler.ts';
import { rulerRole } from '../../peer/ruler-role.ts';
import type { PeerHost } from '../cluster/peer-host.ts';
import type { RuleConfigAnswer, RuleConfigRequest, RulerHostRole, RulerRole, RulerWorkerData } from './ruler-role.ts';

export interface RulerThreadOptions {
  readonly data: RulerWorkerData;
  /** Address for links where neither setting nor limit says one; known once the listener has its port. */
  readonly externalUrl: () => string;
  /** Answers for rules where none are evaluated. */
  readonly queries: ApiBackend['handle'];
  /** Evaluates what rules ask. */
  readonly batches: BatchRunner;
  readonly push: PushBackend;
  readonly limits: (tenant: string) => TenantLimits;
  /** The Alertmanager of this process, where there is one. */
  readonly alertmanager: () => AlertTarget | undefined;
  /** Tenants that have documents of a kind, or had. */
  readonly documentTenants: (kind: string, signal: AbortSignal) => Promise<readonly string[]>;
  /** Where others that share the store ask this process; absent: nobody does. */
  readonly peers?: PeerHost | undefined;
  readonly log: Logger;
  readonly clock: Clock;
}

/** A thread that died is started again after this time. */
const RESTART_MS = 5_000;

/** The ruler in a thread of its own, which comes when there are rules: without any nothing runs. */
export class RulerThread implements Service, ApiBackend {
  readonly name = 'ruler';
  readonly #options: RulerThreadOptions;
  readonly #stopping = new AbortController();
  #worker: Promise<WorkerThread<RulerRole>> | undefined;
  #loop: Promise<void> = Promise.resolve();

  constructor(options: RulerThreadOptions) {
    this.#options = options;
    options.peers?.answer(rulerRole((tenant, signal) => this.#ownRules(tenant, signal)));
  }

  /** Looks for rules in the background: what has no rules starts no slower for it. */
  async start(): Promise<void> {
    this.#loop = this.#keepLooking();
  }

  async stop({ signal }: Stop): Promise<void> {
    this.#stopping.abort(new Error('stopping'));
    await this.#loop;
    const worker = await this.#worker?.catch(() => undefined);
    if (worker === undefined) return;
    await worker.channel.call('stop', {}, { signal }).catch(() => {});
    await worker.terminate();
  }

  /** Rules and alerts of a tenant; where no rules are evaluated, as nobody's. */
  async handle(request: ApiRequest, signal: AbortSignal): Promise<ApiResponse> {
    const { queries, limits } = this.#options;
    if (this.#worker === undefined) return queries(request, signal);
    const worker = await this.#worker;
    return worker.channel.call('handle', { request, limits: joinedLimits(request.tenant, limits) }, { signal });
  }

  /** A request of the configuration API. What only reads finds nothing where nothing runs. */
  async config(request: RuleConfigRequest, signal: AbortSignal): Promise<RuleConfigAnswer> {
    if (this.#worker === undefined) {
      if (request.kind !== 'put') {
        const tenants = await this.#options.documentTenants(RULES, signal);
        if (tenants.length === 0) return { found: false, text: '' };
      }
      if (this.#stopping.signal.aborted) throw rulerErrors.rulerStopping({});
      this.#begin();
    }
    const worker = await this.#worker!;
    return worker.channel.call('config', request, { signal });
  }

  /** Has a tenant's rules read again; resolves when those that are gone are no longer evaluated. */
  async changed(tenant: string): Promise<void> {
    const worker = await this.#worker?.catch(() => undefined);
    await worker?.channel.call('changed', { tenant });
  }

  /** Sends what fires, and what was resolved lately, again. */
  async resend(): Promise<void> {
    const worker = await this.#worker?.catch(() => undefined);
    await worker?.channel.call('resend', {});
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

  async #ownRules(tenant: string, signal: AbortSignal): Promise<readonly RuleGroupState[]> {
    const worker = await this.#worker?.catch(() => undefined);
    return worker === undefined ? [] : worker.channel.call('ownRules', { tenant }, { signal });
  }

  async #keepLooking(): Promise<void> {
    const { clock, data, documentTenants, log } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        if (this.#worker === undefined) {
          const isNeeded = data.config.localDirectory !== '' || (await documentTenants(RULES, signal)).length > 0;
          if (isNeeded && !signal.aborted) this.#begin();
        }
      } catch (thrown) {
        if (!signal.aborted) log.warn({ error: (thrown as Error).message }, 'rules cannot be looked for');
      }
      await clock.sleep(data.config.pollIntervalMs, signal).catch(() => {});
    }
  }

  #begin(): void {
    if (this.#worker !== undefined) return;
    const starting = this.#started();
    this.#worker = starting;
    starting.catch(() => {
      if (this.#worker === starting) this.#worker = undefined;
    });
  }

  async #started(): Promise<WorkerThread<RulerRole>> {
    const { data, alertmanager, peers, log, clock } = this.#options;
    const worker = WorkerThread.start<RulerRole>({
      name: 'ruler',
      url: workerUrl('./ruler-worker', import.meta.url),
      data,
      resourceLimits: { maxYoungGenerationSizeMb: 8 },
    });
    void worker.gone.then(async (reason) => {
      if (this.#stopping.signal.aborted) return;
      log.error({ error: reason.message }, 'the ruler is gone, it is started again');
      this.#worker = undefined;
      await clock.sleep(RESTART_MS, this.#stopping.signal).then(
        () => this.#begin(),
        () => {},
      );
    });
    const { port1, port2 } = new MessageChannel();
    serve(port1, this.#hostRole());
    // it does not keep the process alive
    port1.unref();
    const hasAlertmanager = alertmanager() !== undefined;
    const asked = peers === undefined ? {} : { peers: { ...peers.threadPeers(), address: peers.address } };
    await worker.channel.call('connect', { port: port2, hasAlertmanager, ...asked }, { transfer: [port2] });
    return worker;
  }

  #hostRole(): RulerHostRole {
    const { data, externalUrl, batches, push, limits, alertmanager } = this.#options;
    return {
      instants: ({ tenant, requests }, { signal }) => batches.instants(tenant, requests, { signal }),
      push: (request, { signal }) => push.push(request, signal),
      async limits({ tenant }) {
        const own = limits(tenant);
        return {
          rulerQueryOffsetMs: own.rulerQueryOffsetMs,
          rulerMinRuleEvaluationIntervalMs: own.rulerMinRuleEvaluationIntervalMs,
          rulerExternalLabels: own.rulerExternalLabels,
          rulerExternalUrl: own.rulerExternalUrl || data.config.externalUrl || externalUrl(),
          rulerAlertGeneratorUrlTemplate: own.rulerAlertGeneratorUrlTemplate,
          rulerAlertmanagerUrl: own.rulerAlertmanagerUrl,
          rulerAlertRelabelConfigs: own.rulerAlertRelabelConfigs.file,
        };
      },
      async post({ tenant, alerts }, { signal }) {
        await alertmanager()?.post(tenant, alerts, signal);
      },
    };
  }
}
