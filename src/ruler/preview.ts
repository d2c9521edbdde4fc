import type { AlertChange, PreviewedAlert, PreviewedRule, RulePreview, RulePreviewRequest } from '../contract/rules.ts';
import { type Clock, timeout } from '../lib/clock.ts';
import { getOrMake } from '../lib/map.ts';
import { Pacer } from '../lib/pacer.ts';
import { queryErrors } from '../model/errors-query.ts';
import { rulerErrors } from '../model/errors-ruler.ts';
import type { Labels } from '../model/labels.ts';
import type { ParserOptions } from '../promql/parser/parser.ts';
import type { QueryBudget } from '../storage/queryable.ts';
import type { Alert, Alerts } from './alert.ts';
import { type EvaluationContext, evaluateAlerting } from './evaluate.ts';
import type { RuleRun } from './group-run.ts';
import { Replay, type ReplaySources, slotsBetween } from './replay.ts';
import { storedAlerts } from './restore.ts';
import { readSentGroup } from './rule-config.ts';
import type { AlertingRule, Rule } from './rule-file.ts';
import { samplesOf } from './rule-query.ts';

export interface PreviewOptions extends Omit<ReplaySources, 'pacer'> {
  readonly parser: ParserOptions;
  /** A preview that takes longer is ended. */
  readonly timeoutMs: number;
  readonly clock: Clock;
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
const SERIES_BYTES = 300;
const CHANGE_BYTES = 100;

/**
 * Tries a group of rules on stored data, as it would have been evaluated in a range of time, by the state machine that a ruler runs. It
 * begins without alerts, or with those that series of `ALERTS` tell of.
 * @throws AppError
 */
export async function previewRules(request: RulePreviewRequest, options: PreviewOptions): Promise<RulePreview> {
  const { settings, namespace, startMs, endMs } = request;
  const group = readSentGroup(request.group, options.parser, settings.rulesMax);
  const others = group.sourceTenants.filter((each) => each !== options.tenant);
  if (others.length > 0) throw rulerErrors.ruleSourceTenants({ tenants: others });
  const intervalMs = Math.max(group.intervalMs ?? settings.evaluationIntervalMs, settings.intervalMsMin);
  const asked = slotsBetween(namespace, group, intervalMs, startMs, endMs);
  const { clock, timeoutMs, budget } = options;
  const ended = timeout(clock, timeoutMs);
  const signal = AbortSignal.any([options.signal, ended.signal]);
  const pacer = new Pacer(clock, { sliceMs: SLICE_MS, signal });
  try {
    const replay = new Replay(group, { ...options, pacer, signal }, { ...settings, samplesMax: SAMPLES_MAX });
    const limit = replay.inRanges ? EVALUATIONS_MAX : SINGLE_EVALUATIONS_MAX;
    const actual = asked.count * group.rules.length;
    if (actual > limit && request.isCutToFit !== true) throw rulerErrors.rulePreviewTooLong({ actual, limit });
    const count = Math.min(asked.count, Math.floor(limit / Math.max(1, group.rules.length)));
    const firstMs = asked.firstMs + (asked.count - count) * intervalMs;
    const slots = { firstMs, intervalMs, count };
    const tried = group.rules.map((rule) => new TriedRule(rule, budget));
    const query = {
      instant: async (expr: string, timeMs: number, lookbackMs?: number) => {
        const asked = { expr, timeMs, timeoutMs, ...(lookbackMs !== undefined && { lookbackMs }) };
        return samplesOf((await options.queries.instant(options.tenant, asked, { signal })).value);
      },
    };
    const { rules, labels: groupLabels, queryOffsetMs = settings.queryOffsetMs } = group;
    const there = { query, rules, groupLabels, firstSlotMs: firstMs, intervalMs, queryOffsetMs };
    const begins = async (i: number, run: RuleRun) => {
      if (run.rule.kind !== 'alert') return;
      run.alerts = await storedAlerts(run.rule, there);
      tried[i]!.begin(run.alerts);
    };
    await replay.run(slots, {
      ...(request.continues === true && count > 0 && { begins }),
      evaluated: (i, run, context) => tried[i]!.note(run, context),
    });
    const [first, last] = count === 0 ? [] : [firstMs, firstMs + (count - 1) * intervalMs];
    const shown = tried.map((each) => each.shown());
    return { name: group.name, intervalMs, firstMs: first, lastMs: last, evaluations: count, rules: shown };
  } catch (thrown) {
    options.signal.throwIfAborted();
    throw ended.signal.aborted ? queryErrors.queryTimedOut({ limitMs: timeoutMs }) : thrown;
  } finally {
    ended.cancel();
  }
}

interface TriedAlert extends PreviewedAlert {
  before?: PreviewedAlert['before'];
  readonly changes: AlertChange[];
}

/** A rule, and what its evaluations gave so far. */
class TriedRule {
  readonly #rule: Rule;
  readonly #budget: QueryBudget;
  readonly #alerts = new Map<string, TriedAlert>();
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

  /** Takes down the alerts that there are before the first evaluation. */
  begin(alerts: Alerts): void {
    this.#before = alerts;
    for (const { labels, state, activeAtMs } of alerts.values()) this.#alert(labels).before = { state, activeAtMs };
  }

  #alert(labels: Labels): TriedAlert {
    return getOrMake(this.#alerts, labels.key, () => {
      this.#budget.addMemory(SERIES_BYTES + labels.key.length * 2);
      return { labels: labels.pairs, changes: [] };
    });
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
    for (const { key } of written.labels()) {
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
    this.#alert(labels).changes.push({ timeMs, state, value, annotations: state === 'inactive' ? [] : annotations });
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
