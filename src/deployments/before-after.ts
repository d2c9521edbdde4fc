import type { QueryRunner } from '../contract/query.ts';
import { DAY_MS } from '../lib/day.ts';
import { changeOf, countingNoise, type Measure, type MeasureKind, type Statistic } from './measure.ts';
import type { Spans } from './spans.ts';

const MINUTE_MS = 60_000;
/** Earlier days that say how much the same change differs anyway; with fewer than the least, the last day does. */
const DAYS_MAX = 7;
const DAYS_MIN = 3;
/** Spans of the last day that stand for days. */
const SLIDES_MAX = 24;
/** No change is surer than this. */
const NOISE_MIN = 0.02;
const EVENTS_MIN = 30;
/** A change is shown from this score and size on. */
const SCORE_MIN = 4;
const CHANGE_MIN = 0.05;
/** Labels with more values are not broken down by. */
const VALUES_MAX = 50;
/** Labels that one measure is broken down by. */
const LABELS_MAX = 4;

/** A measure's change over a deployment, for the whole service or one value of a label. */
export interface Finding {
  readonly measure: string;
  readonly kind: MeasureKind;
  readonly statistic: Statistic;
  /** name, value of the part; empty: the whole service. */
  readonly part: readonly string[];
  readonly before: number;
  readonly after: number;
  /** A log ratio of rates and latencies, a difference of shares. */
  readonly change: number;
  readonly score: number;
  readonly verdict: 'worse' | 'better' | 'changed';
}

export interface BeforeAfter extends Spans {
  /** The spans that say what changes anyway: those of earlier days, or of the last day where there are too few. */
  readonly reference: 'days' | 'last-day';
  /** How many there were. */
  readonly references: number;
  /** Findings, the worst first; empty: nothing stands out. */
  readonly findings: readonly Finding[];
  /** Measures, parts included, that were compared, and those that had too few events. */
  readonly compared: number;
  readonly tooFew: number;
}

export interface BeforeAfterOptions {
  readonly runner: QueryRunner;
  readonly tenant: string;
  readonly measures: readonly Measure[];
  readonly spans: Spans;
}

/**
 * Compares a service after a deployment with before, each change with the same change at the same time of earlier days.
 *
 * @throws AppError
 */
export async function compareBeforeAfter(options: BeforeAfterOptions, signal: AbortSignal): Promise<BeforeAfter> {
  const comparing = new Comparing(options, signal);
  for (const measure of options.measures) await comparing.compare(measure);
  return comparing.result();
}

interface Point {
  readonly value: number;
  readonly events: number;
}

class Comparing {
  readonly #options: BeforeAfterOptions;
  readonly #signal: AbortSignal;
  readonly #findings: Finding[] = [];
  /** Answers by expression and time: measures of one family share their events. */
  readonly #answers = new Map<string, Map<string, number>>();
  #reference: BeforeAfter['reference'] = 'days';
  #references = 0;
  /** Parts that were compared, by measure and label. */
  readonly #parts = new Map<string, number>();
  #compared = 0;
  #tooFew = 0;

  constructor(options: BeforeAfterOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  result(): BeforeAfter {
    const rank = { worse: 0, better: 1, changed: 2 };
    const weights = new Map(this.#findings.map((finding) => [finding, this.#weight(finding)]));
    const findings = this.#findings.sort(
      (a, b) => rank[a.verdict] - rank[b.verdict] || weights.get(b)! - weights.get(a)!,
    );
    const [reference, references] = [this.#reference, this.#references];
    return { ...this.#options.spans, reference, references, findings, compared: this.#compared, tooFew: this.#tooFew };
  }

  /** The score by which a finding is sorted: where most parts changed with the whole, the whole comes before them. */
  #weight({ measure, part, score, verdict }: Finding): number {
    if (part.length > 0) return Math.abs(score);
    const parts = this.#findings.filter((other) => other.measure === measure && other.verdict === verdict);
    const byLabel = Map.groupBy(
      parts.filter((other) => other.part.length > 0),
      (other) => other.part[0]!,
    );
    let weight = Math.abs(score);
    for (const [label, own] of byLabel) {
      const compared = this.#parts.get(`${measure} ${label}`) ?? 0;
      if (own.length * 2 < compared) continue;
      for (const other of own) weight = Math.max(weight, Math.abs(other.score) * (1 + Number.EPSILON));
    }
    return weight;
  }

  async compare(measure: Measure): Promise<void> {
    const hasWhole = await this.#compareBy(measure, []);
    if (!hasWhole) return;
    let labels = 0;
    for (const label of measure.labels) {
      if (labels < LABELS_MAX && (await this.#compareBy(measure, [label]))) labels++;
    }
  }

  /** @returns whether there was anything to compare */
  async #compareBy(measure: Measure, by: readonly string[]): Promise<boolean> {
    const { beforeEndMs, afterEndMs } = this.#options.spans;
    const after = await this.#at(measure, by, afterEndMs);
    // a label that nothing has, or too much
    if (after.size === 0 || after.size > VALUES_MAX || (by.length > 0 && after.size < 2)) return false;
    const before = await this.#at(measure, by, beforeEndMs);
    if (before.size === 0) return false;
    const references = await this.#changesBefore(measure, by);
    if (by.length > 0) this.#parts.set(`${measure.name} ${by[0]}`, after.size);
    for (const [part, now] of after) {
      const then = before.get(part);
      if (then !== undefined) this.#judge(measure, part, then, now, references.get(part) ?? []);
    }
    return true;
  }

  #judge(measure: Measure, part: string, before: Point, after: Point, references: readonly number[]): void {
    const { statistic, kind } = measure;
    this.#compared++;
    if (measure.events !== undefined && Math.min(before.events, after.events) < EVENTS_MIN) {
      this.#tooFew++;
      return;
    }
    const change = changeOf(statistic, before.value, after.value);
    if (Number.isNaN(change)) return;
    const usual = references.length === 0 ? 0 : median(references);
    const spread = references.length === 0 ? 0 : median(references.map((one) => Math.abs(one - usual)));
    const noise = measure.events === undefined ? 0 : countingNoise(statistic, before, after);
    const score = (change - usual) / Math.max(1.48 * spread, NOISE_MIN, noise);
    if (Math.abs(score) < SCORE_MIN || Math.abs(change) < CHANGE_MIN) return;
    const verdict = kind === 'traffic' ? 'changed' : score > 0 ? 'worse' : 'better';
    this.#findings.push({
      measure: measure.name,
      kind,
      statistic,
      part: part === '' ? [] : JSON.parse(part),
      before: before.value,
      after: after.value,
      change,
      score,
      verdict,
    });
  }

  /** The same change on earlier days, by part; of the last day's spans where there are too few days. */
  async #changesBefore(measure: Measure, by: readonly string[]): Promise<Map<string, number[]>> {
    const { spanMs, beforeEndMs, afterEndMs } = this.#options.spans;
    const days = Array.from({ length: DAYS_MAX }, (_, i) => (i + 1) * DAY_MS);
    const ofDays = await this.#changes(measure, by, days);
    const most = Math.max(0, ...[...ofDays.values()].map((changes) => changes.length));
    if (most >= DAYS_MIN) {
      this.#references = Math.max(this.#references, most);
      return ofDays;
    }
    this.#reference = 'last-day';
    // both spans are to end before the roll-out begins
    const firstMs = afterEndMs - beforeEndMs;
    const stepMs = Math.max(spanMs / 2, Math.ceil((DAY_MS - firstMs) / SLIDES_MAX / MINUTE_MS) * MINUTE_MS);
    const slides: number[] = [];
    for (let backMs = firstMs; backMs <= Math.max(firstMs, DAY_MS); backMs += stepMs) slides.push(backMs);
    const ofSlides = await this.#changes(measure, by, slides);
    this.#references = Math.max(this.#references, ...[...ofSlides.values()].map((changes) => changes.length));
    return ofSlides;
  }

  async #changes(measure: Measure, by: readonly string[], backs: readonly number[]): Promise<Map<string, number[]>> {
    const { beforeEndMs, afterEndMs } = this.#options.spans;
    const changes = new Map<string, number[]>();
    for (const backMs of backs) {
      const after = await this.#at(measure, by, afterEndMs - backMs);
      if (after.size === 0) continue;
      const before = await this.#at(measure, by, beforeEndMs - backMs);
      for (const [part, { value }] of after) {
        const then = before.get(part);
        if (then === undefined) continue;
        const change = changeOf(measure.statistic, then.value, value);
        if (Number.isNaN(change)) continue;
        const known = changes.get(part);
        if (known === undefined) changes.set(part, [change]);
        else known.push(change);
      }
    }
    return changes;
  }

  /** Values and events of a span's end, by part. */
  async #at(measure: Measure, by: readonly string[], timeMs: number): Promise<Map<string, Point>> {
    const span = `${this.#options.spans.spanMs / 1000}s`;
    const values = await this.#ask(measure.value(by, span), timeMs);
    const events = measure.events === undefined ? undefined : await this.#ask(measure.events(by, span), timeMs);
    const points = new Map<string, Point>();
    for (const [part, value] of values) points.set(part, { value, events: events?.get(part) ?? 0 });
    return points;
  }

  async #ask(expr: string, timeMs: number): Promise<Map<string, number>> {
    const key = `${timeMs} ${expr}`;
    const known = this.#answers.get(key);
    if (known !== undefined) return known;
    const { runner, tenant } = this.#options;
    const { value } = await runner.instant(tenant, { expr, timeMs }, { signal: this.#signal });
    const answer = new Map<string, number>();
    if (value.type === 'vector') {
      for (const [i, pairs] of value.pairs.entries()) {
        const one = value.values[i]!;
        if (!Number.isNaN(one)) answer.set(pairs.length === 0 ? '' : JSON.stringify(pairs), one);
      }
    }
    this.#answers.set(key, answer);
    return answer;
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
