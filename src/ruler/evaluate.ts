import type { FloatHistogram } from '../model/histogram.ts';
import { histogramToString } from '../model/histogram-text.ts';
import { compareUtf8, Labels, METRIC_NAME } from '../model/labels.ts';
import { TemplateError } from '../template/parser.ts';
import { AlertExpander } from '../template/prometheus.ts';
import { type Alert, type Alerts, type FoundAlert, isActive, nextAlerts } from './alert.ts';
import { type PackedFloats, RecordedSeries } from './recorded-series.ts';
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
  /** As `instant`; a vector of floats comes packed. Absent: there is nothing to gain. */
  packed?(expr: string, timeMs: number): Promise<PackedFloats | readonly RuleSample[]>;
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

/** Values of a recording rule, packed. */
export interface RecordedFloats {
  readonly series: RecordedSeries;
  readonly floats: PackedFloats;
}

/**
 * @param before the series of the last evaluation, if they were packed
 * @throws RuleError and what the query throws
 */
export async function evaluatePacked(
  rule: RecordingRule,
  context: EvaluationContext,
  before: RecordedSeries | undefined,
): Promise<RecordedFloats | readonly RuleSample[]> {
  const { query, slotMs, queryOffsetMs, limit } = context;
  if (query.packed === undefined) throw new Error('bug: a query that packs nothing');
  const floats = await query.packed(rule.expr, slotMs - queryOffsetMs);
  if (!('pairs' in floats)) return recordedSamples(rule, context, floats);
  // what was right about them then is right now
  if (before?.pairs === floats.pairs) return { series: before, floats };
  const own = labelsOf(rule, context);
  const series = new RecordedSeries(floats.pairs, floats.values.length, (pairs) =>
    unpackedLabels(pairs).map((labels) => withLabels(labels, rule.name, own)),
  );
  checkRecorded(series.labels(), limit);
  return { series, floats };
}

/** @param pairs as in `PackedFloats` */
export function unpackedLabels(pairs: string): readonly Labels[] {
  return (JSON.parse(pairs) as string[][]).map((each) => Labels.fromSortedPairs(each));
}

/**
 * @param named labels that the rule made for the results before; replaced by those of these
 * @throws RuleError and what the query throws
 */
export async function evaluateRecording(
  rule: RecordingRule,
  context: EvaluationContext,
  named?: NamedLabels,
): Promise<readonly RuleSample[]> {
  const { query, slotMs, queryOffsetMs } = context;
  return recordedSamples(rule, context, await query.instant(rule.expr, slotMs - queryOffsetMs), named);
}

function recordedSamples(
  rule: RecordingRule,
  context: EvaluationContext,
  results: readonly RuleSample[],
  named: NamedLabels = { of: [], labels: [] },
): readonly RuleSample[] {
  const labels = labelsOf(rule, context);
  const samples = results.map(({ labels: own, value, histogram }, i) => {
    const all = named.of[i] === own ? named.labels[i]! : withLabels(own, rule.name, labels);
    return { labels: all, value, histogram };
  });
  named.of = results.map((sample) => sample.labels);
  named.labels = samples.map((sample) => sample.labels);
  checkRecorded(named.labels, context.limit);
  return samples;
}

function checkRecorded(labels: readonly Labels[], limit: number): void {
  if (new Set(labels.map(({ key }) => key)).size < labels.length) {
    throw new RuleError('vector contains metrics with the same labelset after applying rule labels');
  }
  if (limit > 0 && labels.length > limit) {
    throw new RuleError(`exceeded limit of ${limit} with ${labels.length} series`);
  }
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
  const wanted = { labels: pairsOf(labels), annotations: pairsOf(rule.annotations) };
  for (const sample of results) {
    const alert = await foundAlert(rule.name, wanted, sample, context, templateErrors);
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
  const samples = active.flatMap((alert) => alertSamples(rule.name, wanted.labels, alert));
  return { alerts, samples, templateErrors };
}

/** A rule with more alerts than allowed has none. */
export class AlertLimitError extends RuleError {}

/** @param wanted labels and annotations of the rule: name, template, … ascending by name */
async function foundAlert(
  ruleName: string,
  wanted: { readonly labels: readonly string[]; readonly annotations: readonly string[] },
  sample: RuleSample,
  context: EvaluationContext,
  templateErrors: string[],
): Promise<FoundAlert> {
  const { query, slotMs: timeMs, externalLabels, externalUrl, nowMs } = context;
  let expander: AlertExpander | undefined;
  const expand = async (template: string): Promise<string> => {
    expander ??= new AlertExpander(
      ruleName,
      { ...templateSample(sample), externalLabels },
      {
        timeMs,
        externalUrl,
        nowMs,
        query: async (expr) => (await query.instant(expr, timeMs)).map(templateSample),
      },
    );
    try {
      return await expander.expand(template);
    } catch (thrown) {
      if (!(thrown instanceof TemplateError)) throw thrown;
      templateErrors.push(thrown.message);
      return `<error expanding template: ${thrown.message}>`;
    }
  };
  const expanded = async (pairs: readonly string[]): Promise<readonly string[]> => {
    if (!pairs.some(isTemplate)) return pairs;
    const texts = [...pairs];
    for (let i = 1; i < texts.length; i += 2) if (isTemplate(texts[i]!)) texts[i] = await expand(texts[i]!);
    return texts;
  };
  const own = await expanded(wanted.labels);
  const labels = sample.labels.dropName().withSorted(own).with(ALERT_NAME, ruleName);
  return { labels, annotations: await expanded(wanted.annotations), value: sample.value };
}

function isTemplate(text: string): boolean {
  return text.includes('{{');
}

function templateSample({ labels, value, histogram }: RuleSample) {
  return { labels, value: histogram === undefined ? value : { histogram: histogramToString(histogram) } };
}

/** Labels of the series of an alert. */
interface AlertSeries {
  readonly forState: Labels;
  /** By the alert's state. */
  readonly alerts: Map<string, Labels>;
}

/** The series of alerts by the labels of these: an alert keeps its labels from one evaluation to the next. */
const seriesOf = new WeakMap<Labels, AlertSeries>();

/** @param own labels of the rule, of which those stand that an alert has without value */
function alertSamples(ruleName: string, own: readonly string[], alert: Alert): [RuleSample, RuleSample] {
  let series = seriesOf.get(alert.labels);
  if (series === undefined) {
    const missing = own.filter((_, i) => !alert.labels.has(own[i - (i % 2)]!));
    const labels = alert.labels.withSorted(missing).with(ALERT_NAME, ruleName);
    series = { forState: labels.with(METRIC_NAME, 'ALERTS_FOR_STATE'), alerts: new Map() };
    seriesOf.set(alert.labels, series);
  }
  let labels = series.alerts.get(alert.state);
  if (labels === undefined) {
    labels = series.forState.withSorted([METRIC_NAME, 'ALERTS', 'alertstate', alert.state]);
    series.alerts.set(alert.state, labels);
  }
  const activeAtSeconds = Math.floor(alert.activeAtMs / 1000);
  return [
    { labels, value: 1, histogram: undefined },
    { labels: series.forState, value: activeAtSeconds, histogram: undefined },
  ];
}

/** The group's labels, and the rule's over them. */
function labelsOf(rule: RecordingRule | AlertingRule, { groupLabels }: EvaluationContext): ReadonlyMap<string, string> {
  return groupLabels.size === 0 ? rule.labels : new Map([...groupLabels, ...rule.labels]);
}

/** name, value, … ascending by name. */
function pairsOf(entries: ReadonlyMap<string, string>): string[] {
  return [...entries].sort(([a], [b]) => compareUtf8(a, b)).flat();
}
