import type { FloatHistogram } from '../model/histogram.ts';
import { histogramToString } from '../model/histogram-text.ts';
import { Labels, METRIC_NAME } from '../model/labels.ts';
import { TemplateError } from '../template/parser.ts';
import { expandAlert } from '../template/prometheus.ts';
import { type Alert, type Alerts, type FoundAlert, isActive, nextAlerts } from './alert.ts';
import type { AlertingRule, RecordingRule } from './rule-file.ts';

/** A series at one time. */
export interface RuleSample {
  readonly labels: Labels;
  /** NaN where `histogram` is set. */
  readonly value: number;
  readonly histogram: FloatHistogram | undefined;
}

/** Evaluates expressions at one time: a vector, or a scalar as a sample without labels. */
export interface RuleQuery {
  /** @throws AppError, ParseError; RuleError where the result is neither */
  instant(expr: string, timeMs: number): Promise<readonly RuleSample[]>;
}

/** Why a rule failed, where it is not a query that did; the text is Prometheus'. */
export class RuleError extends Error {}

/** The context that evaluations of a group have in common. */
export interface EvaluationContext {
  readonly query: RuleQuery;
  /** The time that the evaluation is for, Unix ms. */
  readonly slotMs: number;
  /** Age of the data that rules see; their samples are as old. */
  readonly queryOffsetMs: number;
  /** Series or alerts of one rule; 0: no limit. */
  readonly limit: number;
  readonly groupLabels: ReadonlyMap<string, string>;
  readonly externalLabels: ReadonlyMap<string, string>;
  readonly externalUrl: string;
  readonly nowMs: () => number;
}

const ALERT_NAME = 'alertname';

/**
 * @param named labels that the rule made for the results before; replaced by those of these
 * @throws RuleError and what the query throws
 */
export async function evaluateRecording(
  rule: RecordingRule,
  context: EvaluationContext,
  named: NamedLabels = { of: [], labels: [] },
): Promise<readonly RuleSample[]> {
  const { query, slotMs, queryOffsetMs, limit } = context;
  const labels = labelsOf(rule, context);
  const results = await query.instant(rule.expr, slotMs - queryOffsetMs);
  const samples = results.map(({ labels: own, value, histogram }, i) => {
    const all = named.of[i] === own ? named.labels[i]! : withLabels(own, rule.name, labels);
    return { labels: all, value, histogram };
  });
  named.of = results.map((sample) => sample.labels);
  named.labels = samples.map((sample) => sample.labels);
  if (new Set(samples.map((sample) => sample.labels.key)).size < samples.length) {
    throw new RuleError('vector contains metrics with the same labelset after applying rule labels');
  }
  if (limit > 0 && samples.length > limit) {
    throw new RuleError(`exceeded limit of ${limit} with ${samples.length} series`);
  }
  return samples;
}

/** Labels of a rule's last results, and what it made of them, by the same index: mostly the next ones have the same. */
export interface NamedLabels {
  of: readonly Labels[];
  labels: readonly Labels[];
}

function withLabels(labels: Labels, name: string, own: ReadonlyMap<string, string>): Labels {
  let all = labels.with(METRIC_NAME, name);
  for (const [label, value] of own) all = all.with(label, value);
  return all;
}

export interface AlertingResult {
  readonly alerts: Alerts;
  /** `ALERTS` and `ALERTS_FOR_STATE` of the alerts that are active. */
  readonly samples: readonly RuleSample[];
  /** Templates that could not be expanded: their error stands in their place. */
  readonly templateErrors: readonly string[];
}

/**
 * An evaluation of an alerting rule.
 * @throws RuleError and what the query throws; `AlertLimitError` where the rule's alerts are all to be dropped
 */
export async function evaluateAlerting(
  rule: AlertingRule,
  before: Alerts,
  context: EvaluationContext,
): Promise<AlertingResult> {
  const { query, slotMs, queryOffsetMs, limit } = context;
  const labels = labelsOf(rule, context);
  const results = await query.instant(rule.expr, slotMs - queryOffsetMs);
  const found = new Map<string, FoundAlert>();
  const templateErrors: string[] = [];
  for (const sample of results) {
    const alert = await foundAlert(rule, labels, sample, context, templateErrors);
    if (found.has(alert.labels.key)) {
      throw new RuleError('vector contains metrics with the same labelset after applying alert labels');
    }
    found.set(alert.labels.key, alert);
  }
  const alerts = nextAlerts(before, found, rule, slotMs);
  const active = [...alerts.values()].filter(isActive);
  if (limit > 0 && active.length > limit) {
    throw new AlertLimitError(`exceeded limit of ${limit} with ${active.length} alerts`);
  }
  const samples = active.flatMap((alert) => alertSamples(rule, labels, alert));
  return { alerts, samples, templateErrors };
}

/** A rule with more alerts than allowed has none. */
export class AlertLimitError extends RuleError {}

async function foundAlert(
  rule: AlertingRule,
  labels: ReadonlyMap<string, string>,
  sample: RuleSample,
  context: EvaluationContext,
  templateErrors: string[],
): Promise<FoundAlert> {
  const { query, slotMs, externalLabels, externalUrl, nowMs } = context;
  const data = {
    labels: sample.labels,
    externalLabels,
    value: sample.histogram === undefined ? sample.value : { histogram: histogramToString(sample.histogram) },
  };
  const expand = async (template: string): Promise<string> => {
    if (!template.includes('{{')) return template;
    try {
      return await expandAlert(rule.name, template, data, {
        timeMs: slotMs,
        externalUrl,
        nowMs,
        query: async (expr) => (await query.instant(expr, slotMs)).map(templateSample),
      });
    } catch (thrown) {
      if (!(thrown instanceof TemplateError)) throw thrown;
      templateErrors.push(thrown.message);
      return `<error expanding template: ${thrown.message}>`;
    }
  };
  const entries = new Map(sample.labels);
  entries.delete(METRIC_NAME);
  for (const [name, template] of sorted(labels)) entries.set(name, await expand(template));
  entries.set(ALERT_NAME, rule.name);
  const annotations: string[] = [];
  for (const [name, template] of sorted(rule.annotations)) annotations.push(name, await expand(template));
  return { labels: Labels.fromEntries(entries), annotations, value: sample.value };
}

function templateSample({ labels, value, histogram }: RuleSample) {
  return { labels, value: histogram === undefined ? value : { histogram: histogramToString(histogram) } };
}

function alertSamples(rule: AlertingRule, labels: ReadonlyMap<string, string>, alert: Alert): RuleSample[] {
  const entries = new Map([...labels, ...alert.labels]);
  entries.set(ALERT_NAME, rule.name);
  const forState = new Map(entries).set(METRIC_NAME, 'ALERTS_FOR_STATE');
  entries.set(METRIC_NAME, 'ALERTS').set('alertstate', alert.state);
  return [
    { labels: Labels.fromEntries(entries), value: 1, histogram: undefined },
    {
      labels: Labels.fromEntries(forState),
      value: Math.floor(alert.activeAtMs / 1000),
      histogram: undefined,
    },
  ];
}

/** The group's labels, and the rule's over them. */
function labelsOf(rule: RecordingRule | AlertingRule, { groupLabels }: EvaluationContext): ReadonlyMap<string, string> {
  return groupLabels.size === 0 ? rule.labels : new Map([...groupLabels, ...rule.labels]);
}

function sorted(entries: ReadonlyMap<string, string>): [string, string][] {
  return [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
}
