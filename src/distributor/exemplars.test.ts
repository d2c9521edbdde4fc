import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FramePush } from '../contract/ingest.ts';
import { ByteReader } from '../lib/bytes.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import { decodeLabels } from '../model/canonical.ts';
import { readFrameExemplar } from '../wire/frame-exemplars.ts';
import { FRAME_EXEMPLARS } from '../wire/frame-layout.ts';
import { FrameView } from '../wire/frames.ts';
import { encodeRemoteWrite1, encodeRemoteWrite2 } from '../wire/remote-write-encode.ts';
import { deflateSnappy } from '../wire/snappy.ts';
import { WriteSamples } from '../wire/write-request.ts';
import { Edge } from './edge.ts';

const NOW_MS = 1_767_231_000_000;
const YEAR_MS = 365 * 86_400_000;

/** An edge, and the exemplars that it hands on: milliseconds from now, and labels. */
function edgeOf() {
  const kept: string[] = [];
  const target = {
    async push({ frames, bytes }: FramePush) {
      for (const frame = new FrameView(new Uint8Array(frames, 0, bytes)); frame.next(); ) {
        if (!frame.has(FRAME_EXEMPLARS)) continue;
        const reader = new ByteReader(new Uint8Array(frames, 0, bytes));
        reader.at = frame.samplesAt;
        for (let i = 0; i < frame.samples; i++) {
          const { timeMs, labels } = readFrameExemplar(reader);
          kept.push(`${timeMs - NOW_MS} ${decodeLabels(labels, 0, labels.length)}`);
        }
      }
      const counts = [1, 0, 0, 0, 0, 0];
      const result = { counts, histogramsLost: 0, exemplarsLost: 0, refused: 0, first: undefined, unknown: [] };
      return { result, frames, keysTaken: false };
    },
    setMetadata: async () => ({}),
  };
  return { edge: new Edge({ clock: new ManualClock(NOW_MS), rawBytesMax: 1 << 20, targets: [target] }), kept };
}

type Exemplar = readonly [afterMs: number, ...pairs: readonly string[]];

async function push(version: 1 | 2, exemplars: readonly Exemplar[], creationGracePeriodMs = 600_000) {
  const { edge, kept } = edgeOf();
  const series = {
    pairs: ['__name__', 'ex_total'],
    labelsFault: undefined,
    samples: WriteSamples.of([{ timeMs: NOW_MS, value: 1 }]),
    histograms: [],
    exemplars: exemplars.map(([afterMs, ...pairs]) => ({
      pairs,
      labelsFault: undefined,
      value: 1,
      timeMs: NOW_MS + afterMs,
    })),
  };
  const encode = version === 1 ? encodeRemoteWrite1 : encodeRemoteWrite2;
  const proto = version === 1 ? 'prometheus.WriteRequest' : 'io.prometheus.write.v2.Request';
  const { response, discarded } = await edge.push({
    tenant: 't',
    headers: { 'content-type': `application/x-protobuf;proto=${proto}`, 'content-encoding': 'snappy' },
    body: deflateSnappy(encode({ series: [series], metadata: [] })),
    limits: { ...DEFAULT_LIMITS, creationGracePeriodMs },
  });
  assert.equal(response.status, 204, response.text);
  return { kept, discarded, written: response.headers['X-Prometheus-Remote-Write-Exemplars-Written'] };
}

for (const version of [1, 2] as const) {
  test(`remote write ${version}: exemplars of the future are counted, and keep no later ones out`, async () => {
    const sent: Exemplar[] = [
      [0, 'trace_id', 't0'],
      [YEAR_MS, 'trace_id', 't1'],
      [2000, 'trace_id', 't2'],
      [3000, 'trace_id', 't3'],
    ];
    for (const graceMs of [600_000, 0]) {
      const { kept, discarded, written } = await push(version, sent, graceMs);
      assert.deepEqual(kept, ['0 {trace_id="t0"}', '2000 {trace_id="t2"}', '3000 {trace_id="t3"}']);
      assert.deepEqual(discarded, { too_far_in_future: 1 });
      assert.equal(written, version === 1 ? undefined : '3');
    }
    const { kept } = await push(version, [[YEAR_MS - 1, 'a', 'b']], YEAR_MS);
    assert.equal(kept.length, 1, 'within the grace period of the tenant');
  });

  test(`remote write ${version}: label names of exemplars are neither empty nor double`, async () => {
    const many = Array.from({ length: 200 }, () => ['', '']).flat();
    const { kept, discarded } = await push(version, [
      [0, 'a', '1', 'b', '2', 'a', '1'],
      [1, '', 'x'],
      [2, ...many],
      [3, 'b', '1', 'a', '2', 'c', ''],
      [4, 'a', 'x'.repeat(128)],
    ]);
    assert.deepEqual(kept, ['3 {a="2", b="1"}']);
    assert.deepEqual(discarded, { duplicate_label_names: 1, label_invalid: 2, exemplar_labels_too_long: 1 });
  });
}
