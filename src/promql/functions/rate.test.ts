import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Random, seededRandom } from '../../lib/random.ts';
import { Annotations } from '../annotations.ts';
import { ABSENT, Row } from '../row/row.ts';
import { SeriesSamples } from '../row/series-samples.ts';
import { Windows } from '../row/windows.ts';
import { changes, maxOverTime, minOverTime, resets } from './over-time.ts';
import { ExtremeRows, TransitionRows } from './over-time-rows.ts';
import { DELTA, INCREASE, RATE, type RateKind, RateTable, ResetIndex, rateOfWindow, rateRow, seconds } from './rate.ts';
import { NOTHING, Window, type WindowFunction } from './window.ts';

/** Rows made at once have to be, bit for bit, what each window gives alone. */

const POS = { start: 0, end: 0 };

for (const [name, kind] of Object.entries({ rate: RATE, increase: INCREASE, delta: DELTA })) {
  test(`rows of ${name} equal its windows`, () => {
    everySeries((samples, windows, rangeMs, row) => {
      const table = new RateTable(windows.steps, kind.perSecond ? seconds(rangeMs) : 1);
      table.find(windows, samples.floatTimes);
      const index = new ResetIndex();
      rateRow(samples.floatValues, samples.floats, windows, table, index, kind.counter, row);
      expectWindows(samples, windows, rangeMs, row, (window) => rateOfWindow(window, kind as RateKind));
    });
  });
}

for (const [name, sign, func] of [
  ['max_over_time', 1, maxOverTime],
  ['min_over_time', -1, minOverTime],
] as const) {
  test(`rows of ${name} equal its windows`, () => {
    everySeries((samples, windows, rangeMs, row) => {
      new ExtremeRows().row(samples.floatValues, samples.floats, windows, sign, row);
      expectWindows(samples, windows, rangeMs, row, func);
    });
  });
}

for (const [name, falls, func] of [
  ['changes', false, changes],
  ['resets', true, resets],
] as const) {
  test(`rows of ${name} equal its windows`, () => {
    everySeries((samples, windows, rangeMs, row) => {
      new TransitionRows().row(samples.floatValues, samples.floats, windows, falls, row);
      expectWindows(samples, windows, rangeMs, row, func);
    });
  });
}

function everySeries(run: (samples: SeriesSamples, windows: Windows, rangeMs: number, row: Row) => void): void {
  const random = seededRandom(4);
  for (let i = 0; i < 300; i++) {
    const samples = randomSamples(random);
    const steps = 1 + Math.floor(random() * 40);
    const rangeMs = 1000 + Math.floor(random() * 120_000);
    const windows = new Windows({
      steps,
      firstEndMs: Math.floor(random() * 60_000),
      stepMs: 1 + Math.floor(random() * 60_000),
      backMs: rangeMs,
      aheadMs: 0,
    });
    windows.find(samples.floatTimes, samples.floats);
    run(samples, windows, rangeMs, new Row(steps));
  }
}

/** A counter with resets, gaps, repeated values, and now and then what is no number. */
function randomSamples(random: Random): SeriesSamples {
  const samples = new SeriesSamples();
  const count = Math.floor(random() * 100);
  samples.floatTimes = new Float64Array(count);
  samples.floatValues = new Float64Array(count);
  samples.floats = count;
  let timeMs = 0;
  let value = random() < 0.5 ? 0 : random() * 1e9;
  for (let i = 0; i < count; i++) {
    timeMs += random() < 0.1 ? 200_000 : 5000 + Math.floor(random() * 20_000);
    const dice = random();
    if (dice < 0.08) value = random() * 5;
    else if (dice < 0.7) value += random() * 10;
    samples.floatTimes[i] = timeMs;
    samples.floatValues[i] = dice > 0.97 ? [Number.NaN, Infinity, -Infinity, -0][Math.floor(random() * 4)]! : value;
  }
  return samples;
}

function expectWindows(
  samples: SeriesSamples,
  windows: Windows,
  rangeMs: number,
  row: Row,
  evaluate: WindowFunction,
): void {
  const window = new Window({
    samples,
    annotations: new Annotations(),
    argPos: POS,
    argsPos: [POS],
    callPos: POS,
    rangeMs,
    lookbackMs: 300_000,
    anchored: false,
    smoothed: false,
  });
  let filled = 0;
  for (let step = 0; step < windows.steps; step++) {
    window.floatsFrom = windows.from[step]!;
    window.floatsTo = windows.to[step]!;
    window.endMs = windows.endMs(step);
    window.startMs = window.endMs - rangeMs;
    const answer = window.floats === 0 ? NOTHING : evaluate(window);
    if (answer === NOTHING) {
      assert.equal(row.present[step], ABSENT);
      continue;
    }
    filled++;
    assert.ok(Object.is(row.values[step], window.value), `step ${step}: ${row.values[step]}, not ${window.value}`);
  }
  assert.equal(row.filled, filled);
}
