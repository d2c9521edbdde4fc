import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../lib/random.ts';
import { floatHistogram, type ResetHint } from '../model/histogram.ts';
import { FLOAT, HISTOGRAM, SampleColumns, STALE, STALE_HISTOGRAM } from './columns.ts';
import { mergeColumns } from './merge-columns.ts';

type Sample = readonly [timeMs: number, what: number | ResetHint | 'stale' | 'stale histogram', more?: number];

/** Histograms are written by their hint, and told apart by their count. */
function columns(samples: readonly Sample[]): SampleColumns {
  const out = new SampleColumns(1);
  for (const [timeMs, what, more = 0] of samples) {
    if (typeof what === 'number') {
      out.pushFloat(timeMs, what);
      if (more !== 0) out.setStart(more);
    } else if (what === 'stale') out.pushStale(timeMs, STALE);
    else if (what === 'stale histogram') out.pushStale(timeMs, STALE_HISTOGRAM);
    else out.pushHistogram(timeMs, floatHistogram({ resetHint: what, count: more }));
  }
  return out;
}

function merged(...sources: (readonly Sample[])[]): Sample[] {
  const out = new SampleColumns(1);
  mergeColumns(sources.map(columns), Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, out);
  return Array.from({ length: out.count }, (_, i): Sample => {
    const kind = out.plain ? FLOAT : out.kinds[i]!;
    const timeMs = out.times[i]!;
    if (kind === HISTOGRAM) return [timeMs, out.histograms[i]!.resetHint, out.histograms[i]!.count];
    if (kind === FLOAT) {
      const startMs = out.hasStarts ? out.starts[i]! : 0;
      return startMs === 0 ? [timeMs, out.values[i]!] : [timeMs, out.values[i]!, startMs];
    }
    return [timeMs, kind === STALE ? 'stale' : 'stale histogram'];
  });
}

/** Both ways round, which must be the same. */
function both(a: readonly Sample[], b: readonly Sample[], want: readonly Sample[]): void {
  assert.deepEqual(merged(a, b), want);
  assert.deepEqual(merged(b, a), want);
}

test('of one time a histogram goes before its stale marker, both before floats, then what is larger', () => {
  both([[1, 'unknown', 5]], [[1, 7]], [[1, 'unknown', 5]]);
  both([[1, 'unknown', 5]], [[1, 'stale histogram']], [[1, 'unknown', 5]]);
  both([[1, 'stale histogram']], [[1, 7]], [[1, 'stale histogram']]);
  both([[1, 'unknown', 5]], [[1, 'unknown', 6]], [[1, 'unknown', 6]]);
  both([[1, 3]], [[1, 'stale']], [[1, 'stale']]);
  both([[1, -3]], [[1, 'stale']], [[1, -3]]);
  both([[1, 3, 100]], [[1, 3]], [[1, 3, 100]]);
});

test('a histogram that follows on one of another source does not know of a reset; a gauge is one all the same', () => {
  both(
    [
      [1, 'unknown', 1],
      [3, 'not_reset', 2],
      [4, 'not_reset', 3],
    ],
    [
      [2, 'unknown', 9],
      [5, 'not_reset', 9],
      [6, 'not_reset', 10],
    ],
    [
      [1, 'unknown', 1],
      [2, 'unknown', 9],
      [3, 'unknown', 2],
      [4, 'not_reset', 3],
      [5, 'unknown', 9],
      [6, 'not_reset', 10],
    ],
  );
  both(
    [
      [1, 'gauge', 1],
      [3, 'gauge', 2],
    ],
    [[2, 5]],
    [
      [1, 'gauge', 1],
      [2, 5],
      [3, 'gauge', 2],
    ],
  );
  // one after the other
  both(
    [[1, 'unknown', 1]],
    [[2, 'not_reset', 2]],
    [
      [1, 'unknown', 1],
      [2, 'unknown', 2],
    ],
  );
});

test('floats and stale markers of two sources in any order, as sample by sample', () => {
  const random = seededRandom(17);
  for (let round = 0; round < 300; round++) {
    // some that both have, as of a window that was flushed a moment ago, and some of each alone
    const all = Array.from({ length: 40 }, (_, i) => ({ timeMs: i * 10, value: [0, -0, 1, 2, Number.NaN][i % 5]! }));
    const lists = [0, 1].map(() => {
      const own: Sample[] = [];
      for (const { timeMs, value } of all) {
        const x = random();
        if (x < 0.2) continue;
        own.push([timeMs, round % 3 > 0 && x > 0.9 ? 'stale' : x > 0.8 ? value + 1 : value]);
      }
      return own;
    });
    const want = new Map<number, Sample>();
    for (const sample of lists.flat()) {
      const known = want.get(sample[0]);
      if (known === undefined || bitsOf(sample) > bitsOf(known)) want.set(sample[0], sample);
    }
    both(
      lists[0]!,
      lists[1]!,
      [...want.values()].sort((a, b) => a[0] - b[0]),
    );
  }
});

function bitsOf([, what]: Sample): bigint {
  if (what === 'stale') return 0x7ff0000000000002n;
  return new BigUint64Array(new Float64Array([Number(what)]).buffer)[0]!;
}
