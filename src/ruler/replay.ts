import type { QueryRunner } from '../contract/query.ts';
import type { Pacer } from '../lib/pacer.ts';
import { rulerErrors } from '../model/errors-ruler.ts';
import type { Queryable, QueryBudget } from '../storage/queryable.ts';
import { metricsReadWithin, readsBackwards } from './dependencies.ts';
import type { EvaluationContext, RuleQuery } from './evaluate.ts';
import { EVERY_EXTENSION, GroupRun, type RuleRun, type RuleWrite } from './group-run.ts';
import { dependsOnRange, RangeRuleQuery, STEPS_MAX } from './range-rule-query.ts';
import { RecordedSource } from './recorded-source.ts';
import type { Rule, RuleGroup } from './rule-file.ts';
import { Slots } from './slots.ts';

/** Places that a replay reads from, and what it may use. */
export interface ReplaySources {
  readonly tenant: string;
  /** Evaluates over what is stored. */
  readonly queries: QueryRunner;
  readonly stored: Queryable;
  /** Evaluates over something else. */
  readonly over: (queryable: Queryable) => QueryRunner;
  /** Counts what the replay holds. */
  readonly budget: QueryBudget;
  readonly pacer: Pacer;
  readonly signal: AbortSignal;
}

/** Settings that a group is evaluated with, where it says nothing itself. */
export interface ReplaySettings {
  readonly queryOffsetMs: number;
  readonly externalLabels: Readonly<Record<string, string>>;
  readonly externalUrl: string;
  /** Samples that all expressions may give together. */
  readonly samplesMax: number;
}

/** Told of a replay as it goes on. */
export interface ReplayObserver {
  /** A rule is evaluated next for the first time, by its index in the group: it may be given alerts to begin with. */
  begins?(rule: number, run: RuleRun): Promise<void>;
  /** Series that the rules would write at a time. */
  wrote?(timeMs: number, writes: readonly RuleWrite[]): void;
  /** A rule was evaluated, by its index in the group. */
  evaluated(rule: number, run: RuleRun, context: EvaluationContext): Promise<void> | void;
}

/** Slots of a group, ascending: `count` of them from `firstMs`. */
export interface SlotRange {
  readonly firstMs: number;
  readonly count: number;
  readonly intervalMs: number;
}

/** The slots of a group in a range of time, both ends inclusive. */
export function slotsBetween(
  file: string,
  { name, alignsToInterval }: RuleGroup,
  intervalMs: number,
  startMs: number,
  endMs: number,
): SlotRange {
  const beforeMs = new Slots(file, name, intervalMs, alignsToInterval).at(startMs);
  const firstMs = beforeMs < startMs ? beforeMs + intervalMs : beforeMs;
  return { firstMs, intervalMs, count: Math.max(0, Math.floor((endMs - firstMs) / intervalMs) + 1) };
}

/** Rough size of a sample that is held. */
const RECORDED_BYTES = 24;

/**
 * Evaluates a group of rules over the past, by the code that a ruler runs. It begins without state, and what its rules record stands
 * in the place of what is stored under their names. Annotations are not expanded: who wants them asks when an alert changes.
 */
export class Replay {
  /** Whether range queries give what evaluations one by one would. */
  readonly inRanges: boolean;
  readonly #group: RuleGroup;
  /** Metrics that the group writes and reads. */
  readonly #names: readonly string[];
  readonly #sources: ReplaySources;
  readonly #settings: ReplaySettings;
  readonly #externalLabels: ReadonlyMap<string, string>;
  #samples = 0;

  constructor(group: RuleGroup, sources: ReplaySources, settings: ReplaySettings) {
    this.#group = { ...group, rules: group.rules.map(withoutAnnotations) };
    this.#names = metricsReadWithin(group.rules, EVERY_EXTENSION);
    this.#sources = sources;
    this.#settings = settings;
    this.#externalLabels = new Map(Object.entries(settings.externalLabels));
    this.inRanges =
      !readsBackwards(group.rules, EVERY_EXTENSION) && !group.rules.some(({ expr }) => dependsOnRange(expr));
  }

  /** @throws AppError where a limit of the whole is exceeded, and what ends the signal */
  async run(slots: SlotRange, observer: ReplayObserver): Promise<void> {
    const { tenant, stored, queries, over, budget, signal } = this.#sources;
    const recorded = new RecordedSource(stored, this.#names, slots.firstMs - this.#queryOffsetMs);
    const runner = this.#names.length === 0 ? queries : over(recorded);
    const query = new RangeRuleQuery({ runner, tenant, stepMs: slots.intervalMs, budget, signal });
    const sink = {
      append: async (timeMs: number, writes: readonly RuleWrite[]) => {
        for (const { samples, stale } of writes) {
          budget.addMemory(recorded.append(timeMs, samples, stale) * RECORDED_BYTES);
        }
        observer.wrote?.(timeMs, writes);
        return [];
      },
    };
    const runOf = (rules: RuleGroup['rules']) => new GroupRun({ ...this.#group, rules }, sink);
    if (this.inRanges) await this.#ruleByRule(slots, observer, query, runOf);
    else await this.#slotBySlot(slots, observer, query, runOf(this.#group.rules));
  }

  /** None of the rules needs what a later one writes. */
  async #ruleByRule(
    { firstMs, count, intervalMs }: SlotRange,
    observer: ReplayObserver,
    query: RangeRuleQuery,
    runOf: (rules: RuleGroup['rules']) => GroupRun,
  ): Promise<void> {
    const { rules } = this.#group;
    const runs = rules.map((rule) => runOf([rule]));
    const sampleMs = firstMs - this.#queryOffsetMs;
    for (const [i, run] of runs.entries()) await observer.begins?.(i, run.rules[0]!);
    for (let from = 0; from < count; from += STEPS_MAX) {
      const to = Math.min(count, from + STEPS_MAX) - 1;
      for (const [i, run] of runs.entries()) {
        await query.prepare(rules[i]!.expr, sampleMs + from * intervalMs, sampleMs + to * intervalMs);
        for (let slot = from; slot <= to; slot++) {
          query.step(sampleMs + slot * intervalMs);
          const context = await this.#evaluate(run, query, firstMs + slot * intervalMs);
          await observer.evaluated(i, run.rules[0]!, context);
        }
        query.end();
      }
    }
  }

  async #slotBySlot(
    { firstMs, count, intervalMs }: SlotRange,
    observer: ReplayObserver,
    query: RangeRuleQuery,
    run: GroupRun,
  ): Promise<void> {
    for (const [i, rule] of run.rules.entries()) await observer.begins?.(i, rule);
    for (let slot = 0; slot < count; slot++) {
      const context = await this.#evaluate(run, query, firstMs + slot * intervalMs);
      for (const [i, rule] of run.rules.entries()) await observer.evaluated(i, rule, context);
    }
  }

  async #evaluate(run: GroupRun, query: RuleQuery, slotMs: number): Promise<EvaluationContext> {
    const { externalUrl, samplesMax } = this.#settings;
    const context: EvaluationContext = {
      query: {
        instant: async (expr, timeMs) => {
          const samples = await query.instant(expr, timeMs);
          this.#samples += samples.length;
          return samples;
        },
      },
      slotMs,
      queryOffsetMs: this.#queryOffsetMs,
      limit: this.#group.limit,
      groupLabels: this.#group.labels,
      externalLabels: this.#externalLabels,
      externalUrl,
      nowMs: () => slotMs,
    };
    await run.evaluate(context);
    const { signal, pacer } = this.#sources;
    signal.throwIfAborted();
    if (this.#samples > samplesMax) throw rulerErrors.rulePreviewTooLarge({ limit: samplesMax });
    await pacer.step();
    return context;
  }

  get #queryOffsetMs(): number {
    return this.#group.queryOffsetMs ?? this.#settings.queryOffsetMs;
  }
}

const NO_ANNOTATIONS: ReadonlyMap<string, string> = new Map();

function withoutAnnotations(rule: Rule): Rule {
  return rule.kind === 'alert' ? { ...rule, annotations: NO_ANNOTATIONS } : rule;
}
