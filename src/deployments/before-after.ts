import type { QueryRunner } from '../contract/query.ts';
import { DAY_MS } from '../lib/day.ts';
import { type Finding, findingOf, hasEvents, median, NOISE_MIN, type Point, pointsAt, ranked } from './finding.ts';
import { changeOf, countingNoise, type Measure } from './measure.ts';
import type { Spans } from './spans.ts';

const MINUTE_MS = 60_000;
/** Earlier days that say how much the same change differs anyway; with fewer than the least, the last day does. */
const DAYS_MAX = 7;
const DAYS_MIN = 3;
/** Spans of the last day that stand for days. */
const SLIDES_MAX = 24;
/** Labels with more values are not broken down by. */
const VALUES_MAX = 50;
/** Labels that one measure is broken down by. */
const LABELS_MAX = 4;

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
    const findings = ranked(this.#findings, this.#parts);
    const [reference, references] = [this.#reference, this.#references];
    return { ...this.#options.spans, reference, references, findings, compared: this.#compared, tooFew: this.#tooFew };
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
    this.#compared++;
    if (!hasEvents(measure, before, after)) {
      this.#tooFew++;
      return;
    }
    const usual = references.length === 0 ? 0 : median(references);
    const spread = references.length === 0 ? 0 : median(references.map((one) => Math.abs(one - usual)));
    const noise = measure.events === undefined ? 0 : countingNoise(measure.statistic, before, after);
    const finding = findingOf(measure, part, before, after, usual, Math.max(1.48 * spread, NOISE_MIN, noise));
    if (finding !== undefined) this.#findings.push(finding);
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
    const { runner, tenant, spans } = this.#options;
    const span = `${spans.spanMs / 1000}s`;
    return pointsAt({ runner, tenant, answers: this.#answers, signal: this.#signal }, measure, by, span, timeMs);
  }
}
