import type { QueryRunner } from '../contract/query.ts';
import {
  type Asking,
  type Finding,
  findingOf,
  hasEvents,
  median,
  NOISE_MIN,
  type Point,
  pointsAt,
  ranked,
} from './finding.ts';
import { changeOf, countingNoise, type Measure } from './measure.ts';
import { INSTANCES_MAX, isBoth, type Sides } from './sides.ts';

const MINUTE_MS = 60_000;
/** Lengths that are compared, the longest first. */
const SPANS_MS = [30 * MINUTE_MS, 15 * MINUTE_MS, 10 * MINUTE_MS, 5 * MINUTE_MS] as const;
/** An instance is cold for a while. */
const SETTLE_MS = 5 * MINUTE_MS;
/** Instances of one side whose differences say how much instances differ anyway. */
const PEERS_MIN = 3;
/** Where neither side has so many, only large differences are told. */
const NOISE_OF_FEW = 0.05;
/** Labels with more values are not broken down by; labels that one measure is broken down by. */
const VALUES_MAX = 50;
const LABELS_MAX = 4;

/** New against old instances of a service, over the same span. */
export interface SideBySide {
  readonly spanMs: number;
  /** End of the span, Unix ms. */
  readonly endMs: number;
  /** Instances that ran the new version, and another one, all through the span. */
  readonly newer: number;
  readonly older: number;
  /** Findings, the worst first; empty: nothing stands out. `before` is the old version, `after` the new one. */
  readonly findings: readonly Finding[];
  /** Measures, parts included, that were compared, and those that had too few events. */
  readonly compared: number;
  readonly tooFew: number;
}

export interface SideBySideOptions {
  readonly runner: QueryRunner;
  readonly tenant: string;
  /** Measures of some instances of the service. */
  readonly measuresOf: (instances: readonly string[]) => readonly Measure[];
  /** Which instances run which version, at a time. */
  readonly sidesAt: (timeMs: number) => Promise<Sides>;
  readonly beginMs: number;
  /** End of the time that both versions run, or now. */
  readonly endMs: number;
}

/**
 * Compares instances of the new version with those of the old one while both run: the time of day, and what callers do, is the
 * same for both. Undefined: no instances of both ran long enough.
 *
 * @throws AppError
 */
export async function compareSideBySide(
  options: SideBySideOptions,
  signal: AbortSignal,
): Promise<SideBySide | undefined> {
  const chosen = await chooseSpan(options);
  if (chosen === undefined) return undefined;
  const comparing = new Comparing(options, chosen, signal);
  const [newer, older] = [chosen.sides.newer, chosen.sides.older].map((side) => options.measuresOf(side));
  for (const [i, measure] of older!.entries()) await comparing.compare(measure, newer![i]!);
  return comparing.result();
}

interface Chosen {
  readonly spanMs: number;
  readonly sides: Sides;
}

/** The span with most of instances and time; of both sides those that ran all through it, cold minutes before it. */
async function chooseSpan({ sidesAt, beginMs, endMs }: SideBySideOptions): Promise<Chosen | undefined> {
  const atEnd = await sidesAt(endMs);
  if (!isBoth(atEnd)) return undefined;
  let best: Chosen | undefined;
  let most = 0;
  for (const spanMs of SPANS_MS) {
    const firstMs = endMs - spanMs - SETTLE_MS;
    if (firstMs < beginMs) continue;
    const atFirst = await sidesAt(firstMs);
    const both = (side: keyof Sides) => {
      const first = new Set(atFirst[side]);
      return atEnd[side].filter((name) => first.has(name)).slice(0, INSTANCES_MAX);
    };
    const sides: Sides = { newer: both('newer'), older: both('older') };
    const weight = Math.min(sides.newer.length, sides.older.length) * spanMs;
    if (weight > most) {
      most = weight;
      best = { spanMs, sides };
    }
  }
  return best;
}

class Comparing {
  readonly #asking: Asking;
  readonly #endMs: number;
  readonly #chosen: Chosen;
  readonly #findings: Finding[] = [];
  /** Parts that were compared, by measure and label. */
  readonly #parts = new Map<string, number>();
  #compared = 0;
  #tooFew = 0;

  constructor({ runner, tenant, endMs }: SideBySideOptions, chosen: Chosen, signal: AbortSignal) {
    this.#asking = { runner, tenant, answers: new Map(), signal };
    this.#endMs = endMs;
    this.#chosen = chosen;
  }

  result(): SideBySide {
    const { spanMs, sides } = this.#chosen;
    return {
      spanMs,
      endMs: this.#endMs,
      newer: sides.newer.length,
      older: sides.older.length,
      findings: ranked(this.#findings, this.#parts),
      compared: this.#compared,
      tooFew: this.#tooFew,
    };
  }

  /** The same measure of the old and of the new instances. */
  async compare(older: Measure, newer: Measure): Promise<void> {
    const [before, after] = await this.#both(older, newer, []);
    if (before.size === 0 || after.size === 0) return;
    const noise = await this.#noise(older, newer);
    this.#judge(older, before, after, noise);
    let labels = 0;
    for (const label of older.labels) {
      if (labels === LABELS_MAX) return;
      const [then, now] = await this.#both(older, newer, [label]);
      if (now.size < 2 || now.size > VALUES_MAX || then.size > VALUES_MAX) continue;
      labels++;
      this.#parts.set(`${older.name} ${label}`, now.size);
      this.#judge(older, then, now, noise);
    }
  }

  #judge(
    measure: Measure,
    before: ReadonlyMap<string, Point>,
    after: ReadonlyMap<string, Point>,
    spread: number,
  ): void {
    const { statistic } = measure;
    const { newer, older } = this.#chosen.sides;
    // traffic of a side is that of one instance
    const share = (point: Point, instances: number) =>
      statistic === 'rate' ? { ...point, value: point.value / instances } : point;
    for (const [part, point] of after) {
      const other = before.get(part);
      if (other === undefined) continue;
      this.#compared++;
      if (!hasEvents(measure, other, point)) {
        this.#tooFew++;
        continue;
      }
      const [then, now] = [share(other, older.length), share(point, newer.length)];
      const counting = measure.events === undefined ? 0 : countingNoise(statistic, then, now);
      const finding = findingOf(measure, part, then, now, 0, Math.max(Math.hypot(spread, counting), NOISE_MIN));
      if (finding !== undefined) this.#findings.push(finding);
    }
  }

  /** How far means of so many instances lie apart anyway: by how much those of one side differ from each other. */
  async #noise(older: Measure, newer: Measure): Promise<number> {
    const [before, after] = await this.#both(older, newer, ['instance']);
    const spreads = [before, after].flatMap((side) => {
      const values = [...side.values()].map(({ value }) => value);
      if (values.length < PEERS_MIN) return [];
      const middle = median(values);
      const changes = values.map((value) => Math.abs(changeOf(older.statistic, middle, value)));
      return [1.48 * median(changes.filter((change) => !Number.isNaN(change)))];
    });
    const found = Math.max(...spreads.filter((spread) => !Number.isNaN(spread)));
    if (found === Number.NEGATIVE_INFINITY) return NOISE_OF_FEW;
    const { sides } = this.#chosen;
    return found * Math.sqrt(1 / sides.newer.length + 1 / sides.older.length);
  }

  #both(older: Measure, newer: Measure, by: readonly string[]) {
    const span = `${this.#chosen.spanMs / 1000}s`;
    const points = (measure: Measure) => pointsAt(this.#asking, measure, by, span, this.#endMs);
    return Promise.all([points(older), points(newer)]);
  }
}
