import { type FloatHistogram, floatHistogram } from '../../src/model/histogram.ts';

// Histograms of the load are made from a number each, and told by it.

/** The sum of a number's histogram is so much more: no float sample has such a value. */
const SUM_SHIFT = 0.25;

export function histogramOf(value: number): FloatHistogram {
  const n = Math.floor(2 * value) + 1;
  return floatHistogram({
    zeroThreshold: 1e-128,
    zeroCount: 1,
    count: 4 * n + 2,
    sum: value + SUM_SHIFT,
    positiveSpans: [
      { offset: 0, length: 2 },
      { offset: 1 + (n % 3), length: 1 },
    ],
    positiveBuckets: [n, n + 1, 2 * n],
  });
}

/** The sum of a histogram; undefined: it is none that `histogramOf` makes. */
export function valueOfHistogram(found: FloatHistogram): number | undefined {
  const made = histogramOf(found.sum - SUM_SHIFT);
  const isSame =
    made.count === found.count &&
    made.zeroCount === found.zeroCount &&
    made.schema === found.schema &&
    filled(made) === filled(found);
  return isSame ? found.sum : undefined;
}

/** Buckets that are not empty, by their index: a histogram that names empty ones too is the same. */
function filled({ positiveSpans, positiveBuckets }: FloatHistogram): string {
  const found: string[] = [];
  let index = 0;
  let at = 0;
  for (const { offset, length } of positiveSpans) {
    index += offset;
    for (let i = 0; i < length; i++, index++) {
      const count = positiveBuckets[at++]!;
      if (count !== 0) found.push(`${index} ${count}`);
    }
  }
  return found.join();
}
