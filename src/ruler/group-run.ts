import type { Labels } from '../model/labels.ts';
import { parseExpr } from '../promql/parser/parser.ts';
import { printExpr } from '../promql/parser/printer.ts';
import type { Alert, Alerts } from './alert.ts';
import { independentBatches, readsAlerts } from './dependencies.ts';
import {
  AlertLimitError,
  type EvaluationContext,
  evaluateAlerting,
  evaluatePacked,
  evaluateRecording,
  type NamedLabels,
  type RecordedFloats,
  type RuleSample,
} from './evaluate.ts';
import { endedSeries, type RecordedSeries, WrittenLabels, type WrittenSeries } from './recorded-series.ts';
import type { Rule, RuleGroup } from './rule-file.ts';

/** Takes what rules write. */
export interface RuleSink {
  /** @returns for each of the writes the samples that were refused; its others were taken */
  append(timeMs: number, writes: readonly RuleWrite[]): Promise<readonly (readonly Refusal[])[]>;
}

/** Series that a rule writes at one time. */
export interface RuleWrite {
  readonly samples: readonly RuleSample[];
  /** Further ones; only where the group's query packs its answers. */
  readonly recorded?: RecordedFloats | undefined;
  /** Series that ended. */
  readonly stale: readonly Labels[];
}

export interface Refusal {
  /** Undefined: which samples they were is not known. */
  readonly labels: Labels | undefined;
  readonly error: Error;
}

/** Keeps the state of alerts beyond the process. */
export interface AlertKeeper {
  /**
   * Called before anything of an evaluation that changed a state or a time is written.
   * @returns whether it is kept; else it is asked again with the next evaluation
   * @throws GroupLostError where another ruler has the group
   */
  keep(rules: readonly RuleRun[], slotMs: number): Promise<boolean>;
}

/** A rule of a group that runs, and what its evaluations left. */
export interface RuleRun {
  readonly rule: Rule;
  /** Its expression in Prometheus' own spelling. */
  readonly query: string;
  /** The alerts of an alerting rule. */
  alerts: Alerts;
  /** Slot at which each alert was last sent, by its key. */
  sent: Map<string, number>;
  /** Series that its last good evaluation wrote. */
  written: WrittenSeries;
  /** Labels that a recording rule made of those of its results. */
  readonly named: NamedLabels;
  /** Those of its last answer, where it was packed. */
  recorded: RecordedSeries | undefined;
  /** Its alerts are as they were before a start, as far as that is known: until then it writes no series of them. */
  restored: boolean;
  health: 'unknown' | 'ok' | 'err';
  lastError: Error | undefined;
  /** Wall clock, Unix ms, of its last evaluation; undefined: none yet. */
  evaluatedAtMs: number | undefined;
  evaluationMs: number;
  /** Samples that its last evaluation wrote, stale ones included. */
  samples: number;
}

export type GroupContext = Omit<EvaluationContext, 'queryOffsetMs' | 'limit' | 'groupLabels'> & {
  /** Age of the data where the group says nothing. */
  readonly queryOffsetMs?: number;
  readonly monotonicMs?: () => number;
};

/** A rule's evaluation, of which nothing is written yet. */
interface Outcome {
  readonly run: RuleRun;
  readonly result: RecordedFloats | readonly RuleSample[];
}

/** A group whose rules are evaluated in their order, those that do not depend on each other side by side, slot by slot. */
export class GroupRun {
  readonly group: RuleGroup;
  readonly rules: readonly RuleRun[];
  /** Series of rules that are gone, which end with the next evaluation. */
  staleSeries: Labels[] = [];
  readonly #sink: RuleSink;
  readonly #keeper: AlertKeeper | undefined;
  readonly #batches: readonly (readonly RuleRun[])[];
  readonly #readsAlerts: ReadonlySet<RuleRun>;
  /** An evaluation changed a state or a time, and that is not kept yet. */
  #changed = false;

  constructor(group: RuleGroup, sink: RuleSink, keeper?: AlertKeeper) {
    this.group = group;
    this.#sink = sink;
    this.#keeper = keeper;
    this.rules = group.rules.map((rule) => ({
      rule,
      query: printExpr(parseExpr(rule.expr, EVERY_EXTENSION)),
      alerts: new Map(),
      sent: new Map(),
      written: WrittenLabels.none,
      named: { of: [], labels: [] },
      recorded: undefined,
      restored: true,
      health: 'unknown',
      lastError: undefined,
      evaluatedAtMs: undefined,
      evaluationMs: 0,
      samples: 0,
    }));
    this.#batches = independentBatches(group.rules, EVERY_EXTENSION).map((batch) => batch.map((i) => this.rules[i]!));
    this.#readsAlerts = new Set(this.rules.filter(({ rule }) => readsAlerts(rule.expr, EVERY_EXTENSION)));
  }

  /**
   * A rule that fails does not keep the others from being evaluated. Alerts are kept before their series are written.
   * @throws what the keeper throws
   */
  async evaluate(context: GroupContext): Promise<void> {
    const { limit, labels: groupLabels } = this.group;
    const queryOffsetMs = this.group.queryOffsetMs ?? context.queryOffsetMs ?? 0;
    const full: EvaluationContext = { ...context, queryOffsetMs, limit, groupLabels };
    const sampleMs = full.slotMs - queryOffsetMs;
    let held: Outcome[] = [];
    for (const batch of this.#batches) {
      if (held.length > 0 && batch.some((run) => this.#readsAlerts.has(run))) {
        await this.#commit(held, full.slotMs, sampleMs);
        held = [];
      }
      const outcomes = await Promise.all(batch.map((run) => this.#evaluate(run, full, context.monotonicMs)));
      const done = outcomes.filter((outcome) => outcome !== undefined);
      await this.#write(
        done.filter(({ run }) => run.rule.kind === 'record'),
        sampleMs,
      );
      held.push(...done.filter(({ run }) => run.rule.kind === 'alert'));
    }
    await this.#commit(held, full.slotMs, sampleMs);
    if (this.staleSeries.length === 0) return;
    const stale = this.staleSeries;
    this.staleSeries = [];
    await this.#sink.append(sampleMs, [{ samples: [], stale }]);
  }

  /** Takes over what rules of the same name and labels have left, the first from the first. */
  copyState(from: Pick<GroupRun, 'rules' | 'staleSeries'>): void {
    const left = new Map<string, RuleRun[]>();
    for (const run of from.rules) {
      const key = ruleIdentity(run.rule);
      const same = left.get(key);
      if (same === undefined) left.set(key, [run]);
      else same.push(run);
    }
    for (const run of this.rules) {
      const before = left.get(ruleIdentity(run.rule))?.shift();
      if (before === undefined) continue;
      run.written = before.written;
      if (run.rule.kind !== 'alert' || before.rule.kind !== 'alert') continue;
      run.alerts = before.alerts;
      run.sent = before.sent;
      run.restored = before.restored;
    }
    this.staleSeries = [...from.staleSeries];
    for (const runs of left.values()) for (const { written } of runs) this.staleSeries.push(...written.labels());
    // what is kept has the pages of the group as it was
    this.#changed = true;
  }

  /** The state that is kept is to be written anew with the next evaluation. */
  changed(): void {
    this.#changed = true;
  }

  async #evaluate(
    run: RuleRun,
    context: EvaluationContext,
    monotonicMs: (() => number) | undefined,
  ): Promise<Outcome | undefined> {
    run.evaluatedAtMs = context.nowMs();
    const startedMs = monotonicMs?.() ?? 0;
    try {
      return { run, result: await this.#resultOf(run, context) };
    } catch (thrown) {
      run.health = 'err';
      run.lastError = thrown instanceof Error ? thrown : new Error(String(thrown));
      run.samples = 0;
      if (thrown instanceof AlertLimitError) this.#setAlerts(run, new Map());
      return undefined;
    } finally {
      run.evaluationMs = (monotonicMs?.() ?? 0) - startedMs;
    }
  }

  async #resultOf(run: RuleRun, context: EvaluationContext): Promise<Outcome['result']> {
    if (run.rule.kind === 'record') {
      if (context.query.packed === undefined) return evaluateRecording(run.rule, context, run.named);
      const result = await evaluatePacked(run.rule, context, run.recorded);
      run.recorded = 'series' in result ? result.series : undefined;
      return result;
    }
    const { alerts, samples } = await evaluateAlerting(run.rule, run.alerts, context);
    this.#setAlerts(run, alerts);
    return run.restored ? samples : [];
  }

  #setAlerts(run: RuleRun, alerts: Alerts): void {
    this.#changed ||= hasChanged(run.alerts, alerts);
    for (const key of run.sent.keys()) {
      const after = alerts.get(key);
      // one that fires again is another alert: it is sent at once, and not with the next resend
      const isNew = run.alerts.get(key)?.state === 'inactive' && after?.state !== 'inactive';
      if (after === undefined || isNew) run.sent.delete(key);
    }
    run.alerts = alerts;
  }

  async #commit(held: readonly Outcome[], slotMs: number, sampleMs: number): Promise<void> {
    if (this.#changed) {
      this.#changed = (await this.#keeper?.keep(this.rules, slotMs)) === false;
    }
    await this.#write(held, sampleMs);
  }

  async #write(outcomes: readonly Outcome[], timeMs: number): Promise<void> {
    const writes = outcomes.map(({ run, result }) => {
      if ('series' in result) {
        const { series } = result;
        return { run, samples: [], recorded: result, stale: endedSeries(run.written, series), written: series };
      }
      const written = isWritten(run.written, result)
        ? run.written
        : new WrittenLabels(result.map((each) => each.labels));
      return { run, samples: result, recorded: undefined, stale: endedSeries(run.written, written), written };
    });
    const isEmpty = writes.every((write) => samplesIn(write) === 0);
    const refusals = isEmpty ? [] : await this.#sink.append(timeMs, writes);
    for (const [i, write] of writes.entries()) {
      const refused = refusals[i] ?? [];
      const { run, written } = write;
      run.written = refused.length === 0 ? written : without(written, refused);
      run.samples = samplesIn(write);
      run.lastError = refused.at(-1)?.error;
      run.health = run.lastError === undefined ? 'ok' : 'err';
    }
  }
}

/** Whether the samples are of the very series that were written the last time. */
function isWritten(written: WrittenSeries, samples: readonly RuleSample[]): boolean {
  if (written.size !== samples.length) return false;
  let i = 0;
  for (const labels of written.labels()) if (labels !== samples[i++]!.labels) return false;
  return true;
}

function samplesIn({ samples, recorded, stale }: RuleWrite): number {
  return samples.length + (recorded?.series.size ?? 0) + stale.length;
}

function without(written: WrittenSeries, refused: readonly Refusal[]): WrittenSeries {
  const keys = new Set(refused.flatMap(({ labels }) => (labels === undefined ? [] : [labels.key])));
  if (keys.size === 0) return written;
  return new WrittenLabels([...written.labels()].filter(({ key }) => !keys.has(key)));
}

/** Every extension of the language: whether one may be used was judged when the rules were read. */
export const EVERY_EXTENSION = {
  experimentalFunctions: true,
  extendedRangeSelectors: true,
  binopFillModifiers: true,
  unquotedUtf8Names: true,
};

/** Name and own labels, as state is handed on by them. */
export function ruleIdentity({ name, labels }: Rule): string {
  return JSON.stringify([name, ...[...labels].sort(([a], [b]) => (a < b ? -1 : 1))]);
}

/** Whether a state or a time differs, or alerts came or went. */
function hasChanged(before: Alerts, after: Alerts): boolean {
  if (before.size !== after.size) return true;
  for (const [key, alert] of after) {
    const old = before.get(key);
    if (old !== alert && (old === undefined || !isSameState(old, alert))) return true;
  }
  return false;
}

/** Whether only value and texts differ. */
export function isSameState(a: Alert, b: Alert): boolean {
  return (
    a.state === b.state &&
    a.activeAtMs === b.activeAtMs &&
    a.firedAtMs === b.firedAtMs &&
    a.keepFiringSinceMs === b.keepFiringSinceMs &&
    a.resolvedAtMs === b.resolvedAtMs
  );
}
