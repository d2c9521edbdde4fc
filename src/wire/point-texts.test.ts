import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../lib/random.ts';
import { formatApiValue } from './api-json.ts';
import { writePointTexts } from './point-texts.ts';
import { formatTimestamp } from './timestamp-text.ts';

function texts(times: Float64Array, values: Float64Array): string {
  const parts: string[] = [];
  writePointTexts(times, values, (bytes) => parts.push(Buffer.from(bytes).toString('latin1')));
  return parts.join('');
}

function expected(times: Float64Array, values: Float64Array): string {
  return Array.from(values, (value, i) => `[${formatTimestamp(times[i]!)},"${formatApiValue(value)}"]`).join(',');
}

function check(values: Float64Array, startMs = 1_795_333_938_646): void {
  const times = Float64Array.from(values, (_, i) => startMs + i * 15_000);
  assert.equal(texts(times, values), expected(times, values));
}

test('values where the form changes', () => {
  const some = [
    0,
    1,
    5e-324,
    Number.MAX_VALUE,
    2 ** 53,
    2 ** 63,
    1e20,
    1e21,
    1e22,
    1e23,
    123456e15,
    1e-5,
    1e-6,
    1e-7,
    0.3,
  ];
  const more = [9.5e-7, 1.5e300, 2 ** -1022, Number.EPSILON, 4.35, 100, 1e15, 1 / 3, 2 / 3, Infinity];
  const powers = Array.from({ length: 2098 }, (_, i) => 2 ** (i - 1074)).filter(Number.isFinite);
  const tens = Array.from({ length: 632 }, (_, i) => Number(`1e${i - 323}`));
  const all = [...some, ...more, ...powers, ...tens];
  check(Float64Array.from([...all, ...all.map((x) => -x), Number.NaN]));
});

test('any bits, decimals and quotients, as JavaScript prints them', () => {
  const random = seededRandom(5);
  const words = Uint32Array.from({ length: 200_000 }, () => random() * 2 ** 32);
  check(new Float64Array(words.buffer));
  check(Float64Array.from({ length: 50_000 }, () => Math.round(random() * 1e6) / 10 ** Math.floor(random() * 9)));
  check(Float64Array.from({ length: 50_000 }, () => random() * 10 ** Math.floor(random() * 30 - 10)));
});

test('other times than before, before 1970, and shorter than before', () => {
  const values = Float64Array.from({ length: 9 }, (_, i) => i / 8);
  check(values, -62_135_596_800_001);
  check(values.subarray(0, 3), 0);
  check(values, 0);
});
