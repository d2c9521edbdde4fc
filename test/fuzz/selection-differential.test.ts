import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { type Random, seededRandom } from '../../src/lib/random.ts';
import type { LabelMatcher } from '../../src/model/matcher.ts';
import { parseMetricSelector } from '../../src/promql/parser/parser.ts';
import { deflateSnappy, inflateSnappy } from '../../src/wire/snappy.ts';
import { difference } from '../harness/compare.ts';
import { isPrometheus3Installed } from '../harness/peers.ts';
import { STEP_MS, STEPS } from './data.ts';
import { Expressions } from './expressions.ts';
import { canonicalFamilies } from './families.ts';
import { METRICS, Pair } from './pair.ts';
import { START_MS } from './question.ts';
import { type ReadRange, readSampled, readStreamed } from './read-response.ts';

// Requests that hand out series without evaluating anything: federation, remote read, and selectors with long patterns.

const COUNT = Math.ceil(Number(process.env.FUZZ_EXPRESSIONS ?? 10_000) / 20);
const SEED = Number(process.env.SEED ?? Date.now() % 1e9);
/** All of the data is newer. */
const LOOKBACK = '30d';

const PROTOBUF = 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited';
const ACCEPTED = [
  '',
  'text/plain',
  'text/plain;version=0.0.4;escaping=allow-utf-8',
  'text/plain;escaping=dots',
  `${PROTOBUF},text/plain;q=0.5`,
  `${PROTOBUF};escaping=values;q=0.9,*/*;q=0.1`,
];

test(`${COUNT} selections of each kind are those of Prometheus`, {
  skip: isPrometheus3Installed ? false : 'they need Prometheus 3.16',
}, async (t) => {
  console.log(`SEED=${SEED}`);
  await using pair = await Pair.start(SEED, { lookback: LOOKBACK, startTimestamps: false });
  for (const held of ['head', 'store']) {
    if (held === 'store') await pair.server.flush();
    const random = seededRandom(SEED + (held === 'head' ? 1 : 2));
    const expressions = new Expressions({ random, metrics: METRICS, legacy: false });
    await t.test(`federated from the ${held}`, () => each(() => federated(pair, random, expressions)));
    await t.test(`read from the ${held}`, () => each(() => remotelyRead(pair, random, expressions)));
    await t.test(`by long patterns from the ${held}`, () => each(() => byLongPattern(pair, random)));
  }
});

async function each(ask: () => Promise<void>): Promise<void> {
  for (let i = 0; i < COUNT / 2; i++) await ask();
}

function pick<T>(random: Random, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)]!;
}

/** Whole answers, to the byte but for empty buckets of native histograms. */
async function federated(pair: Pair, random: Random, expressions: Expressions): Promise<void> {
  const selectors = Array.from({ length: 1 + Math.floor(random() * 2) }, () => expressions.selector());
  const path = `/federate?${new URLSearchParams(selectors.map((selector): [string, string] => ['match[]', selector]))}`;
  const accept = pick(random, ACCEPTED);
  const [want, got] = await Promise.all(
    [pair.theirs, pair.ours].map(async ({ url, headers }) => {
      const answer = await fetch(url + path, { headers: { ...headers, accept } });
      const contentType = answer.headers.get('content-type') ?? '';
      const bytes = await answer.bytes();
      const isProtobuf = answer.ok && contentType.startsWith('application/vnd.google.protobuf');
      return [answer.status, contentType, isProtobuf ? canonicalFamilies(bytes) : new TextDecoder().decode(bytes)];
    }),
  );
  assert.deepEqual(got, want, `SEED=${SEED} ${path} ${accept}`);
}

const PLAIN = new RegExp(
  METRICS.filter(({ kind }) => kind === 'float')
    .map(({ name }) => name)
    .join('|'),
);
/** Among the values of labels is one that is no pattern. */
function parsable(expressions: Expressions): string {
  for (;;) {
    const selector = expressions.selector();
    if (!/~"\+/.test(selector)) return selector;
  }
}

const RE_ENCODING = /iterate chunk while re-encoding/;
const OPERATORS = ['=', '!=', '=~', '!~'];

function readRequest(matchers: readonly LabelMatcher[], { startMs, endMs }: ReadRange, streamed: boolean): Uint8Array {
  const out = new BinaryWriter().tag(1, WireType.LengthDelimited).fork();
  out.tag(1, WireType.Varint).int64(BigInt(startMs)).tag(2, WireType.Varint).int64(BigInt(endMs));
  for (const { op, name, value } of matchers) {
    out.tag(3, WireType.LengthDelimited).fork();
    out.tag(1, WireType.Varint).int32(OPERATORS.indexOf(op));
    out.tag(2, WireType.LengthDelimited).string(name).tag(3, WireType.LengthDelimited).string(value).join();
  }
  out.join();
  if (streamed) out.tag(2, WireType.Varint).int32(1);
  return out.finish();
}

async function remotelyRead(pair: Pair, random: Random, expressions: Expressions): Promise<void> {
  const selector = parsable(expressions);
  const fromStep = random() * STEPS;
  const startMs = Math.floor(START_MS + fromStep * STEP_MS);
  const range = { startMs, endMs: Math.floor(startMs + random() * (STEPS - fromStep) * STEP_MS) };
  const streamed = random() < 0.5;
  const body = deflateSnappy(readRequest(parseMetricSelector(selector), range, streamed));
  const read = async (url: string) => {
    const headers = { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' };
    const post = () => fetch(`${url}/api/v1/read`, { method: 'POST', body: Uint8Array.from(body), headers });
    // a connection that was idle while the server flushed may be closed by now
    const answer = await post().catch(() => post().catch(() => undefined));
    const whole = await answer?.arrayBuffer().catch(() => undefined);
    const bytes = new Uint8Array(whole ?? []);
    // Prometheus cannot stream part of a chunk of histograms whose layout changes: it answers 500, or breaks off
    const failed = whole === undefined || RE_ENCODING.test(new TextDecoder().decode(bytes));
    if (failed && url === pair.theirs.url) return;
    assert.equal(answer?.status, 200, `SEED=${SEED} ${selector}: ${new TextDecoder().decode(bytes).slice(0, 200)}`);
    const found = streamed ? readStreamed(bytes, range) : readSampled(inflateSnappy(bytes, 1 << 30, 'test'));
    // a chunk that only begins or ends in the range has nothing of it; of mixed series it may have other encodings
    const told = [...found].filter(([labels, samples]) => samples.length > 0 && (!streamed || PLAIN.test(labels)));
    return Object.fromEntries(told.sort());
  };
  const [want, got] = await Promise.all([read(pair.theirs.url), read(pair.ours.url)]);
  if (want === undefined) return;
  assert.equal(difference(want, got), undefined, `SEED=${SEED} ${selector} ${JSON.stringify({ ...range, streamed })}`);
}

/** Alternatives up to which prefixes, options and ignored case are among them: what needs the engine has a greatest size here. */
const ENGINE_MAX = 200;

/** Values of dashboards with many of them: escaped addresses, now and then one that is there. */
function longPattern(random: Random): string {
  const count = Math.floor(10 ** (1 + random() * 3));
  const plain = count > ENGINE_MAX;
  const values = Array.from({ length: count }, (_, i) => {
    const address = `10.${i % 256}.${i >> 8}.${Math.floor(random() * 256)}:9100`.replaceAll('.', '\\.');
    return pick(random, [address, address, plain ? address : `${address}.*`, `node-${i}`]);
  });
  if (random() < 0.8) values.push(pick(random, plain ? ['0', '1', '0|1'] : ['0', '1', '0|1', '', '.']));
  const whole = values.sort(() => random() - 0.5).join('|');
  return plain ? pick(random, [whole, `(${whole})`]) : pick(random, [whole, `(?:${whole})?`, `(?i:${whole})`]);
}

async function byLongPattern(pair: Pair, random: Random): Promise<void> {
  const { name, labels } = pick(random, METRICS);
  const query = `count by (${labels.join()}) (${name}{${pick(random, labels)}${pick(random, ['=~', '!~'])}${JSON.stringify(longPattern(random))}})`;
  const time = String(START_MS / 1000 + Math.floor(random() * STEPS) * 15);
  const body = new URLSearchParams({ query, time });
  const answer = async (api: Pair['ours']) => {
    const { status, text } = await api.ask('/api/v1/query', { method: 'POST', body });
    const { data } = JSON.parse(text) as { data?: { result: { metric: object; value: unknown }[] } };
    return [status, status === 200 ? '' : text, data?.result.map((each) => JSON.stringify(each)).sort()];
  };
  const [want, got] = await Promise.all([answer(pair.theirs), answer(pair.ours)]);
  assert.deepEqual(got, want, `SEED=${SEED} ${query.slice(0, 300)}`);
}
