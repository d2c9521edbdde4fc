import type { RuleGroupState } from '../contract/rules.ts';
import type { Logger } from '../kit/observe/log.ts';
import { isLate } from '../kit/service/loops.ts';
import type { Clock } from '../lib/clock.ts';
import { maskSecrets } from '../lib/mask.ts';
import type { Semaphore } from '../lib/semaphore.ts';
import { isActive } from './alert.ts';
import { type AlertStateRow, GroupLostError, restoreKept } from './alert-state.ts';
import { GroupRun, type RuleRun } from './group-run.ts';
import type { RulerMetrics } from './metrics.ts';
import type { PushSink } from './push-sink.ts';
import { RuleWriteError } from './push-sink.ts';
import { restoreFromSeries } from './restore.ts';
import type { Rule } from './rule-file.ts';
import { type GroupQuery, RuleQueryError } from './rule-query.ts';
import type { SourcedGroup } from './rule-source.ts';
import { Slots } from './slots.ts';

/** Settings of a tenant that hold for an evaluation. */
export interface EvaluationSettings {
  readonly queryOffsetMs: number;
  readonly externalLabels: ReadonlyMap<string, string>;
  readonly externalUrl: string;
}

export interface GroupLoopOptions {
  readonly tenant: string;
  readonly source: SourcedGroup;
  readonly intervalMs: number;
  readonly query: GroupQuery;
  readonly sink: PushSink;
  /** Undefined: the group has no alerts. */
  readonly state: AlertStateRow | undefined;
  /** Others may have the group too: whoever takes it over shuts them out. */
  readonly fences: boolean;
  readonly settings: () => Promise<EvaluationSettings>;
  /** Called after each evaluation, when all is written. */
  readonly evaluated: (loop: GroupLoop, slotMs: number) => Promise<void>;
  /** Another ruler has it now. */
  readonly lost: (loop: GroupLoop) => void;
  readonly atOnce: Semaphore;
  readonly toleranceMs: number;
  readonly graceMs: number;
  readonly metrics: RulerMetrics;
  readonly log: Logger;
  readonly clock: Clock;
}

/** A wait beyond so many intervals says that the clock went back. */
const INTERVALS_WAITED_MAX = 2;
/**
 * Groups wait for the next multiple of this, and of at most this share of their interval, so that those of one tenant ask and write
 * together. They are evaluated for their slot all the same.
 */
const TICK_MS = 1000;
const TICKS_MIN = 50;

/** A group's evaluations, as one of the loops of the ruler. */
export interface GroupHealth {
  readonly group: string;
  readonly intervalMs: number;
  readonly iterations: number;
  /** Evaluations that could not be made; rules that fail are told by the rules. */
  readonly failures: number;
  readonly error: string | undefined;
  readonly evaluatedAtMs: number | undefined;
  readonly evaluationMs: number;
  readonly late: boolean;
}

/** A group that is evaluated at its slots until it is stopped. */
export class GroupLoop {
  readonly options: GroupLoopOptions;
  readonly run: GroupRun;
  readonly slots: Slots;
  readonly #labels: { readonly user: string; readonly rule_group: string };
  readonly #stopping = new AbortController();
  #before: GroupLoop | undefined;
  #loop: Promise<void> = Promise.resolve();
  #evaluatedAtMs: number | undefined;
  #evaluationMs = 0;
  /** The slot of the last evaluation; undefined: none has ended. */
  #lastSlotMs: number | undefined;
  #iterations = 0;
  #failures = 0;
  /** Text of the last evaluation's failure, without secrets. */
  #error: string | undefined;
  readonly #madeMs: number;

  constructor(options: GroupLoopOptions) {
    const { tenant, source, intervalMs, state } = options;
    const { file, group } = source;
    this.options = options;
    this.#madeMs = options.clock.nowMs();
    this.slots = new Slots(file, group.name, intervalMs, group.alignsToInterval);
    this.#labels = { user: tenant, rule_group: `${file};${group.name}` };
    const keeper = state === undefined ? undefined : { keep: (rules: readonly RuleRun[], slotMs: number) => this.#keep(state, rules, slotMs) }; // biome-ignore format: wraps badly
    this.run = new GroupRun(group, options.sink, keeper);
  }

  /** @param before the group as it was until now, whose state it takes over */
  start(before?: GroupLoop): void {
    this.#before = before;
    if (before !== undefined) {
      this.#evaluatedAtMs = before.#evaluatedAtMs;
      this.#evaluationMs = before.#evaluationMs;
    }
    this.options.metrics.interval.set(this.#labels, this.options.intervalMs / 1000);
    this.options.metrics.rules.set(this.#labels, this.run.rules.length);
    this.#loop = this.#repeat();
  }

  /** Resolves when the evaluation under way has ended. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopping'));
    await this.#loop;
  }

  /** Ends the series of a group that is gone. */
  async endSeries(nowMs: number): Promise<void> {
    const { queryOffsetMs } = await this.options.settings();
    const stale = this.run.rules.flatMap(({ written }) => [...written.labels()]);
    const offsetMs = this.run.group.queryOffsetMs ?? queryOffsetMs;
    await this.options.sink.append(nowMs - offsetMs, [{ samples: [], stale: [...stale, ...this.run.staleSeries] }]);
  }

  forgetMetrics(): void {
    const { metrics } = this.options;
    for (const each of [
      metrics.evaluations,
      metrics.iterations,
      metrics.missed,
      metrics.interval,
      metrics.lastDuration,
      metrics.lastRuleDurationSum,
      metrics.lastRestoreDuration,
      metrics.lastEvaluation,
      metrics.lastSamples,
      metrics.rules,
    ]) {
      each.remove(this.#labels);
    }
    for (const reason of ['user', 'operator']) metrics.failures.remove({ ...this.#labels, reason });
  }

  get health(): GroupHealth {
    const { clock, intervalMs } = this.options;
    const sinceMs = clock.nowMs() - (this.#evaluatedAtMs ?? this.#madeMs);
    return {
      group: this.#labels.rule_group,
      intervalMs,
      iterations: this.#iterations,
      failures: this.#failures,
      error: this.#error,
      evaluatedAtMs: this.#evaluatedAtMs,
      evaluationMs: this.#evaluationMs,
      late: isLate(sinceMs, intervalMs),
    };
  }

  /** Sends the alerts as if they had not been sent before. */
  async resend(): Promise<void> {
    // the first evaluation sends them anyway
    if (this.#lastSlotMs === undefined) return;
    for (const { sent } of this.run.rules) sent.clear();
    await this.options.evaluated(this, this.#lastSlotMs);
  }

  get state(): RuleGroupState {
    const { source, intervalMs } = this.options;
    return groupState(source, intervalMs, this.run.rules, this.#evaluationMs, this.#evaluatedAtMs);
  }

  async #repeat(): Promise<void> {
    const { log } = this.options;
    const { signal } = this.#stopping;
    try {
      const isKnown = await this.#take();
      await this.#evaluateAtSlots(isKnown);
    } catch (thrown) {
      if (signal.aborted) return;
      if (!(thrown instanceof GroupLostError)) throw thrown;
      this.options.metrics.lost.inc();
      log.warn({ ...this.#labels, error: thrown.message }, 'a group of rules is evaluated elsewhere now');
      this.options.lost(this);
    }
  }

  /** Takes over what the group had. @returns whether its alerts are as they were */
  async #take(): Promise<boolean> {
    const { state, fences, metrics, clock, log } = this.options;
    if (this.#before !== undefined) {
      const { options, run } = this.#before;
      this.run.copyState(run);
      if (state !== undefined && options.state !== state) await this.#untilTaken(() => state.take(fences));
      this.#before = undefined;
      return true;
    }
    if (state === undefined) return true;
    const startedMs = clock.monotonicMs();
    const kept = await this.#untilTaken(() => state.take(fences));
    if (kept !== undefined) restoreKept(this.run.rules, kept);
    metrics.lastRestoreDuration.set(this.#labels, (clock.monotonicMs() - startedMs) / 1000);
    const sent = kept?.flatMap(({ alerts }) => alerts).filter(({ state: each }) => each !== 'pending').length ?? 0;
    if (sent > 0) log.info({ ...this.#labels, alerts: sent }, 'took over a group: alerts of it may be sent once more');
    return kept !== undefined;
  }

  async #untilTaken<T>(take: () => Promise<T>): Promise<T | undefined> {
    const { clock, log, metrics } = this.options;
    for (let waitMs = 1000; ; waitMs = Math.min(30_000, waitMs * 2)) {
      try {
        return await take();
      } catch (thrown) {
        if (thrown instanceof GroupLostError) throw thrown;
        metrics.stateFailures.inc();
        const { message } = thrown as Error;
        log.warn({ ...this.#labels, error: message }, 'the state of a group cannot be read');
        // damaged state says nothing: alerts begin anew, or as their series tell
        if ((thrown as { facts?: { id: string } }).facts?.id === 'row-corrupt') return undefined;
        await clock.sleep(waitMs, this.#stopping.signal);
      }
    }
  }

  async #evaluateAtSlots(isKnown: boolean): Promise<void> {
    const { clock, intervalMs, metrics } = this.options;
    const { signal } = this.#stopping;
    for (const run of this.run.rules) run.restored = isKnown;
    let slotMs = this.slots.at(clock.nowMs()) + intervalMs;
    for (let evaluations = 0; ; evaluations++) {
      slotMs = await this.#slotReached(slotMs);
      if (evaluations > 0) {
        const missed = Math.floor((clock.nowMs() - slotMs) / intervalMs);
        if (missed > 0) {
          metrics.missed.inc(this.#labels, missed);
          metrics.iterations.inc(this.#labels, missed);
          slotMs += missed * intervalMs;
        }
      }
      await this.options.atOnce.run(() => this.#tryEvaluate(slotMs), signal);
      if (evaluations === 1 && !isKnown) await this.#restore();
      slotMs += intervalMs;
    }
  }

  async #slotReached(wantedMs: number): Promise<number> {
    const { clock, intervalMs } = this.options;
    const tickMs = Math.max(1, Math.min(TICK_MS, Math.floor(intervalMs / TICKS_MIN)));
    for (let slotMs = wantedMs; ; ) {
      const waitMs = Math.ceil(slotMs / tickMs) * tickMs - clock.nowMs();
      if (waitMs <= 0) return slotMs;
      if (waitMs > INTERVALS_WAITED_MAX * intervalMs) slotMs = this.slots.at(clock.nowMs()) + intervalMs;
      else await clock.sleep(waitMs, this.#stopping.signal);
    }
  }

  async #tryEvaluate(slotMs: number): Promise<void> {
    try {
      await this.#evaluate(slotMs);
      this.#error = undefined;
    } catch (thrown) {
      if (thrown instanceof GroupLostError) throw thrown;
      this.#failures++;
      this.#error = maskSecrets((thrown as Error).message);
      this.options.log.error({ ...this.#labels, error: (thrown as Error).message }, 'a group could not be evaluated');
    }
  }

  async #evaluate(slotMs: number): Promise<void> {
    const { clock, metrics, query } = this.options;
    const startedMs = clock.monotonicMs();
    this.#evaluatedAtMs = clock.nowMs();
    const settings = await this.options.settings();
    metrics.iterations.inc(this.#labels);
    this.#iterations++;
    await this.run.evaluate({
      ...settings,
      query,
      slotMs,
      nowMs: () => clock.nowMs(),
      monotonicMs: () => clock.monotonicMs(),
    });
    this.#evaluationMs = clock.monotonicMs() - startedMs;
    this.#count(slotMs);
    this.#lastSlotMs = slotMs;
    await this.options.evaluated(this, slotMs);
  }

  #count(slotMs: number): void {
    const { metrics } = this.options;
    let samples = 0;
    let ruleMs = 0;
    for (const { lastError, evaluationMs, samples: written } of this.run.rules) {
      samples += written;
      ruleMs += evaluationMs;
      metrics.evaluationSeconds.observe(evaluationMs / 1000);
      if (lastError !== undefined) metrics.failures.inc({ ...this.#labels, reason: reasonOf(lastError) });
    }
    metrics.evaluations.inc(this.#labels, this.run.rules.length);
    metrics.groupSeconds.observe(this.#evaluationMs / 1000);
    metrics.lastDuration.set(this.#labels, this.#evaluationMs / 1000);
    metrics.lastRuleDurationSum.set(this.#labels, ruleMs / 1000);
    metrics.lastEvaluation.set(this.#labels, slotMs / 1000);
    metrics.lastSamples.set(this.#labels, samples);
  }

  /** After the second evaluation, so that all alerts that there are have been found. */
  async #restore(): Promise<void> {
    const { clock, query, toleranceMs, graceMs, log } = this.options;
    const groupLabels = this.run.group.labels;
    for (const run of this.run.rules) {
      try {
        await restoreFromSeries(run, clock.nowMs(), { query, toleranceMs, graceMs, groupLabels });
      } catch (thrown) {
        const error = (thrown as Error).message;
        log.warn({ ...this.#labels, rule: run.rule.name, error }, 'alerts could not be restored from their series');
      }
      run.restored = true;
    }
    this.run.changed();
  }

  /** A store that is away keeps no alert from being sent: it is told, and the state is kept with the next evaluation. */
  async #keep(state: AlertStateRow, rules: readonly RuleRun[], slotMs: number): Promise<boolean> {
    const { metrics, log } = this.options;
    const before = state.writes;
    try {
      await state.keep(rules, slotMs);
      return true;
    } catch (thrown) {
      if (thrown instanceof GroupLostError) throw thrown;
      metrics.stateFailures.inc();
      log.warn({ ...this.#labels, error: (thrown as Error).message }, 'the state of a group could not be kept');
      return false;
    } finally {
      metrics.stateWrites.inc(state.writes - before);
    }
  }
}

/** Whose fault it is that a rule failed. */
function reasonOf(error: Error): 'user' | 'operator' {
  if (error instanceof RuleQueryError || error instanceof RuleWriteError) return error.isUsers ? 'user' : 'operator';
  return 'user';
}

export function groupState(
  { file, group }: SourcedGroup,
  intervalMs: number,
  rules: readonly RuleRun[],
  evaluationMs: number,
  evaluatedAtMs: number | undefined,
): RuleGroupState {
  return {
    name: group.name,
    file,
    intervalMs,
    limit: group.limit,
    evaluationMs,
    evaluatedAtMs,
    rules: rules.map((run) => ruleState(run, group.labels)),
  };
}

function ruleState(run: RuleRun, groupLabels: ReadonlyMap<string, string>): RuleGroupState['rules'][number] {
  const { rule } = run;
  return {
    kind: rule.kind,
    name: rule.name,
    query: run.query,
    labels: pairsOf(new Map([...groupLabels, ...rule.labels])),
    annotations: rule.kind === 'alert' ? pairsOf(rule.annotations) : [],
    forMs: forOf(rule, 'forMs'),
    keepFiringForMs: forOf(rule, 'keepFiringForMs'),
    health: run.health,
    lastError: run.lastError?.message,
    evaluationMs: run.evaluationMs,
    evaluatedAtMs: run.evaluatedAtMs,
    alerts: [...run.alerts.values()].filter(isActive).map((alert) => ({
      labels: alert.labels.pairs,
      annotations: alert.annotations,
      state: alert.state === 'firing' ? 'firing' : 'pending',
      activeAtMs: alert.activeAtMs,
      keepFiringSinceMs: alert.keepFiringSinceMs,
      value: alert.value,
    })),
  };
}

function forOf(rule: Rule, key: 'forMs' | 'keepFiringForMs'): number {
  return rule.kind === 'alert' ? rule[key] : 0;
}

function pairsOf(labels: ReadonlyMap<string, string>): string[] {
  return [...labels].sort(([a], [b]) => (a < b ? -1 : 1)).flat();
}
