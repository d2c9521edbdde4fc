import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Region } from '../chunk/region.ts';
import type { FrameLimits, FrameTarget } from '../contract/ingest.ts';
import { Edge } from '../distributor/edge.ts';
import { rewriteText } from '../distributor/rewrite.ts';
import { Head } from '../ingester/head/head.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { type Random, seededRandom } from '../lib/random.ts';
import { DEFAULT_LIMITS, type TenantLimits } from '../limits/limits.ts';
import { Relabelling } from '../limits/relabel.ts';
import { decodeLabels } from '../model/canonical.ts';
import { FRAME_KEY } from '../wire/frame-layout.ts';
import { FrameView } from '../wire/frames.ts';
import { encodeRemoteWrite1 } from '../wire/remote-write-encode.ts';
import { SliceView } from '../wire/slices.ts';
import { deflateSnappy } from '../wire/snappy.ts';
import { WriteSamples } from '../wire/write-request.ts';

// Edges that name series by their keys, and a head that forgets series meanwhile: as if labels had come every time.

const SECRET = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
const WINDOW_MS = 60_000;
const START_MS = 1_700_000_040_000;
const HEADERS = { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' };
const clock = new ManualClock(START_MS);
const OUT_BYTES = 1 << 20;

/** A head as a target; `arrived` counts frames with labels and with keys. */
class HeadTarget implements FrameTarget {
  readonly head: Head;
  readonly arrived = { labels: 0, keys: 0 };
  readonly #out: Region;

  constructor(secret?: Uint8Array) {
    this.head = new Head({ windowMs: WINDOW_MS, bytesMax: 1e9, secret });
    this.#out = new Region(this.head.kernel, OUT_BYTES);
  }

  async push({ tenant: id, frames, bytes, limits }: Parameters<FrameTarget['push']>[0]) {
    for (const view = new FrameView(new Uint8Array(frames, 0, bytes)); view.next(); ) {
      this.arrived[view.has(FRAME_KEY) ? 'keys' : 'labels']++;
    }
    const tenant = this.head.tenant(id) ?? this.head.addTenant(id);
    const result = this.head.ingest(tenant, new Uint8Array(frames, 0, bytes), limits as FrameLimits, false, () =>
      this.#commit(),
    );
    this.#commit();
    const { first } = result;
    const shown = first && { ...first, labels: first.labels.toString() };
    return { result: { ...result, first: shown }, frames, keysTaken: true };
  }

  async setMetadata() {
    return {};
  }

  #commit = () => this.head.kernel.exports.logTaken();

  /** Drops all chunks, and the series that have no sample from `idleBeforeMs` on. */
  drop(idleBeforeMs: number): void {
    const { exports } = this.head.kernel;
    const arenas = Array.from({ length: exports.arenaCount() + 1 }, (_, id) => id);
    for (const id of arenas) if (id > 0 && exports.arenaExists(id)) this.head.dropArena(id);
    this.head.dropIdle(0, exports.seriesTop(), idleBeforeMs, this.#commit);
  }

  /** `tenant labels` → chunks, as text. */
  held(): Map<string, string> {
    const { kernel } = this.head;
    const { exports } = kernel;
    const all = new Map<string, string>();
    for (let ref = 0; ref < exports.seriesTop(); ref++) {
      if (!exports.seriesIsLive(ref)) continue;
      const wrote = exports.exportSeries(ref, -1e15, 1e15, 0, false, this.#out.at, this.#out.bytes);
      const slice = kernel.u8.slice(this.#out.at, this.#out.at + wrote);
      for (const series = new SliceView(slice); series.next(); ) {
        const { labels, chunks } = series;
        const name = `${this.head.tenants[exports.seriesTenant(ref)]!.id} ${decodeLabels(labels, 0, labels.length)}`;
        assert.ok(!all.has(name), `${name} is there twice`);
        all.set(name, chunks.map(({ bytes }) => Buffer.from(bytes).toString('hex')).join());
      }
    }
    return all;
  }
}

function edgeOf(target: FrameTarget, secret?: Uint8Array): Edge {
  return new Edge({ clock, rawBytesMax: 1 << 22, seriesSecret: secret, targets: [target] });
}

/** Series that come again and again: some late, some with labels that not every limit lets through, some with changed bytes. */
function bodyOf(random: Random, round: number): Uint8Array {
  // most senders tell their series in the same order each time
  const first = random() < 0.6 ? Math.floor(random() * 60) : undefined;
  const series = Array.from({ length: 1 + Math.floor(random() * 40) }, (_, k) => {
    const i = first === undefined || random() < 0.05 ? Math.floor(random() * 60) : (first + k) % 60;
    const timeMs = START_MS + round * 1000 - (random() < 0.1 ? 5000 : 0) + (random() < 0.005 ? 1e9 : 0);
    const times = random() < 0.05 ? [] : random() < 0.1 ? [timeMs, timeMs + 1] : [timeMs];
    const name = i % 10 === 0 ? 'a_long_name' : 'name';
    return {
      pairs: ['__name__', `metric_${i % 4}`, 'instance', `${i}`, name, 'é'.repeat(i)],
      labelsFault: undefined,
      samples: WriteSamples.of(times.map((at) => ({ timeMs: at, value: random() }))),
      histograms: [],
      exemplars: [],
    };
  });
  const body = encodeRemoteWrite1({ series, metadata: [] });
  const changes = random() < 0.3 ? 1 + random() * 4 : 0;
  for (let i = 0; i < changes; i++) body[Math.floor(random() * body.length)] = Math.floor(random() * 256);
  return deflateSnappy(body);
}

const RULES: readonly Partial<TenantLimits>[] = [
  {},
  { dropLabels: ['i', 'code'] },
  {
    metricRelabelConfigs: Relabelling.parse([
      { source_labels: ['__name__'], regex: '(.*)_0', target_label: '__name__', replacement: 'renamed_$1' },
      { source_labels: ['__name__'], regex: '.*_1', action: 'drop' },
      { regex: 'a.*', action: 'labeldrop' },
      { target_label: 'cluster', replacement: 'one' },
    ]),
  },
];

test('a head holds the same, and senders are told the same, as if labels had come every time', async () => {
  const random = seededRandom(11);
  const [keyed, plain] = [new HeadTarget(SECRET), new HeadTarget()];
  const edges = [edgeOf(keyed, SECRET), edgeOf(plain)] as const;
  const statuses = new Set<number>();
  for (let round = 0; round < 1000; round++) {
    const tenant = random() < 0.5 ? 'a' : 'b';
    // limits change for a while: what is known under others is looked at anew
    const limits: TenantLimits = {
      ...DEFAULT_LIMITS,
      maxLabelNameLength: round % 100 > 80 ? 8 : 1024,
      outOfOrderTimeWindowMs: round % 70 > 50 ? 60_000 : 0,
    };
    const body = bodyOf(random, round);
    const answers = [];
    // rules come and go, too: what a series becomes is known by the same bytes
    const rewrite = rewriteText({ ...limits, ...RULES[Math.floor(round / 60) % RULES.length] });
    for (const edge of edges) {
      answers.push(await edge.push({ tenant, headers: HEADERS, body: body.slice(), limits: { ...limits, rewrite } }));
    }
    const [got, want] = answers.map(({ response: { status, text }, discarded, samples, series }) => {
      // which of several offenders comes first may differ
      return { status, refused: /and \d+ more/.exec(text)?.[0], discarded, samples, series };
    });
    assert.deepEqual(got, want, `round ${round}`);
    statuses.add(got!.status);
    if (random() < 0.05) for (const target of [keyed, plain]) target.drop(START_MS + round * 1000 - 3000);
    assert.deepEqual(keyed.held(), plain.held(), `round ${round}`);
  }
  assert.deepEqual([...statuses].sort(), [204, 400]);
  assert.equal(plain.arrived.keys, 0);
  assert.ok(keyed.arrived.keys > 1000, JSON.stringify(keyed.arrived));
});

/** A body of `count` series with a sample each. */
function plainBody(count: number, round: number): Uint8Array {
  const series = Array.from({ length: count }, (_, i) => ({
    pairs: ['__name__', 'm', 'i', `${i}`],
    labelsFault: undefined,
    samples: WriteSamples.of([{ timeMs: START_MS + round, value: i }]),
    histograms: [],
    exemplars: [],
  }));
  return deflateSnappy(encodeRemoteWrite1({ metadata: [], series }));
}

test('series that the head has dropped come again with their labels, within the same request', async () => {
  const target = new HeadTarget(SECRET);
  const edge = edgeOf(target, SECRET);
  const send = async (round: number) => {
    const body = plainBody(20, round);
    const { response } = await edge.push({ tenant: 't', headers: HEADERS, body, limits: DEFAULT_LIMITS });
    assert.equal(response.status, 204);
  };
  // the first answer says that keys are taken
  for (let round = 0; round < 4; round++) await send(round);
  assert.deepEqual(target.arrived, { labels: 40, keys: 40 });
  target.drop(Number.POSITIVE_INFINITY);
  assert.equal(target.head.seriesCount, 0);
  await send(4);
  assert.deepEqual(target.arrived, { labels: 60, keys: 60 });
  assert.equal(target.head.seriesCount, 20);
});

test('of a series that the head has dropped no sample becomes late, where another of the request comes the slow way', async () => {
  const target = new HeadTarget(SECRET);
  const edge = edgeOf(target, SECRET);
  const send = async (body: Uint8Array) => {
    const { response } = await edge.push({ tenant: 't', headers: HEADERS, body, limits: DEFAULT_LIMITS });
    assert.equal(response.status, 204, response.text);
  };
  for (let round = 0; round < 3; round++) await send(plainBody(1, round));
  assert.equal(target.arrived.keys, 1);
  target.drop(Number.POSITIVE_INFINITY);
  const at = (round: number, exemplar: boolean) => ({
    pairs: ['__name__', 'm', 'i', '0'],
    labelsFault: undefined,
    samples: WriteSamples.of([{ timeMs: START_MS + round, value: round }]),
    histograms: [],
    exemplars: exemplar
      ? [{ pairs: ['trace_id', 'x'], labelsFault: undefined, value: 1, timeMs: START_MS + round }]
      : [],
  });
  await send(deflateSnappy(encodeRemoteWrite1({ metadata: [], series: [at(10, false), at(11, true)] })));
  assert.equal(target.head.seriesCount, 1);
});

test('a series over the limit is refused every time, and the others are taken', async () => {
  const target = new HeadTarget(SECRET);
  const edge = edgeOf(target, SECRET);
  const limits = { ...DEFAULT_LIMITS, maxSeriesPerUser: 15 };
  for (let round = 0; round < 6; round++) {
    const body = plainBody(20, round);
    const { response, discarded } = await edge.push({ tenant: 't', headers: HEADERS, body, limits });
    assert.equal(response.status, 400);
    assert.match(response.text, /per-user series limit of 15 exceeded/);
    assert.deepEqual(discarded, { per_user_series_limit: 5 }, `round ${round}`);
    assert.equal(target.head.seriesCount, 15);
  }
  // with labels twice, until they are known and taken; then those of the refused ones only
  assert.deepEqual(target.arrived, { labels: 2 * 20 + 4 * 5, keys: 4 * 20 });
});

test('the same bytes are another series for another tenant', async () => {
  const target = new HeadTarget(SECRET);
  const edge = edgeOf(target, SECRET);
  for (const tenant of ['a', 'b', 'a', 'b']) {
    await edge.push({ tenant, headers: HEADERS, body: plainBody(5, target.arrived.keys), limits: DEFAULT_LIMITS });
  }
  const names = [...target.held().keys()];
  assert.equal(
    names.filter((name) => name.startsWith('a ')).length,
    names.filter((name) => name.startsWith('b ')).length,
  );
});

test('more series than an edge remembers are only slower', async () => {
  const target = new HeadTarget(SECRET);
  const edge = edgeOf(target, SECRET);
  const count = 60_000; // the table grows twice on the way
  const limits = { ...DEFAULT_LIMITS, maxSeriesPerMetric: 0, maxSeriesPerUser: 0 };
  for (let round = 0; round < 3; round++) {
    const { response } = await edge.push({ tenant: 't', headers: HEADERS, body: plainBody(count, round), limits });
    assert.equal(response.status, 204);
  }
  assert.equal(target.head.seriesCount, count);
  assert.ok(target.arrived.keys > count * 0.95, `${target.arrived.keys} keys`);
});
