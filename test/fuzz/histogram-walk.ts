import type { Random } from '../../src/lib/random.ts';
import { CUSTOM_BUCKETS_SCHEMA, type FloatHistogram, floatHistogram, type Span } from '../../src/model/histogram.ts';
import { type Histogram, toIntegerHistogram } from '../../src/model/histogram-integer.ts';

export interface HistogramWalkOptions {
  readonly buckets: 'exponential' | 'custom';
  /** Whole counts, sent as differences. */
  readonly integer: boolean;
  readonly gauge: boolean;
}

const BOUNDS: readonly (readonly number[])[] = [
  [0.1, 0.5, 1, 5],
  [0.1, 0.5, 1, 5],
  [0.1, 0.5, 1, 5],
  [0.1, 1, 5, 10],
  [-2, 0, 2],
  [],
];
const ZERO_THRESHOLDS = [0.001, 0.001, 0, 0.25, 1];

/**
 * A native histogram from one step to the next: observations come in; now and then it starts anew, gets coarser or finer buckets,
 * another zero bucket, other bounds.
 */
export class HistogramWalk {
  readonly #options: HistogramWalkOptions;
  #schema = 0;
  #bounds: readonly number[] = [];
  #zeroThreshold = 0;
  #zeroCount = 0;
  #sum = 0;
  #positive = new Map<number, number>();
  #negative = new Map<number, number>();

  constructor(options: HistogramWalkOptions, random: Random) {
    this.#options = options;
    this.#startAnew(random);
  }

  next(random: Random): Histogram | FloatHistogram {
    const { gauge, integer } = this.#options;
    const dice = random();
    if (dice < 0.02) this.#startAnew(random);
    else if (dice < 0.04) this.#coarsen();
    else if (dice < 0.05) this.#widenZero(random);
    if (gauge) this.#shrink(random);
    // at least one: of histograms that are equal but for their layout, it depends on the cuts between chunks whether they differ
    const observations = 1 + Math.floor(random() ** 2 * 8);
    for (let i = 0; i < observations; i++) this.#observe(random);
    const histogram = this.#histogram(random);
    return integer ? toIntegerHistogram(histogram) : histogram;
  }

  #startAnew(random: Random): void {
    const custom = this.#options.buckets === 'custom';
    this.#schema = custom ? CUSTOM_BUCKETS_SCHEMA : Math.floor(random() * 5) - 1;
    this.#bounds = custom ? pick(BOUNDS, random) : [];
    this.#zeroThreshold = custom ? 0 : pick(ZERO_THRESHOLDS, random);
    this.#zeroCount = 0;
    this.#sum = 0;
    this.#positive.clear();
    this.#negative.clear();
  }

  /** Half the resolution, as a client does it when there are too many buckets. */
  #coarsen(): void {
    if (this.#options.buckets === 'custom' || this.#schema <= -2) return;
    this.#schema--;
    this.#positive = halved(this.#positive);
    this.#negative = halved(this.#negative);
  }

  #widenZero(random: Random): void {
    if (this.#options.buckets === 'custom') return;
    this.#zeroThreshold = Math.max(this.#zeroThreshold, pick(ZERO_THRESHOLDS, random));
    for (const side of [this.#positive, this.#negative]) {
      for (const [index, count] of side) {
        if (2 ** (index * 2 ** -this.#schema) > this.#zeroThreshold) continue;
        this.#zeroCount += count;
        side.delete(index);
      }
    }
  }

  #shrink(random: Random): void {
    for (const side of [this.#positive, this.#negative]) {
      for (const [index, count] of side) {
        if (random() < 0.2) side.delete(index);
        else if (random() < 0.3) side.set(index, Math.floor(count / 2));
      }
    }
  }

  #observe(random: Random): void {
    const weight = this.#options.integer ? 1 + Math.floor(random() * 3) : (1 + Math.floor(random() * 40)) / 8;
    const dice = random();
    if (this.#options.buckets === 'custom') {
      const index = Math.floor(random() * (this.#bounds.length + 1));
      add(this.#positive, index, weight);
      this.#sum += weight * ((this.#bounds[index] ?? 12) - random() / 8);
    } else if (dice < 0.15) {
      this.#zeroCount += weight;
    } else {
      // around 1, and never within the zero bucket
      const index = Math.ceil((random() * 6 - (this.#zeroThreshold < 1 ? 2 : 0)) * 2 ** this.#schema) + 1;
      const value = 2 ** ((index - random()) * 2 ** -this.#schema);
      add(dice < 0.8 ? this.#positive : this.#negative, index, weight);
      this.#sum += (dice < 0.8 ? weight : -weight) * value;
    }
  }

  #histogram(random: Random): FloatHistogram {
    // other layouts of the same buckets: gaps may be spans of their own, or empty buckets
    const bridged = Math.floor(random() * 3);
    const [positiveSpans, positiveBuckets] = layout(this.#positive, bridged);
    const [negativeSpans, negativeBuckets] = layout(this.#negative, bridged);
    let count = this.#zeroCount;
    for (const side of [positiveBuckets, negativeBuckets]) for (const each of side) count += each;
    return floatHistogram({
      resetHint: this.#options.gauge ? 'gauge' : 'unknown',
      schema: this.#schema,
      zeroThreshold: this.#zeroThreshold,
      zeroCount: this.#zeroCount,
      count,
      sum: this.#sum,
      positiveSpans,
      positiveBuckets,
      negativeSpans,
      negativeBuckets,
      customValues: this.#bounds,
    });
  }
}

function add(side: Map<number, number>, index: number, weight: number): void {
  side.set(index, (side.get(index) ?? 0) + weight);
}

function halved(side: ReadonlyMap<number, number>): Map<number, number> {
  const out = new Map<number, number>();
  for (const [index, count] of side) add(out, Math.ceil(index / 2), count);
  return out;
}

/** Spans and counts; gaps of up to `bridged` buckets are filled with empty ones. */
function layout(side: ReadonlyMap<number, number>, bridged: number): [Span[], number[]] {
  const spans: Span[] = [];
  const counts: number[] = [];
  let end = 0;
  for (const [index, count] of [...side].sort(([a], [b]) => a - b)) {
    const gap = index - end;
    if (spans.length > 0 && gap <= bridged) {
      for (let i = 0; i < gap; i++) counts.push(0);
      const last = spans.at(-1)!;
      spans[spans.length - 1] = { offset: last.offset, length: last.length + gap + 1 };
    } else {
      spans.push({ offset: gap, length: 1 });
    }
    counts.push(count);
    end = index + 1;
  }
  return [spans, counts];
}

function pick<T>(from: readonly T[], random: Random): T {
  return from[Math.floor(random() * from.length)]!;
}
