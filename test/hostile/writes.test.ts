import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { encodeRemoteWrite1, encodeRemoteWrite2 } from '../../src/wire/remote-write-encode.ts';
import { deflateSnappy } from '../../src/wire/snappy.ts';
import { WriteSamples, type WriteSeries } from '../../src/wire/write-request.ts';
import { Pallium } from '../harness/pallium.ts';
import { push } from '../harness/remote-write.ts';
import { hex, repeatedBlock } from './bodies.ts';
import { withVictim } from './victim.ts';

// Writes that are built to hurt others than their sender.

const MIB = 1024 * 1024;
const V2 = { 'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request' };
const HOUR_MS = 3_600_000;

let server: Pallium;
before(async () => {
  server = await Pallium.start();
});
after(() => server[Symbol.asyncDispose]());

function attackerPush(body: Uint8Array, headers: Record<string, string> = {}) {
  return push(`${server.url}/api/v1/push`, body, { 'x-scope-orgid': 'attacker', ...headers });
}

/** Sends the same body several times at once, and expects to be refused each time. */
async function refused(body: Uint8Array, headers: Record<string, string> = {}, times = 4): Promise<void> {
  const answers = await Promise.all(Array.from({ length: times }, () => attackerPush(body, headers)));
  for (const { status, text } of answers) {
    assert.ok(status >= 400 && status < 500, `${status} ${text}`);
    assert.ok(text.length < 1_000, `a text of ${text.length} characters`);
  }
}

function seriesOf(pairs: readonly string[], samples: readonly number[], exemplars: WriteSeries['exemplars'] = []) {
  return {
    pairs,
    labelsFault: undefined,
    samples: WriteSamples.of(samples.map((timeMs) => ({ timeMs, value: 1 }))),
    histograms: [],
    exemplars,
  };
}

/** Labels of 54 KB, within the limits. */
const WIDE = ['__name__', 'x', ...Array.from({ length: 27 }, (_, i) => [`l${10 + i}`, 'v'.repeat(2_000)]).flat()];

const BOMBS: readonly (readonly [name: string, unit: string, headers?: Record<string, string>])[] = [
  ['empty series', '0a00'],
  ['empty metadata', '1a00'],
  ['metadata of a name', '1a05 12016122 00'],
  ['series of an empty label', '0a04 0a02 0a00'],
  ['series of one label', '0a08 0a06 0a0161 120162'],
  ['series of an empty exemplar', '0a02 1a00'],
  ['series of an empty histogram', '0a02 2200'],
  ['exemplars of one label', '0a0a 1a08 0a06 0a0161 120162'],
  ['unknown fields', '3a00'],
  ['empty series of 2.0', '2a00', V2],
  ['empty symbols', '2200', V2],
  ['series of an empty histogram in 2.0', '2a02 1a00', V2],
  ['series of an empty exemplar in 2.0', '2a02 2200', V2],
];

for (const [name, unit, headers] of BOMBS) {
  test(`inflates to 32 MiB of ${name}`, async () => {
    const body = repeatedBlock(hex(unit), 31.9 * MIB);
    await withVictim(server, async () => {
      const answers = await Promise.all(Array.from({ length: 4 }, () => attackerPush(body, headers)));
      for (const { status, text } of answers) assert.ok(status < 500 && text.length < 1_000, `${status} ${text}`);
    });
  });
}

test('inflates to 4 MiB of small series without a name, again and again', async () => {
  const body = repeatedBlock(hex('0a14 0a0a 0a0161 120562626262 62 1206 09000000'), 4 * MIB);
  await withVictim(server, () => refused(body, {}, 16));
});

test('75,000 exemplars of one series with wide labels', async () => {
  const now = Date.now();
  const exemplars = Array.from({ length: 75_000 }, (_, i) => ({
    pairs: [],
    labelsFault: undefined,
    value: i,
    timeMs: now - 200_000 + i,
  }));
  const body = deflateSnappy(encodeRemoteWrite1({ series: [seriesOf(WIDE, [now], exemplars)], metadata: [] }));
  await withVictim(server, async () => {
    const { status, text } = await attackerPush(body);
    assert.ok(status < 500, `${status} ${text}`);
  });
});

test('samples of the future of a series with wide labels', async () => {
  const future = Date.now() + 24 * HOUR_MS;
  const times = Array.from({ length: 20_000 }, (_, i) => future + i);
  await withVictim(server, () =>
    refused(deflateSnappy(encodeRemoteWrite1({ series: [seriesOf(WIDE, times)], metadata: [] }))),
  );
});

test('samples out of order of a series with wide labels', async () => {
  const now = Date.now();
  const times = Array.from({ length: 20_000 }, (_, i) => now - 30_000 - i);
  await withVictim(server, () =>
    refused(deflateSnappy(encodeRemoteWrite1({ series: [seriesOf(WIDE, times)], metadata: [] }))),
  );
});

test('symbols of remote write 2.0 that are named again and again', async () => {
  const now = Date.now();
  const series = Array.from({ length: 20_000 }, (_, i) => seriesOf([...WIDE, 'z', String(10_000 + i)], [now]));
  await withVictim(server, () => refused(deflateSnappy(encodeRemoteWrite2({ series, metadata: [] })), V2, 2));
});

test('a sample in each of 4,095 old windows', async () => {
  const now = Date.now();
  const times = Array.from({ length: 4_095 }, (_, i) => now - 72 * HOUR_MS - (4_095 - i) * 2 * HOUR_MS);
  await withVictim(server, async () => {
    const { status } = await attackerPush(
      deflateSnappy(encodeRemoteWrite1({ series: [seriesOf(['__name__', 'old'], times)], metadata: [] })),
    );
    assert.equal(status, 400);
  });
  // another tenant can still begin a window that is nobody's yet
  const other = await push(
    `${server.url}/api/v1/push`,
    deflateSnappy(encodeRemoteWrite1({ series: [seriesOf(['__name__', 'late'], [now - 20 * HOUR_MS])], metadata: [] })),
    { 'x-scope-orgid': 'late' },
  );
  assert.equal(other.status, 204, other.text);
});

test('a sample in each week since 1970', async () => {
  const weekMs = 7 * 24 * HOUR_MS;
  const times = Array.from({ length: 2_900 }, (_, i) => (i + 1) * weekMs + HOUR_MS);
  await withVictim(server, () =>
    refused(
      deflateSnappy(encodeRemoteWrite1({ series: [seriesOf(['__name__', 'weeks'], times)], metadata: [] })),
      {},
      1,
    ),
  );
});

test('metadata as large as it may be, in many requests', async () => {
  await withVictim(server, async () => {
    for (let request = 0; request < 4; request++) {
      const metadata = Array.from({ length: 8_000 }, (_, i) => ({
        metric: `m${request}_${i}_`.padEnd(1_000, 'x'),
        type: 'counter',
        help: 'h'.repeat(1_000),
        unit: 'u'.repeat(1_000),
      }));
      const { status, text } = await attackerPush(deflateSnappy(encodeRemoteWrite1({ series: [], metadata })));
      assert.ok(status < 500, `${status} ${text.slice(0, 300)}`);
    }
  });
});
