import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { floatHistogram } from '../../model/histogram.ts';
import { Labels } from '../../model/labels.ts';
import { negotiateExposition } from './accept.ts';
import { escapeName } from './escape-name.ts';
import { type ExposedSample, exposeFamilies } from './families.ts';

const PROTOBUF = 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited';

test('names are escaped in four ways', () => {
  const cases: [name: string, underscores: string, dots: string, values: string][] = [
    ['fed.dot', 'fed_dot', 'fed_dot_dot', 'U__fed_2e_dot'],
    ['fed_dot', 'fed_dot', 'fed_dot', 'fed_dot'],
    ['1a:b', '_a:b', '__a:b', 'U___31_a:b'],
    ['ütf_8', '_tf_8', '__tf__8', 'U___fc_tf__8'],
    ['a😀', 'a_', 'a__', 'U__a_1f600_'],
  ];
  for (const [name, underscores, dots, values] of cases) {
    assert.equal(escapeName(name, 'allow-utf-8'), name);
    assert.deepEqual(
      [escapeName(name, 'underscores'), escapeName(name, 'dots'), escapeName(name, 'values')],
      [underscores, dots, values],
    );
  }
});

test('the form of an answer is the first that is accepted, most wanted first', () => {
  const text = 'text/plain; version=0.0.4; charset=utf-8; escaping=';
  const protobuf =
    'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=';
  for (const [accept, contentType] of [
    ['', `${text}underscores`],
    ['*/*', `${text}underscores`],
    ['text/plain;escaping=dots', `${text}dots`],
    ['text/plain;version=1.0.0;escaping=allow-utf-8', `${text}allow-utf-8`],
    ['text/plain;escaping=else', `${text}underscores`],
    ['application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;q=0.3', `${text}allow-utf-8`],
    [`${PROTOBUF};escaping=values;q=0.7,text/plain;q=0.3`, `${protobuf}values`],
    [`${PROTOBUF};q=0.2,text/plain;q=0.3`, `${text}underscores`],
    ['application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text', `${text}underscores`],
  ] as const) {
    assert.equal(negotiateExposition(accept).contentType, contentType, accept);
  }
});

const SAMPLES: readonly ExposedSample[] = [
  { labels: Labels.of({ __name__: 'a.b', 'l.x': 'q"\\' }), timeMs: 5000, value: 1.5, histogram: undefined },
  {
    labels: Labels.of({ __name__: 'c', instance: 'i' }),
    timeMs: 5000,
    value: Number.NaN,
    histogram: floatHistogram({
      schema: -53,
      count: 6,
      sum: 7,
      customValues: [1, 2, 4],
      positiveSpans: [
        { offset: 0, length: 1 },
        { offset: 1, length: 2 },
      ],
      positiveBuckets: [1, 2, 3],
    }),
  },
  {
    labels: Labels.of({ __name__: 'c', instance: 'j' }),
    timeMs: 6000,
    value: Number.NaN,
    histogram: floatHistogram({
      schema: 1,
      count: 4,
      sum: 8,
      zeroThreshold: 0.5,
      zeroCount: 1,
      resetHint: 'gauge',
      negativeSpans: [{ offset: -2, length: 1 }],
      negativeBuckets: [3],
    }),
  },
];

function exposed(format: 'text' | 'protobuf', escaping: 'allow-utf-8' | 'underscores'): Buffer {
  return Buffer.concat([...exposeFamilies(SAMPLES, format, escaping)].filter((part) => part !== undefined));
}

test('text has floats, and histograms of bounds of their own as classic ones', () => {
  const classic = `# TYPE c histogram
c_bucket{instance="i",le="1"} 1 5000
c_bucket{instance="i",le="2"} 1 5000
c_bucket{instance="i",le="4"} 3 5000
c_bucket{instance="i",le="+Inf"} 6 5000
c_sum{instance="i"} 7 5000
c_count{instance="i"} 6 5000
`;
  assert.equal(
    String(exposed('text', 'allow-utf-8')),
    `# TYPE "a.b" untyped\n{"a.b","l.x"="q\\"\\\\",instance=""} 1.5 5000\n${classic}`,
  );
  assert.equal(
    String(exposed('text', 'underscores')),
    `# TYPE a_b untyped\na_b{l_x="q\\"\\\\",instance=""} 1.5 5000\n${classic}`,
  );
});

/** Fields of a message as [number, value]; messages within are left as bytes. */
function fieldsOf(bytes: Uint8Array): [field: number, value: unknown][] {
  const reader = new BinaryReader(bytes);
  const out: [number, unknown][] = [];
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (type === WireType.Varint) out.push([field, Number(reader.int64())]);
    else if (type === WireType.Bit64) out.push([field, reader.double()]);
    else out.push([field, reader.bytes()]);
  }
  return out;
}

test('protobuf has native histograms, counters and gauges as families of their own', () => {
  const reader = new BinaryReader(exposed('protobuf', 'allow-utf-8'));
  const families: [name: string, type: unknown, metric: Map<number, unknown>][] = [];
  while (reader.pos < reader.len) {
    const family = new Map(fieldsOf(reader.bytes()));
    const metric = new Map(fieldsOf(family.get(4) as Uint8Array));
    families.push([String(Buffer.from(family.get(1) as Uint8Array)), family.get(3), metric]);
  }
  assert.deepEqual(
    families.map(([name, type]) => [name, type]),
    [
      ['a.b', 3],
      ['c', 4],
      ['c', 5],
    ],
  );
  const [float, classic, native] = families.map(([, , metric]) => metric);
  assert.deepEqual(fieldsOf(float!.get(5) as Uint8Array), [[1, 1.5]]);
  assert.equal(float!.get(6), 5000);
  const buckets = fieldsOf(classic!.get(7) as Uint8Array).map(([field, value]) =>
    field === 3 ? fieldsOf(value as Uint8Array) : [field, value],
  );
  assert.deepEqual(buckets, [
    [2, 7],
    [
      [2, 1],
      [4, 1],
    ],
    [
      [2, 2],
      [4, 1],
    ],
    [
      [2, 4],
      [4, 3],
    ],
    [4, 6],
  ]);
  const fields = fieldsOf(native!.get(7) as Uint8Array);
  assert.deepEqual(
    fields.filter(([field]) => field !== 9),
    [
      [2, 8],
      [4, 4],
      [5, 2],
      [6, 0.5],
      [8, 1],
      [11, 3],
    ],
  );
  // sint32: zigzag
  assert.deepEqual(fieldsOf(fields.find(([field]) => field === 9)![1] as Uint8Array), [
    [1, 3],
    [2, 1],
  ]);
});
