import { METRIC_NAME, quoteGo, quoteName } from '../model/labels.ts';
import type { Alert, Alerts } from './alert.ts';
import type { RuleSample } from './evaluate.ts';
import type { RuleRun } from './group-run.ts';
import type { AlertingRule, RuleGroup } from './rule-file.ts';
import type { GroupQuery } from './rule-query.ts';

export interface RestoreOptions {
  readonly query: GroupQuery;
  readonly toleranceMs: number;
  readonly graceMs: number;
  readonly groupLabels: ReadonlyMap<string, string>;
}

/**
 * Gives alerts of which no state is kept the times that `ALERTS_FOR_STATE` tells, as Prometheus does after its start. Source:
 * Prometheus rules/group.go, RestoreForState.
 * @throws what the query throws
 */
export async function restoreFromSeries(run: RuleRun, nowMs: number, options: RestoreOptions): Promise<void> {
  const { query, toleranceMs, graceMs, groupLabels } = options;
  if (run.rule.kind !== 'alert' || run.rule.forMs < graceMs || run.alerts.size === 0) return;
  const selector = selectorOf(run.rule, groupLabels);
  const [values, times] = await Promise.all([
    query.instant(selector, nowMs, toleranceMs),
    query.instant(`timestamp(${selector})`, nowMs, toleranceMs),
  ]);
  const withoutName = ({ labels }: RuleSample) => labels.drop(new Set([METRIC_NAME])).key;
  const activeAtS = new Map(values.map((sample) => [withoutName(sample), sample.value]));
  const downAtS = new Map(times.map((sample) => [withoutName(sample), sample.value]));
  const alerts = new Map(run.alerts);
  for (const [key, alert] of run.alerts) {
    const activeAt = activeAtS.get(key);
    const downAt = downAtS.get(key);
    if (activeAt === undefined || downAt === undefined) continue;
    alerts.set(key, restored(alert, Math.floor(activeAt) * 1000, downAt * 1000, run.rule, nowMs, graceMs));
  }
  run.alerts = alerts;
}

function restored(
  alert: Alert,
  activeAtMs: number,
  downAtMs: number,
  { forMs }: AlertingRule,
  nowMs: number,
  graceMs: number,
): Alert {
  const leftMs = forMs - (downAtMs - activeAtMs);
  // it fired before: the next evaluation finds that again
  if (leftMs <= 0) return { ...alert, activeAtMs };
  if (leftMs < graceMs) return { ...alert, activeAtMs: nowMs + graceMs - forMs };
  return { ...alert, activeAtMs: activeAtMs + (nowMs - downAtMs) };
}

/** A group's rules, and when one of them was evaluated first. */
export interface StoredAlertsOptions {
  readonly query: Pick<GroupQuery, 'instant'>;
  readonly rules: RuleGroup['rules'];
  readonly groupLabels: ReadonlyMap<string, string>;
  readonly firstSlotMs: number;
  readonly intervalMs: number;
  readonly queryOffsetMs: number;
}

/**
 * The alerts that a rule had before its first evaluation, by the series that a ruler wrote. A series that another rule of the same name
 * has by more of its labels is that one's.
 * @throws what the query throws
 */
export async function storedAlerts(rule: AlertingRule, options: StoredAlertsOptions): Promise<Alerts> {
  const { query, rules, groupLabels, firstSlotMs, intervalMs, queryOffsetMs } = options;
  const atMs = firstSlotMs - queryOffsetMs - 1;
  const ask = (metric: string, more: readonly Pair[]) =>
    query.instant(selectorOf(rule, groupLabels, metric, more), atMs, 2 * intervalMs);
  const [since, firing] = await Promise.all([ask('ALERTS_FOR_STATE', []), ask('ALERTS', [['alertstate', 'firing']])]);
  const plain = plainLabels(rule, groupLabels);
  const nearer = rules.flatMap((other) => {
    if (other.kind !== 'alert' || other === rule || other.name !== rule.name) return [];
    const its = plainLabels(other, groupLabels);
    return its.length > plain.length ? [its] : [];
  });
  const keyOf = ({ labels }: RuleSample) => labels.drop(NOT_OF_ALERTS).key;
  const fired = new Set(firing.map(keyOf));
  const alerts = new Map<string, Alert>();
  for (const sample of since) {
    if (nearer.some((its) => its.every(([label, value]) => sample.labels.get(label) === value))) continue;
    const key = keyOf(sample);
    const activeAtMs = slotOf(Math.floor(sample.value) * 1000, firstSlotMs, intervalMs);
    alerts.set(key, {
      labels: sample.labels.drop(NOT_OF_ALERTS),
      annotations: [],
      value: Number.NaN,
      state: fired.has(key) ? 'firing' : 'pending',
      activeAtMs,
      firedAtMs: fired.has(key) ? activeAtMs + rule.forMs : undefined,
      keepFiringSinceMs: undefined,
      resolvedAtMs: undefined,
    });
  }
  return alerts;
}

type Pair = readonly [label: string, value: string];

const NOT_OF_ALERTS: ReadonlySet<string> = new Set([METRIC_NAME, 'alertstate']);

/** Series tell whole seconds: the slot that begins within the second, where there is one. */
function slotOf(secondMs: number, slotMs: number, intervalMs: number): number {
  const atMs = slotMs - Math.floor((slotMs - secondMs) / intervalMs) * intervalMs;
  return atMs - secondMs < 1000 ? atMs : secondMs;
}

/** Labels whose values are templates may be anything. */
function plainLabels({ labels }: AlertingRule, groupLabels: ReadonlyMap<string, string>): readonly Pair[] {
  return [...new Map([...groupLabels, ...labels])].filter(([, value]) => !value.includes('{{'));
}

function selectorOf(
  rule: AlertingRule,
  groupLabels: ReadonlyMap<string, string>,
  metric = 'ALERTS_FOR_STATE',
  more: readonly Pair[] = [],
): string {
  const pairs: readonly Pair[] = [['alertname', rule.name], ...plainLabels(rule, groupLabels), ...more];
  return `${metric}{${pairs.map(([label, value]) => `${quoteName(label)}=${quoteGo(value)}`).join(',')}}`;
}
