import { createHash } from 'node:crypto';
import { type Clock, timeout } from '../lib/clock.ts';
import { TemplateError } from '../template/parser.ts';
import { type Alert, compareAlerts, isResolved } from './alert.ts';
import type { ConfigInForce } from './config/document.ts';
import { withoutSecretsOf } from './fields/secret.ts';
import type { LabelSet } from './label-set.ts';
import { groupData } from './notifier.ts';
import type { Integration } from './receivers/kind.ts';
import { type OutgoingRequest, SendError, type Senders, type Verdict } from './receivers/notification.ts';
import { groupKeyOf, groupLabelsOf, matchingRoutes, type Route } from './route.ts';

/** A route that labels go to. */
export interface TrialRoute {
  readonly receiver: string;
  readonly route: string;
  readonly groupKey: string;
  readonly groupLabels: LabelSet;
  readonly groupWaitMs: number;
  readonly groupIntervalMs: number;
  readonly repeatIntervalMs: number;
}

export function trialRoutes({ config }: ConfigInForce, labels: LabelSet): TrialRoute[] {
  return matchingRoutes(config.route, labels).map((route) => {
    const groupLabels = groupLabelsOf(route, labels);
    const { receiver, id, groupWaitMs, groupIntervalMs, repeatIntervalMs } = route;
    return {
      receiver,
      route: id,
      groupKey: groupKeyOf(route, groupLabels),
      groupLabels,
      groupWaitMs,
      groupIntervalMs,
      repeatIntervalMs,
    };
  });
}

export interface Trial {
  readonly inForce: ConfigInForce;
  readonly receiver: string;
  readonly alerts: readonly Alert[];
  readonly externalUrl: string;
  readonly clock: Clock;
}

export interface TrialResult {
  readonly integration: string;
  readonly index: number;
  readonly status: 'ok' | 'failed' | 'limited';
  readonly error?: string;
  readonly durationMs?: number;
  /** Messages that would be sent, without secrets. */
  readonly messages?: readonly string[];
}

const timeoutMs = 15_000;

/** Sends the alerts once by each integration of a receiver. */
export function sendTrial(
  trial: Trial,
  senders: Senders,
  takeRate: (integration: string) => boolean,
  signal: AbortSignal,
): Promise<TrialResult[]> {
  return each(trial, async (integration, index) => {
    const named = { integration: integration.kind, index };
    if (!takeRate(integration.kind)) {
      return { ...named, status: 'limited', error: 'rate limited (alertmanager_notification_rate_limit)' };
    }
    const limit = timeout(trial.clock, timeoutMs);
    const startMs = trial.clock.monotonicMs();
    try {
      const stop = AbortSignal.any([signal, limit.signal]);
      const verdict = await integration.notify(notificationOf(trial, senders, stop));
      return { ...named, ...resultOf(trial, verdict), durationMs: Math.round(trial.clock.monotonicMs() - startMs) };
    } finally {
      limit.cancel();
    }
  });
}

/** The messages that each integration would send. Nothing goes out: answers are made up. */
export function previewTrial(trial: Trial, signal: AbortSignal): Promise<TrialResult[]> {
  return each(trial, async (integration, index) => {
    const messages: string[] = [];
    const senders: Senders = {
      http: {
        async send({ method, body }: OutgoingRequest) {
          messages.push(masked(trial, body ?? method));
          return { status: 200, headers: new Map([['content-type', 'application/json']]), body: MADE_UP };
        },
      },
      mail: {
        async send(_, { to, headers, text, html }) {
          const lines = [...headers].map(([name, value]) => `${name}: ${value}`);
          messages.push(masked(trial, [`To: ${to}`, ...lines, '', text === '' ? html : text].join('\n')));
        },
      },
    };
    const verdict = await integration.notify(notificationOf(trial, senders, signal));
    return { integration: integration.kind, index, ...resultOf(trial, verdict), messages };
  });
}

/** An answer that all receivers take for success. */
const MADE_UP = '{"ok":true,"success":true,"errcode":0,"access_token":"-","issues":[]}';

async function each(
  trial: Trial,
  tell: (integration: Integration, index: number) => Promise<TrialResult>,
): Promise<TrialResult[]> {
  const { integrations } = trial.inForce.config.receivers.get(trial.receiver)!;
  const results: TrialResult[] = [];
  for (const [index, integration] of integrations.entries()) {
    try {
      results.push(await tell(integration, index));
    } catch (thrown) {
      if (!(thrown instanceof TemplateError) && !(thrown instanceof SendError)) throw thrown;
      results.push({ integration: integration.kind, index, status: 'failed', error: masked(trial, thrown.message) });
    }
    await trial.clock.turn();
  }
  return results;
}

function resultOf(trial: Trial, verdict: Verdict): Pick<TrialResult, 'status' | 'error'> {
  return verdict.kind === 'sent' ? { status: 'ok' } : { status: 'failed', error: masked(trial, verdict.text) };
}

function notificationOf(
  { inForce, receiver, alerts, externalUrl, clock }: Trial,
  senders: Senders,
  signal: AbortSignal,
) {
  const { config, templates } = inForce;
  const [first] = alerts;
  const found = matchingRoutes(config.route, first!.labels).find((route) => route.receiver === receiver);
  const route: Route = found ?? { ...config.route, receiver };
  const groupLabels = groupLabelsOf(route, first!.labels);
  const groupKey = `test:${groupKeyOf(route, groupLabels)}`;
  const nowMs = clock.nowMs();
  const flushed = alerts.toSorted(compareAlerts).map((alert) => ({ alert, isFiring: !isResolved(alert, nowMs) }));
  const data = groupData(
    { route, groupLabels, alerts: flushed },
    { externalUrl, templates, reason: 'first notification' },
  );
  const groupHash = createHash('sha256').update(groupKey).digest('hex');
  return { groupKey, groupHash, data, templates, ...senders, memory: new Map<string, string>(), nowMs, signal };
}

function masked({ inForce }: Trial, text: string): string {
  return withoutSecretsOf(inForce.config, text);
}
