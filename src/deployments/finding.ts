import type { QueryRunner } from '../contract/query.ts';
import { changeOf, type Measure, type MeasureKind, type Statistic } from './measure.ts';

/** No change is surer than this. */
export const NOISE_MIN = 0.02;
const EVENTS_MIN = 30;
/** A change is shown from this score and size on. */
const SCORE_MIN = 4;
const CHANGE_MIN = 0.05;

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

/** A measure's value over a span, and the events that it stands on. */
export interface Point {
  readonly value: number;
  readonly events: number;
}

/** Whether a measure stands on enough events on both sides. */
export function hasEvents({ events }: Measure, before: Point, after: Point): boolean {
  return events === undefined || Math.min(before.events, after.events) >= EVENTS_MIN;
}

/** The change from one point to another where it stands out. @param part as JSON, empty: the whole */
export function findingOf(
  { name, kind, statistic }: Measure,
  part: string,
  before: Point,
  after: Point,
  usual: number,
  noise: number,
): Finding | undefined {
  const change = changeOf(statistic, before.value, after.value);
  const score = (change - usual) / noise;
  // not so for NaN either: there is no ratio to nothing
  const isSeen = Math.abs(score) >= SCORE_MIN && Math.abs(change) >= CHANGE_MIN;
  if (!isSeen) return undefined;
  const verdict = kind === 'traffic' ? 'changed' : score > 0 ? 'worse' : 'better';
  return {
    measure: name,
    kind,
    statistic,
    part: part === '' ? [] : JSON.parse(part),
    before: before.value,
    after: after.value,
    change,
    score,
    verdict,
  };
}

/** Findings, the worst first. @param compared parts that were compared, by `measure label` */
export function ranked(findings: readonly Finding[], compared: ReadonlyMap<string, number>): Finding[] {
  const rank = { worse: 0, better: 1, changed: 2 };
  const weights = new Map(findings.map((finding) => [finding, weightOf(finding, findings, compared)]));
  return findings.toSorted((a, b) => rank[a.verdict] - rank[b.verdict] || weights.get(b)! - weights.get(a)!);
}

/** The score by which a finding is sorted: where most parts changed with the whole, the whole comes before them. */
function weightOf(
  { measure, part, score, verdict }: Finding,
  findings: readonly Finding[],
  compared: ReadonlyMap<string, number>,
): number {
  if (part.length > 0) return Math.abs(score);
  const parts = findings.filter((other) => other.measure === measure && other.verdict === verdict);
  const byLabel = Map.groupBy(
    parts.filter((other) => other.part.length > 0),
    (other) => other.part[0]!,
  );
  let weight = Math.abs(score);
  for (const [label, own] of byLabel) {
    if (own.length * 2 < (compared.get(`${measure} ${label}`) ?? 0)) continue;
    for (const other of own) weight = Math.max(weight, Math.abs(other.score) * (1 + Number.EPSILON));
  }
  return weight;
}

export interface Asking {
  readonly runner: QueryRunner;
  readonly tenant: string;
  /** Answers by expression and time: measures of one family share their events. */
  readonly answers: Map<string, Map<string, number>>;
  readonly signal: AbortSignal;
}

/** Values and events of a measure over a span that ends at a time, by part. @throws AppError */
export async function pointsAt(
  asking: Asking,
  measure: Measure,
  by: readonly string[],
  span: string,
  timeMs: number,
): Promise<Map<string, Point>> {
  const values = await ask(asking, measure.value(by, span), timeMs);
  const events = measure.events === undefined ? undefined : await ask(asking, measure.events(by, span), timeMs);
  const points = new Map<string, Point>();
  for (const [part, value] of values) points.set(part, { value, events: events?.get(part) ?? 0 });
  return points;
}

async function ask({ runner, tenant, answers, signal }: Asking, expr: string, timeMs: number) {
  const key = `${timeMs} ${expr}`;
  const known = answers.get(key);
  if (known !== undefined) return known;
  const { value } = await runner.instant(tenant, { expr, timeMs }, { signal });
  const answer = new Map<string, number>();
  if (value.type === 'vector') {
    for (const [i, pairs] of value.pairs.entries()) {
      const one = value.values[i]!;
      if (!Number.isNaN(one)) answer.set(pairs.length === 0 ? '' : JSON.stringify(pairs), one);
    }
  }
  answers.set(key, answer);
  return answer;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
