import { createHash } from 'node:crypto';
import { type Clock, timeout } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import { Semaphore } from '../lib/semaphore.ts';
import type { NotificationAlert, NotificationTemplates } from '../template/alertmanager.ts';
import { TemplateError } from '../template/parser.ts';
import type { AlertmanagerConfig } from './config/load.ts';
import type { Flush, FlushedAlert } from './dispatcher.ts';
import { withoutSecretsOf } from './fields/secret.ts';
import type { LabelSet } from './label-set.ts';
import type { LogEntry, LogKey, NotificationLog } from './notification-log.ts';
import { notificationData } from './receivers/data.ts';
import type { Integration } from './receivers/kind.ts';
import { type HttpSender, type MailSender, SendError, type Verdict } from './receivers/notification.ts';
import type { Route } from './route.ts';
import { containsTime } from './time-interval.ts';

export type SuppressedReason = 'silence' | 'inhibition' | 'mute_time_interval' | 'active_time_interval';

/** Events that are counted and logged. Texts hold no secrets. */
export interface NotifierEvents {
  suppressed(reason: SuppressedReason, count: number): void;
  attempt(integration: string, seconds: number, failed: boolean): void;
  notification(integration: string): void;
  failed(key: LogKey, reason: string, text: string, attempts: number): void;
  /** The process before this one may have sent it already. */
  repeated(key: LogKey): void;
  /** It goes out unclaimed. */
  unclaimed(key: LogKey, error: unknown): void;
}

export interface NotifierOptions {
  readonly config: AlertmanagerConfig;
  readonly templates: NotificationTemplates;
  readonly externalUrl: string;
  readonly log: NotificationLog;
  readonly http: HttpSender;
  readonly mail: MailSender;
  readonly clock: Clock;
  readonly random: Random;
  readonly isInhibited: (labels: LabelSet, nowMs: number) => boolean;
  readonly isSilenced: (labels: LabelSet, nowMs: number) => boolean;
  /** False: the tenant sends more than its rate. */
  readonly takeRate: (integration: string) => boolean;
  readonly events: NotifierEvents;
}

/** Notifications of a tenant that are under way at once. */
const atOnceMax = 32;
const backoff = { initialMs: 500, factor: 1.5, maxMs: 60_000, jitter: 0.5 };
/** Tries to claim before a notification goes out without. */
const claimTriesMax = 3;
const claimWaitMs = 500;
const completeMsMax = 5_000;

/** Takes a group's alerts through inhibition, times and silences to the integrations of its receiver. */
export class Notifier {
  readonly #options: NotifierOptions;
  readonly #places = new Semaphore(atOnceMax);

  constructor(options: NotifierOptions) {
    this.#options = options;
  }

  /** True when all integrations that wanted to were told. */
  async flush(flush: Flush, signal: AbortSignal): Promise<boolean> {
    const alerts = this.#unmuted(flush);
    if (alerts.length === 0) return true;
    const receiver = this.#options.config.receivers.get(flush.route.receiver);
    const told = (receiver?.integrations ?? []).map((integration, index) =>
      this.#places.run(() => this.#tell(flush, alerts, integration, index, signal), signal).catch(() => false),
    );
    return (await Promise.all(told)).every(Boolean);
  }

  #unmuted(flush: Flush): readonly FlushedAlert[] {
    const { isInhibited, isSilenced, events, clock } = this.#options;
    const without = (
      alerts: readonly FlushedAlert[],
      reason: SuppressedReason,
      muted: (labels: LabelSet) => boolean,
    ) => {
      const left = alerts.filter(({ alert }) => !muted(alert.labels));
      if (left.length < alerts.length) events.suppressed(reason, alerts.length - left.length);
      return left;
    };
    const nowMs = clock.nowMs();
    const uninhibited = without(flush.alerts, 'inhibition', (labels) => isInhibited(labels, nowMs));
    const { active, muted } = mutedBy(this.#options.config, flush.route, flush.nowMs);
    const timely = without(uninhibited, 'active_time_interval', () => active.length > 0);
    const unmuted = without(timely, 'mute_time_interval', () => muted.length > 0);
    return without(unmuted, 'silence', (labels) => isSilenced(labels, nowMs));
  }

  async #tell(
    flush: Flush,
    alerts: readonly FlushedAlert[],
    integration: Integration,
    index: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { log, clock, events } = this.#options;
    const key = { groupKey: flush.groupKey, receiver: flush.route.receiver, integration: integration.kind, index };
    const firing = new Set(alerts.filter(({ isFiring }) => isFiring).map(({ alert }) => alert.fingerprint));
    const resolved = new Set(alerts.filter(({ isFiring }) => !isFiring).map(({ alert }) => alert.fingerprint));
    const reasonNow = () => {
      const isInDoubt = log.isInDoubt(key);
      return reasonToNotify({ entry: log.of(key), isInDoubt, firing, resolved }, integration.sendsResolved, flush);
    };
    let reason = reasonNow();
    if (reason === undefined) return true;
    const sends = integration.sendsResolved ? alerts : alerts.filter(({ isFiring }) => isFiring);
    if (sends.length > 0) {
      const isInDoubt = log.isInDoubt(key);
      // whoever lost the claim has nothing to send any more, or has to find out anew
      while (!(await this.#claim(key, signal))) {
        reason = reasonNow();
        if (reason === undefined) return true;
      }
      if (isInDoubt) events.repeated(key);
    }
    const memory = new Map(reason === 'first notification' ? [] : log.of(key)?.memory);
    if (sends.length > 0) {
      const isSent = await this.#send(flush, sends, key, integration, { reason, memory }, signal);
      if (!isSent) {
        log.release(key);
        return false;
      }
    }
    const { repeatIntervalMs } = flush.route;
    // it has gone out: that is written also by a process that ends
    const limit = timeout(clock, completeMsMax);
    await log
      .complete(key, { firing, resolved, memory, nowMs: clock.nowMs(), repeatIntervalMs }, limit.signal)
      .catch((error) => {
        events.unclaimed(key, error);
      })
      .finally(() => limit.cancel());
    return true;
  }

  async #claim(key: LogKey, signal: AbortSignal): Promise<boolean> {
    const { log, clock, events } = this.#options;
    for (let tries = 1; ; tries++) {
      try {
        return await log.claim(key, clock.nowMs(), signal);
      } catch (error) {
        signal.throwIfAborted();
        if (tries < claimTriesMax) {
          await clock.sleep(claimWaitMs, signal);
          continue;
        }
        // a repeated notification is better than none
        events.unclaimed(key, error);
        return true;
      }
    }
  }

  /** Again and again until the next flush is due, unless no other try can help. */
  async #send(
    flush: Flush,
    alerts: readonly FlushedAlert[],
    key: LogKey,
    integration: Integration,
    { reason, memory }: { readonly reason: string; readonly memory: Map<string, string> },
    signal: AbortSignal,
  ): Promise<boolean> {
    const { clock, random, events, templates, http, mail, takeRate } = this.#options;
    events.notification(integration.kind);
    let waitMs = backoff.initialMs;
    let last: Verdict | undefined;
    let attempts = 0;
    while (!signal.aborted) {
      if (!takeRate(integration.kind)) {
        last = { kind: 'failed', text: RATE_LIMITED, reason: 'rateLimited', retries: false };
      } else {
        attempts++;
        const startMs = clock.monotonicMs();
        const data = this.#data(flush, alerts, reason);
        const { groupKey } = flush;
        const groupHash = createHash('sha256').update(groupKey).digest('hex');
        const given = { groupKey, groupHash, data, templates, http, mail, memory, nowMs: clock.nowMs(), signal };
        last = await verdictOf(() => integration.notify(given));
        events.attempt(integration.kind, (clock.monotonicMs() - startMs) / 1000, last.kind === 'failed');
      }
      if (last.kind === 'sent') return true;
      if (!last.retries) break;
      const jittered = waitMs * (1 - backoff.jitter + 2 * backoff.jitter * random());
      await clock.sleep(Math.max(jittered, last.delayMs ?? 0), signal).catch(() => {});
      waitMs = Math.min(backoff.maxMs, waitMs * backoff.factor);
    }
    const failure =
      last?.kind === 'failed' ? last : { text: 'context deadline exceeded', reason: 'contextDeadlineExceeded' };
    events.failed(key, failure.reason, withoutSecretsOf(this.#options.config, failure.text), attempts);
    return false;
  }

  #data(flush: Flush, alerts: readonly FlushedAlert[], reason: string) {
    const { externalUrl, templates } = this.#options;
    return groupData({ ...flush, alerts, all: flush.alerts }, { externalUrl, templates, reason });
  }
}

const RATE_LIMITED = 'failed to notify due to rate limits (alertmanager_notification_rate_limit)';

/**
 * The data of templates for a group, with the labels of its route expanded.
 * @param all alerts of the group, those that are muted or not told of as well: labels of the route are expanded with them. Default: `alerts`
 */
export function groupData(
  {
    route,
    groupLabels,
    alerts,
    all = alerts,
  }: Pick<Flush, 'route' | 'groupLabels' | 'alerts'> & { readonly all?: Flush['alerts'] },
  options: { readonly externalUrl: string; readonly templates: NotificationTemplates; readonly reason: string },
) {
  const given = {
    receiver: route.receiver,
    notificationReason: options.reason,
    groupLabels,
    externalUrl: options.externalUrl,
  };
  const routeLabels = expandedRouteLabels(route, options.templates, (labels) => ({
    ...notificationData({ ...given, notificationReason: 'unknown', routeLabels: labels }, toldOf(all)),
    hasExpandedRouteLabels: false,
  }));
  return notificationData({ ...given, routeLabels }, toldOf(alerts));
}

function toldOf(alerts: readonly FlushedAlert[]): NotificationAlert[] {
  return alerts.map(({ alert, isFiring }) => ({
    status: isFiring ? 'firing' : 'resolved',
    labels: alert.labels,
    annotations: alert.annotations,
    startsAtMs: alert.startsAtMs,
    endsAtMs: isFiring ? undefined : alert.endsAtMs,
    generatorUrl: alert.generatorUrl,
    fingerprint: alert.fingerprint,
  }));
}

/** Labels whose templates fail are left out. */
function expandedRouteLabels(
  { labels }: Route,
  templates: NotificationTemplates,
  data: (labels: LabelSet) => Parameters<NotificationTemplates['text']>[1],
): LabelSet {
  const expanded = new Map<string, string>();
  if (labels.size === 0) return expanded;
  const unexpanded = data(labels);
  for (const [name, value] of labels) {
    try {
      expanded.set(name, templates.text(value, unexpanded));
    } catch (thrown) {
      if (!(thrown instanceof TemplateError)) throw thrown;
    }
  }
  return expanded;
}

async function verdictOf(notify: () => Promise<Verdict>): Promise<Verdict> {
  try {
    return await notify();
  } catch (thrown) {
    if (thrown instanceof TemplateError) {
      return { kind: 'failed', text: thrown.message, reason: 'templateError', retries: false };
    }
    if (thrown instanceof SendError) {
      const isRefused = thrown.reason === 'clientError';
      return { kind: 'failed', text: thrown.message, reason: thrown.reason, retries: !isRefused };
    }
    const name = thrown instanceof Error ? thrown.name : 'unknown';
    return { kind: 'failed', text: `the notification failed: ${name}`, reason: 'other', retries: false };
  }
}

/** Names of the time intervals because of which a route is mute. */
export function mutedBy(
  { timeIntervals }: Pick<AlertmanagerConfig, 'timeIntervals'>,
  route: Route,
  nowMs: number,
): { readonly active: readonly string[]; readonly muted: readonly string[] } {
  const holds = (name: string) => (timeIntervals.get(name) ?? []).some((interval) => containsTime(interval, nowMs));
  const isActive = route.activeTimeIntervals.length === 0 || route.activeTimeIntervals.some(holds);
  return { active: isActive ? [] : route.activeTimeIntervals, muted: route.muteTimeIntervals.filter(holds) };
}

/** Fingerprints of alerts that an integration was told, and of those to tell. */
interface Telling {
  readonly entry: LogEntry | undefined;
  /** The process before ended while it told something else than the entry says: what was heard last is not known. */
  readonly isInDoubt: boolean;
  readonly firing: ReadonlySet<string>;
  readonly resolved: ReadonlySet<string>;
}

/** Why an integration is to be told; undefined: it knows all. */
export function reasonToNotify(
  { entry, isInDoubt, firing, resolved }: Telling,
  sendsResolved: boolean,
  { nowMs, route }: Pick<Flush, 'nowMs' | 'route'>,
): string | undefined {
  if (entry?.sentAtMs === undefined) {
    if (firing.size > 0) return 'first notification';
    // the process before this one may have told that they fire
    return entry?.claimedAtMs !== undefined && resolved.size > 0 ? 'all alerts resolved' : undefined;
  }
  if (!firing.isSubsetOf(entry.firing)) {
    return entry.firing.size === 0 ? 'first notification' : 'new alerts added';
  }
  if (firing.size === 0) return entry.firing.size > 0 || isInDoubt ? 'all alerts resolved' : undefined;
  if (sendsResolved && !resolved.isSubsetOf(entry.resolved)) return 'some alerts resolved';
  return isInDoubt || entry.sentAtMs < nowMs - route.repeatIntervalMs ? 'repeat interval elapsed' : undefined;
}
