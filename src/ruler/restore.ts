import { METRIC_NAME, quoteGo, quoteName } from '../model/labels.ts';
import type { Alert } from './alert.ts';
import type { RuleSample } from './evaluate.ts';
import type { RuleRun } from './group-run.ts';
import type { AlertingRule } from './rule-file.ts';
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

/** Labels whose values are templates may be anything. */
function selectorOf({ name, labels }: AlertingRule, groupLabels: ReadonlyMap<string, string>): string {
  const plain = [...new Map([...groupLabels, ...labels])].filter(([, value]) => !value.includes('{{'));
  const matchers = [['alertname', name] as const, ...plain].map(
    ([label, value]) => `${quoteName(label)}=${quoteGo(value)}`,
  );
  return `ALERTS_FOR_STATE{${matchers.join(',')}}`;
}
