import type { StateRows } from '../chunkstore/documents/state-rows.ts';
import type { Clock } from '../lib/clock.ts';
import { Pacer } from '../lib/pacer.ts';
import type { Random } from '../lib/random.ts';
import { sortInTurns } from '../lib/sort-in-turns.ts';
import { TokenBucket } from '../limits/token-bucket.ts';
import { type Alert, AlertError, alertOf, type GivenAlert, isResolved } from './alert.ts';
import { AlertBook } from './alert-book.ts';
import type { ConfigInForce } from './config/document.ts';
import { Dispatcher } from './dispatcher.ts';
import { Inhibitor } from './inhibition.ts';
import type { LabelSet } from './label-set.ts';
import type { AlertmanagerLimits } from './limits.ts';
import { NotificationLog } from './notification-log.ts';
import { groupData, mutedBy, Notifier, type NotifierEvents } from './notifier.ts';
import type { FirewallRules } from './receivers/firewall.ts';
import type { Senders } from './receivers/notification.ts';
import { matchingRoutes, type Route } from './route.ts';
import { silencedBy } from './silence.ts';
import { SilenceBook } from './silence-book.ts';
import { previewTrial, sendTrial, type Trial, type TrialResult } from './trial.ts';

export interface TenantOptions {
  readonly tenant: string;
  /** The member that holds the tenant, where several share the store. */
  readonly holder?: string | undefined;
  readonly state: StateRows;
  readonly clock: Clock;
  readonly random: Random;
  readonly newId: () => string;
  readonly limits: () => AlertmanagerLimits;
  readonly externalUrl: string;
  readonly senders: (rules: () => FirewallRules) => Senders;
  readonly events: NotifierEvents & { groupRefused(): void };
}

export interface AlertStatus {
  readonly state: 'active' | 'suppressed' | 'unprocessed';
  readonly silencedBy: readonly string[];
  readonly inhibitedBy: readonly string[];
  readonly mutedBy: readonly string[];
}

export interface ShownAlert {
  readonly alert: Alert;
  readonly status: AlertStatus;
  readonly receivers: readonly string[];
}

export interface ShownGroup {
  readonly receiver: string;
  readonly labels: LabelSet;
  readonly routeLabels: LabelSet;
  readonly alerts: readonly ShownAlert[];
  readonly isMuted: boolean;
}

const resolveTimeoutMs = 5 * 60_000;
const burstSeconds = 1;
/** How long one request holds the thread at a time, in which other tenants' notifications are made, too. */
const sliceMs = 10;

/** The Alertmanager of one tenant. */
export class TenantAlertmanager {
  readonly silences: SilenceBook;
  readonly #options: TenantOptions;
  readonly #alerts: AlertBook;
  readonly #log: NotificationLog;
  readonly #buckets = new Map<string, TokenBucket>();
  #inForce: ConfigInForce | undefined;
  #dispatcher: Dispatcher | undefined;
  #inhibitor = new Inhibitor([]);

  private constructor(options: TenantOptions, parts: Parts) {
    this.#options = options;
    this.#alerts = parts.alerts;
    this.#log = parts.log;
    this.silences = parts.silences;
  }

  /** With the state that was kept; it does nothing before it has a configuration. */
  static async open(options: TenantOptions, signal: AbortSignal): Promise<TenantAlertmanager> {
    const { tenant, state, clock } = options;
    const alerts = await AlertBook.load(options, clock.nowMs(), signal);
    const log = await NotificationLog.load(tenant, state, signal);
    const silences = await SilenceBook.load(options, signal);
    return new TenantAlertmanager(options, { alerts, log, silences });
  }

  get inForce(): ConfigInForce | undefined {
    return this.#inForce;
  }

  get alertCount(): number {
    return this.#alerts.size;
  }

  get groupCount(): number {
    return this.#dispatcher?.groupCount ?? 0;
  }

  /** Groups are made anew from the alerts that are known; what was told is in the log. */
  async setConfig(inForce: ConfigInForce | undefined): Promise<void> {
    const old = this.#dispatcher;
    this.#dispatcher = undefined;
    await old?.stop();
    this.#inForce = inForce;
    this.#inhibitor = new Inhibitor(inForce?.config.inhibitRules ?? []);
    if (inForce !== undefined) this.#dispatcher = this.#dispatcherOf(inForce);
    for (const alert of this.#alerts.all()) {
      this.#inhibitor.put(alert);
    }
    for (const alert of this.#alerts.all()) this.#dispatcher?.put(alert);
  }

  async stop(): Promise<void> {
    await this.#dispatcher?.stop();
    this.#dispatcher = undefined;
  }

  /**
   * Takes alerts; those that are right also where others are wrong.
   * @returns why some were refused
   */
  async put(given: readonly GivenAlert[], isFromOutside: boolean, signal: AbortSignal): Promise<string[]> {
    const nowMs = this.#options.clock.nowMs();
    const timeoutMs = this.#inForce?.config.resolveTimeoutMs ?? resolveTimeoutMs;
    const problems: string[] = [];
    const taken: Alert[] = [];
    const pacer = this.#pacer(signal);
    for (const each of given) {
      await pacer.step();
      try {
        const kept =
          this.#alerts.refusal(each) ?? this.#alerts.put(alertOf(each, nowMs, timeoutMs), isFromOutside, nowMs);
        if (typeof kept === 'string') problems.push(kept);
        else taken.push(kept);
      } catch (thrown) {
        if (!(thrown instanceof AlertError)) throw thrown;
        problems.push(thrown.message);
      }
    }
    // first written, then told
    await this.#alerts.written(signal);
    // told to the end, whoever still waits: they are kept
    const told = this.#pacer();
    for (const alert of taken) {
      await told.step();
      this.#inhibitor.put(alert);
    }
    for (const alert of taken) {
      await told.step();
      this.#dispatcher?.put(alert);
    }
    return problems;
  }

  #pacer(signal?: AbortSignal): Pacer {
    return new Pacer(this.#options.clock, { sliceMs, signal });
  }

  /** @throws tenantElsewhere where another member has taken the tenant */
  checkHeld(signal: AbortSignal): Promise<void> {
    return this.#alerts.checkHeld(signal);
  }

  /** Alerts that have not ended, with what becomes of them, ascending by fingerprint. */
  async shownAlerts(signal?: AbortSignal): Promise<ShownAlert[]> {
    const nowMs = this.#options.clock.nowMs();
    const route = this.#inForce?.config.route;
    const shown: ShownAlert[] = [];
    const pacer = this.#pacer(signal);
    for (const alert of [...this.#alerts.all()]) {
      await pacer.step();
      if (isResolved(alert, nowMs)) continue;
      const receivers = route === undefined ? [] : matchingRoutes(route, alert.labels).map(({ receiver }) => receiver);
      shown.push({ alert, status: this.#status(alert, nowMs), receivers });
    }
    return sortInTurns(pacer, shown, (a, b) => (a.alert.fingerprint < b.alert.fingerprint ? -1 : 1));
  }

  /** Last notifications that are remembered. */
  notifications(): ReturnType<NotificationLog['entries']> {
    return this.#log.entries();
  }

  async shownGroups(signal?: AbortSignal): Promise<ShownGroup[]> {
    const nowMs = this.#options.clock.nowMs();
    const views = this.#dispatcher?.groups() ?? [];
    const pacer = this.#pacer(signal);
    const inForce = this.#inForce;
    const receivers = new Map<string, Set<string>>();
    for (const { route, alerts } of views) {
      await pacer.step();
      for (const { fingerprint } of alerts) {
        const all = receivers.get(fingerprint) ?? new Set();
        receivers.set(fingerprint, all.add(route.receiver));
      }
    }
    const groups: ShownGroup[] = [];
    for (const { route, labels, alerts } of views) {
      const { active, muted } = mutedBy(inForce!.config, route, nowMs);
      const mutes = [...active, ...muted];
      const shown: ShownAlert[] = [];
      for (const alert of alerts) {
        await pacer.step();
        if (isResolved(alert, nowMs)) continue;
        const status = this.#status(alert, nowMs, mutes);
        shown.push({ alert, status, receivers: [...receivers.get(alert.fingerprint)!].sort() });
      }
      groups.push({
        receiver: route.receiver,
        labels,
        routeLabels: this.#routeLabels(inForce!, route, labels, alerts),
        alerts: shown,
        isMuted: mutes.length > 0,
      });
    }
    return groups;
  }

  /** Sends by each integration of a receiver, once; or only says what would be sent. */
  tried(
    isSent: boolean,
    trial: Pick<Trial, 'inForce' | 'receiver' | 'alerts'>,
    signal: AbortSignal,
  ): Promise<TrialResult[]> {
    const { clock, externalUrl } = this.#options;
    const whole = { ...trial, clock, externalUrl };
    if (!isSent) return previewTrial(whole, signal);
    return sendTrial(whole, this.#senders(), (integration) => this.#takeRate(integration), signal);
  }

  async sweep(signal: AbortSignal): Promise<void> {
    const nowMs = this.#options.clock.nowMs();
    this.#alerts.sweep(nowMs);
    this.#inhibitor.sweep(nowMs);
    await this.#alerts.written(signal);
    await this.#log.sweep(nowMs, signal);
    await this.silences.sweep(nowMs, signal);
  }

  #routeLabels({ templates }: ConfigInForce, route: Route, groupLabels: LabelSet, alerts: readonly Alert[]): LabelSet {
    if (route.labels.size === 0) return route.labels;
    const nowMs = this.#options.clock.nowMs();
    const flushed = alerts.map((alert) => ({ alert, isFiring: !isResolved(alert, nowMs) }));
    const options = { templates, externalUrl: this.#options.externalUrl, reason: 'unknown' };
    return groupData({ route, groupLabels, alerts: flushed }, options).routeLabels;
  }

  #status(alert: Alert, nowMs: number, mutes: readonly string[] = []): AlertStatus {
    const silences = silencedBy(this.silences.all(), alert.labels, nowMs);
    const inhibitor = this.#inhibitor.inhibitedBy(alert.labels, nowMs);
    const isSuppressed = silences.length > 0 || inhibitor !== undefined || mutes.length > 0;
    return {
      state: this.#inForce === undefined ? 'unprocessed' : isSuppressed ? 'suppressed' : 'active',
      silencedBy: silences,
      inhibitedBy: inhibitor === undefined ? [] : [inhibitor],
      mutedBy: mutes,
    };
  }

  #dispatcherOf({ config, templates }: ConfigInForce): Dispatcher {
    const { clock, random, limits, externalUrl, events } = this.#options;
    const notifier = new Notifier({
      config,
      templates,
      externalUrl,
      log: this.#log,
      ...this.#senders(),
      clock,
      random,
      isInhibited: (labels, nowMs) => this.#inhibitor.inhibitedBy(labels, nowMs) !== undefined,
      isSilenced: (labels, nowMs) => silencedBy(this.silences.all(), labels, nowMs).length > 0,
      takeRate: (integration) => this.#takeRate(integration),
      events,
    });
    return new Dispatcher({
      route: config.route,
      clock,
      groupsMax: () => limits().groupsMax,
      flush: (flush, signal) => notifier.flush(flush, signal),
      onGroupRefused: () => events.groupRefused(),
    });
  }

  #senders(): Senders {
    const { senders, limits } = this.#options;
    return senders(() => ({ blocksPrivate: limits().firewallBlocksPrivate, networks: limits().firewallNetworks }));
  }

  #takeRate(integration: string): boolean {
    const { notificationRate, notificationRatePerIntegration } = this.#options.limits();
    const rate = notificationRatePerIntegration.get(integration) ?? notificationRate;
    if (rate === 0) return true;
    const burst = Math.max(1, Math.ceil(rate * burstSeconds));
    const bucket = this.#buckets.get(integration) ?? new TokenBucket(this.#options.clock, burst);
    this.#buckets.set(integration, bucket);
    return bucket.take(1, rate, burst);
  }
}

interface Parts {
  readonly alerts: AlertBook;
  readonly log: NotificationLog;
  readonly silences: SilenceBook;
}
