import type { Labels } from '../model/labels.ts';
import type { Alerts } from './alert.ts';
import {
  AlertLimitError,
  type EvaluationContext,
  evaluateAlerting,
  evaluateRecording,
  type RuleSample,
} from './evaluate.ts';
import type { Rule, RuleGroup } from './rule-file.ts';

/** Takes what rules write. */
export interface RuleSink {
  /**
   * @param stale series that ended
   * @returns samples that were refused, each with the reason; the others were taken
   */
  append(timeMs: number, samples: readonly RuleSample[], stale: readonly Labels[]): Promise<readonly Refusal[]>;
}

export interface Refusal {
  readonly labels: Labels;
  readonly error: Error;
}

/** A rule of a group that runs, and what its evaluations left. */
export interface RuleRun {
  readonly rule: Rule;
  /** The alerts of an alerting rule. */
  alerts: Alerts;
  /** Series that its last good evaluation wrote, by the key of the labels. */
  written: ReadonlyMap<string, Labels>;
  health: 'unknown' | 'ok' | 'err';
  lastError: Error | undefined;
}

export type GroupContext = Omit<EvaluationContext, 'queryOffsetMs' | 'limit' | 'groupLabels'>;

/** A group whose rules are evaluated one after the other, slot by slot. */
export class GroupRun {
  readonly group: RuleGroup;
  readonly rules: readonly RuleRun[];
  readonly #sink: RuleSink;

  constructor(group: RuleGroup, sink: RuleSink) {
    this.group = group;
    this.#sink = sink;
    this.rules = group.rules.map((rule) => ({
      rule,
      alerts: new Map(),
      written: new Map(),
      health: 'unknown',
      lastError: undefined,
    }));
  }

  /** A rule that fails does not keep the others from being evaluated. */
  async evaluate(context: GroupContext): Promise<void> {
    const { queryOffsetMs = 0, limit, labels: groupLabels } = this.group;
    const full: EvaluationContext = { ...context, queryOffsetMs, limit, groupLabels };
    for (const run of this.rules) {
      try {
        await this.#evaluate(run, full);
        run.health = 'ok';
        run.lastError = undefined;
      } catch (thrown) {
        run.health = 'err';
        run.lastError = thrown instanceof Error ? thrown : new Error(String(thrown));
        if (thrown instanceof AlertLimitError) run.alerts = new Map();
      }
    }
  }

  async #evaluate(run: RuleRun, context: EvaluationContext): Promise<void> {
    const samples = await this.#samplesOf(run, context);
    const written = new Map(samples.map(({ labels }) => [labels.key, labels]));
    const ended = [...run.written].filter(([key]) => !written.has(key)).map(([, labels]) => labels);
    const refused = await this.#sink.append(context.slotMs - context.queryOffsetMs, samples, ended);
    for (const { labels } of refused) written.delete(labels.key);
    run.written = written;
    const last = refused.at(-1);
    if (last !== undefined) throw last.error;
  }

  async #samplesOf(run: RuleRun, context: EvaluationContext): Promise<readonly RuleSample[]> {
    if (run.rule.kind === 'record') return evaluateRecording(run.rule, context);
    const { alerts, samples } = await evaluateAlerting(run.rule, run.alerts, context);
    run.alerts = alerts;
    return samples;
  }
}
