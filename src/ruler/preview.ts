import type { QueryRunner } from '../contract/query.ts';
import type { AlertChange, PreviewedAlert, PreviewedRule, RulePreview, RulePreviewRequest } from '../contract/rules.ts';
import { type Clock, timeout } from '../lib/clock.ts';
import { getOrMake } from '../lib/map.ts';
import { Pacer } from '../lib/pacer.ts';
import { queryErrors } from '../model/errors-query.ts';
import { rulerErrors } from '../model/errors-ruler.ts';
import type { ParserOptions } from '../promql/parser/parser.ts';
import type { Queryable, QueryBudget } from '../storage/queryable.ts';
import type { Alert, Alerts } from './alert.ts';
import { metricsReadWithin, readsBackwards } from './dependencies.ts';
import { type EvaluationContext, evaluateAlerting, type RuleQuery } from './evaluate.ts';
import { EVERY_EXTENSION, GroupRun, type RuleRun, type RuleSink } from './group-run.ts';
import { dependsOnRange, RangeRuleQuery, STEPS_MAX } from './range-rule-query.ts';
import { RecordedSource } from './recorded-source.ts';
import { readSentGroup } from './rule-config.ts';
import type { AlertingRule, Rule, RuleGroup } from './rule-file.ts';
import { Slots } from './slots.ts';

export interface PreviewOptions {
  readonly tenant: string;
  readonly parser: ParserOptions;
  /** Evaluates over what is stored. */
  readonly queries: QueryRunner;
  readonly stored: Queryable;
  /** Evaluates over something else. */
  readonly over: (queryable: Queryable) => QueryRunner;
  /** Counts what the preview holds. */
  readonly budget: QueryBudget;
  /** A preview that takes longer is ended. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Evaluations of a rule from range queries, for all rules together. */
const EVALUATIONS_MAX = 200_000;
/** Evaluations that ask a query each. */
const SINGLE_EVALUATIONS_MAX = 11_000;
const SAMPLES_MAX = 5_000_000;
/** Changes of a rule's alerts that are told. */
const CHANGES_MAX = 10_000;
const SLICE_MS = 10;
/** Rough sizes of what is held. */
const RECORDED_BYTES = 24;
const SERIES_BYTES = 300;
const CHANGE_BYTES = 100;

/**
 * Tries a group of rules on stored data, as it would have been evaluated in a range of time, by the state machine that a ruler runs. It
 * begins without alerts.
 * @throws AppError
 */
export async function previewRules(request: RulePreviewRequest, options: PreviewOptions): Promise<RulePreview> {
  const { settings, namespace, startMs, endMs } = request;
  const group = readSentGroup(request.group, options.parser, settings.rulesMax);
  const others = group.sourceTenants.filter((each) => each !== options.tenant);
  if (others.length > 0) throw rulerErrors.ruleSourceTenants({ tenants: others });
  const intervalMs = Math.max(group.intervalMs ?? settings.evaluationIntervalMs, settings.intervalMsMin);
  const slots = new Slots(namespace, group.name, intervalMs, group.alignsToInterval);
  const lastBeforeMs = slots.at(startMs);
  const firstMs = lastBeforeMs < startMs ? lastBeforeMs + intervalMs : lastBeforeMs;
  const count = Math.max(0, Math.floor((endMs - firstMs) / intervalMs) + 1);
  const inRanges =
    !readsBackwards(group.rules, EVERY_EXTENSION) && !group.rules.some(({ expr }) => dependsOnRange(expr));
  const limit = inRanges ? EVALUATIONS_MAX : SINGLE_EVALUATIONS_MAX;
  const actual = count * group.rules.length;
  if (actual > limit) throw rulerErrors.rulePreviewTooLong({ actual, limit });
  const ended = timeout(options.clock, options.timeoutMs);
  const signal = AbortSignal.any([options.signal, ended.signal]);
  try {
    const trial = new Trial(group, { firstMs, count, intervalMs }, request, { ...options, signal });
    await (inRanges ? trial.runInRanges() : trial.runStepByStep());
    const [first, last] = count === 0 ? [] : [firstMs, firstMs + (count - 1) * intervalMs];
    return { name: group.name, intervalMs, firstMs: first, lastMs: last, evaluations: count, rules: trial.rules() };
  } catch (thrown) {
    options.signal.throwIfAborted();
    throw ended.signal.aborted ? queryErrors.queryTimedOut({ limitMs: options.timeoutMs }) : thrown;
  } finally {
    ended.cancel();
  }
}

/** The slots that rules are tried for. */
interface SlotRange {
  readonly firstMs: number;
  readonly count: number;
  readonly intervalMs: number;
}

class Trial {
  readonly #group: RuleGroup;
  readonly #slots: SlotRange;
  readonly #request: RulePreviewRequest;
  readonly #options: PreviewOptions;
  readonly #queryOffsetMs: number;
  readonly #recorded: RecordedSource;
  readonly #runner: QueryRunner;
  readonly #tried: readonly TriedRule[];
  readonly #pacer: Pacer;
  readonly #externalLabels: ReadonlyMap<string, string>;
  #samples = 0;

  constructor(group: RuleGroup, slots: SlotRange, request: RulePreviewRequest, options: PreviewOptions) {
    const { stored, over, queries, budget, clock, signal } = options;
    this.#group = group;
    this.#slots = slots;
    this.#request = request;
    this.#options = options;
    this.#queryOffsetMs = group.queryOffsetMs ?? request.settings.queryOffsetMs;
    const names = metricsReadWithin(group.rules, EVERY_EXTENSION);
    this.#recorded = new RecordedSource(stored, names, slots.firstMs - this.#queryOffsetMs);
    this.#runner = names.length === 0 ? queries : over(this.#recorded);
    this.#tried = group.rules.map((rule) => new TriedRule(rule, budget));
    this.#externalLabels = new Map(Object.entries(request.settings.externalLabels));
    this.#pacer = new Pacer(clock, { sliceMs: SLICE_MS, signal });
  }

  rules(): PreviewedRule[] {
    return this.#tried.map((tried) => tried.shown());
  }

  /** Rule after rule: none of them needs what a later one writes. */
  async runInRanges(): Promise<void> {
    const { firstMs, count, intervalMs } = this.#slots;
    const query = this.#rangeQuery();
    const runs = this.#group.rules.map((rule) => this.#runOf([rule]));
    for (let from = 0; from < count; from += STEPS_MAX) {
      const to = Math.min(count, from + STEPS_MAX) - 1;
      for (const [i, run] of runs.entries()) {
        const { expr } = this.#group.rules[i]!;
        const offsetMs = firstMs - this.#queryOffsetMs;
        await query.prepare(expr, offsetMs + from * intervalMs, offsetMs + to * intervalMs);
        for (let slot = from; slot <= to; slot++) {
          query.step(offsetMs + slot * intervalMs);
          await this.#evaluate(run, [this.#tried[i]!], query, firstMs + slot * intervalMs);
        }
        query.end();
      }
    }
  }

  /** Slot after slot, with a query for each evaluation. */
  async runStepByStep(): Promise<void> {
    const { firstMs, count, intervalMs } = this.#slots;
    const query = this.#rangeQuery();
    const run = this.#runOf(this.#group.rules);
    for (let slot = 0; slot < count; slot++) {
      await this.#evaluate(run, this.#tried, query, firstMs + slot * intervalMs);
    }
  }

  #rangeQuery(): RangeRuleQuery {
    const { tenant, budget, signal } = this.#options;
    return new RangeRuleQuery({ runner: this.#runner, tenant, stepMs: this.#slots.intervalMs, budget, signal });
  }

  /** Annotations are expanded where an alert changes only. */
  #runOf(rules: readonly Rule[]): GroupRun {
    const plain = rules.map((rule) => (rule.kind === 'alert' ? { ...rule, annotations: NO_ANNOTATIONS } : rule));
    const { budget } = this.#options;
    const sink: RuleSink = {
      append: async (timeMs, writes) => {
        for (const { samples, stale } of writes) {
          budget.addMemory(this.#recorded.append(timeMs, samples, stale) * RECORDED_BYTES);
        }
        return [];
      },
    };
    return new GroupRun({ ...this.#group, rules: plain }, sink);
  }

  async #evaluate(run: GroupRun, tried: readonly TriedRule[], query: RuleQuery, slotMs: number): Promise<void> {
    const { settings } = this.#request;
    const counted: RuleQuery = {
      instant: async (expr, timeMs) => {
        const samples = await query.instant(expr, timeMs);
        this.#samples += samples.length;
        return samples;
      },
    };
    const context: EvaluationContext = {
      query: counted,
      slotMs,
      queryOffsetMs: this.#queryOffsetMs,
      limit: 0,
      groupLabels: this.#group.labels,
      externalLabels: this.#externalLabels,
      externalUrl: settings.externalUrl,
      nowMs: () => slotMs,
    };
    await run.evaluate(context);
    this.#options.signal.throwIfAborted();
    if (this.#samples > SAMPLES_MAX) throw rulerErrors.rulePreviewTooLarge({ limit: SAMPLES_MAX });
    for (const [i, each] of tried.entries()) await each.note(run.rules[i]!, context);
    await this.#pacer.step();
  }
}

const NO_ANNOTATIONS: ReadonlyMap<string, string> = new Map();

/** A rule, and what its evaluations gave so far. */
class TriedRule {
  readonly #rule: Rule;
  readonly #budget: QueryBudget;
  readonly #alerts = new Map<string, { readonly labels: readonly string[]; readonly changes: AlertChange[] }>();
  readonly #series = new Set<string>();
  #query = '';
  #before: Alerts = new Map();
  #failures = 0;
  #lastError: string | undefined;
  #samples = 0;
  #changes = 0;

  constructor(rule: Rule, budget: QueryBudget) {
    this.#rule = rule;
    this.#budget = budget;
  }

  /** Takes down an evaluation. */
  async note(run: RuleRun, context: EvaluationContext): Promise<void> {
    this.#query = run.query;
    if (run.lastError !== undefined) {
      this.#failures++;
      this.#lastError = run.lastError.message;
    }
    if (this.#rule.kind === 'alert') await this.#noteAlerts(this.#rule, run.alerts, context);
    else if (run.lastError === undefined) this.#noteSeries(run.written);
  }

  #noteSeries(written: RuleRun['written']): void {
    this.#samples += written.size;
    for (const key of written.keys()) {
      if (this.#series.has(key)) continue;
      this.#budget.addMemory(SERIES_BYTES + key.length * 2);
      this.#series.add(key);
    }
  }

  async #noteAlerts(rule: AlertingRule, alerts: Alerts, context: EvaluationContext): Promise<void> {
    const before = this.#before;
    this.#before = alerts;
    const changed: Alert[] = [];
    for (const [key, alert] of alerts) {
      if (alert !== before.get(key) && alert.state !== before.get(key)?.state) changed.push(alert);
    }
    let annotations: ReadonlyMap<string, readonly string[]> | undefined;
    for (const alert of changed) {
      if (alert.state !== 'inactive') annotations ??= await annotationsOf(rule, context);
      this.#change(alert, context.slotMs, alert.state, annotations?.get(alert.labels.key) ?? []);
    }
    for (const [key, alert] of before) {
      if (alert.state !== 'inactive' && !alerts.has(key)) this.#change(alert, context.slotMs, 'inactive', []);
    }
  }

  #change({ labels, value }: Alert, timeMs: number, state: AlertChange['state'], annotations: readonly string[]): void {
    if (++this.#changes > CHANGES_MAX) return;
    this.#budget.addMemory(CHANGE_BYTES + annotations.reduce((sum, text) => sum + text.length * 2, 0));
    const alert = getOrMake(this.#alerts, labels.key, () => {
      this.#budget.addMemory(SERIES_BYTES + labels.key.length * 2);
      return { labels: labels.pairs, changes: [] };
    });
    alert.changes.push({ timeMs, state, value, annotations: state === 'inactive' ? [] : annotations });
  }

  shown(): PreviewedRule {
    const alerts: readonly PreviewedAlert[] = [...this.#alerts.values()];
    return {
      kind: this.#rule.kind,
      name: this.#rule.name,
      query: this.#query,
      failures: this.#failures,
      lastError: this.#lastError,
      samples: this.#samples,
      series: this.#series.size,
      alerts,
      omittedChanges: Math.max(0, this.#changes - CHANGES_MAX),
    };
  }
}

/** The annotations of all that an alerting rule finds, by the key of its alerts' labels. */
async function annotationsOf(
  rule: AlertingRule,
  context: EvaluationContext,
): Promise<ReadonlyMap<string, readonly string[]>> {
  if (rule.annotations.size === 0) return new Map();
  try {
    const { alerts } = await evaluateAlerting(rule, new Map(), { ...context, limit: 0 });
    return new Map([...alerts].map(([key, { annotations }]) => [key, annotations]));
  } catch {
    // as where a template asked for too much: the rule itself says what fails
    return new Map();
  }
}
