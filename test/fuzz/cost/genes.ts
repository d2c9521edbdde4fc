import { type Random, seededRandom } from '../../../src/lib/random.ts';
import { encodeRemoteWrite1, encodeRemoteWrite2 } from '../../../src/wire/remote-write-encode.ts';
import { deflateSnappy } from '../../../src/wire/snappy.ts';
import {
  type WriteExemplar,
  type WriteHistogram,
  WriteSamples,
  type WriteSeries,
} from '../../../src/wire/write-request.ts';
import { repeatedBlock } from '../../hostile/bodies.ts';
import { documentMakers } from './genes-documents.ts';
import { many, pick, quoted, regex, repeat, selector } from './parts.ts';

/** A gene makes a request: the same gene makes the same request. */
export interface Gene {
  readonly kind: string;
  readonly seed: number;
  /** How many of what; each kind reads them as it likes. */
  readonly sizes: readonly number[];
}

export interface CostRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

export type Maker = (random: Random, sizes: readonly number[]) => CostRequest;

const SIZES = 3;
const SIZE_MAX = 200_000;
const RAW_BYTES_MAX = 31 * 1024 * 1024;
const LABEL_CHARS_MAX = 2_000_000;
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
const V1 = { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' };
const V2 = { ...V1, 'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request' };

export function randomGene(random: Random, kinds: readonly string[] = Object.keys(makers)): Gene {
  return {
    kind: kinds[Math.floor(random() * kinds.length)]!,
    seed: Math.floor(random() * 2 ** 31),
    sizes: Array.from({ length: SIZES }, () => randomSize(random)),
  };
}

/** Small ones are as likely as large ones. */
function randomSize(random: Random): number {
  return Math.floor(SIZE_MAX ** random());
}

export function mutated(gene: Gene, random: Random): Gene {
  if (random() < 0.25) return { ...gene, seed: Math.floor(random() * 2 ** 31) };
  const sizes = [...gene.sizes];
  const i = Math.floor(random() * SIZES);
  const change = random();
  const size = sizes[i]!;
  sizes[i] =
    change < 0.3
      ? randomSize(random)
      : Math.max(
          1,
          Math.min(SIZE_MAX, Math.round(change < 0.7 ? size * (1 + 3 * random()) : size / (1 + 3 * random()))),
        );
  return { ...gene, sizes };
}

export function requestOf(gene: Gene): CostRequest {
  return makers[gene.kind]!(seededRandom(gene.seed), gene.sizes);
}

// ---- writes

function seriesOf(random: Random, sizes: readonly number[], i: number): WriteSeries {
  const now = Date.now();
  const labels = Math.min(sizes[1]!, random() < 0.5 ? 28 : 10_000);
  // the fuzzer's own memory is bounded, too
  const long = Math.min(
    random() < 0.3 ? Math.min(sizes[2]!, 100_000) : 1 + Math.floor(random() * 12),
    Math.ceil(LABEL_CHARS_MAX / (labels + 1)),
  );
  const pairs = random() < 0.9 ? ['__name__', `fuzz_${i % 1000}`] : [];
  for (let n = 0; n < labels; n++)
    pairs.push(`l${random() < 0.9 ? n : 7}`, pick(random, ['v', 'é', '\ud800', '']).repeat(long));
  const points = Math.min(random() < 0.5 ? 1 : sizes[2]!, 50_000);
  const time = () => now - Math.floor(random() * (random() < 0.9 ? 60_000 : 1e12)) + (random() < 0.05 ? 1e9 : 0);
  const samples = WriteSamples.of(
    Array.from({ length: random() < 0.9 ? points : 0 }, () => ({
      timeMs: time(),
      value: random(),
      startMs: random() < 0.1 ? time() : 0,
    })),
  );
  const exemplars: WriteExemplar[] = Array.from({ length: random() < 0.2 ? points : 0 }, () => ({
    pairs: random() < 0.5 ? [] : ['trace_id', 'x'.repeat(Math.min(long, 200))],
    labelsFault: undefined,
    value: 1,
    timeMs: time(),
  }));
  const histograms: WriteHistogram[] = Array.from({ length: random() < 0.2 ? Math.min(points, 5_000) : 0 }, () => ({
    timeMs: time(),
    startMs: 0,
    stale: false,
    fault: undefined,
    histogram: {
      resetHint: 'unknown',
      schema: Math.floor(random() * 8),
      zeroThreshold: 0.001,
      zeroCount: 1,
      count: 3,
      sum: 3,
      positiveSpans: [{ offset: Math.floor(random() * 100), length: 2 }],
      negativeSpans: [],
      positiveDeltas: [1, 0],
      negativeDeltas: [],
      customValues: [],
    },
  }));
  return { pairs, labelsFault: undefined, samples, histograms, exemplars };
}

/** About as many as it takes in a request. */
function bytesOf({ pairs, samples, exemplars, histograms }: WriteSeries): number {
  const text = pairs.reduce((sum, part) => sum + part.length + 4, 0);
  return text + 20 * samples.count + 60 * exemplars.length + 80 * histograms.length;
}

function writeOf(version: 1 | 2): Maker {
  return (random, sizes) => {
    const distinct = Array.from({ length: 1 + Math.floor(random() * 4) }, (_, i) => seriesOf(random, sizes, i));
    const series = Array.from({ length: Math.min(sizes[0]!, 20_000) }, (_, i) => distinct[i % distinct.length]!);
    const metadata = Array.from({ length: random() < 0.2 ? Math.min(sizes[1]!, 30_000) : 0 }, (_, i) => ({
      metric: `fuzz_${i}`,
      type: 'counter',
      help: 'h'.repeat(Math.min(sizes[2]!, 2_000)),
      unit: '',
    }));
    let raw: Uint8Array = new Uint8Array(0);
    const bytes = distinct.map(bytesOf);
    // as many of the series as fit
    for (let n = series.length; n > 0; n = Math.floor(n / 4)) {
      let estimate = 0;
      for (let i = 0; i < n; i++) estimate += bytes[i % bytes.length]!;
      if (estimate > RAW_BYTES_MAX) continue;
      raw = (version === 1 ? encodeRemoteWrite1 : encodeRemoteWrite2)({ series: series.slice(0, n), metadata });
      if (raw.length <= RAW_BYTES_MAX) break;
    }
    const headers = version === 1 ? V1 : V2;
    return { method: 'POST', path: '/api/v1/push', headers, body: deflateSnappy(raw.subarray(0, RAW_BYTES_MAX)) };
  };
}

/** Nested messages with random tags, again and again. */
function proto(random: Random, [times, , length]: readonly number[]): CostRequest {
  const message = (depth: number): number[] => {
    const out: number[] = [];
    for (let fields = Math.floor(random() * 4); fields >= 0; fields--) {
      const field = 1 + Math.floor(random() * (random() < 0.9 ? 6 : 15));
      const kind = random();
      if (kind < 0.6 && depth < 4) {
        const inner = message(depth + 1).slice(0, 100);
        out.push((field << 3) | 2, inner.length, ...inner);
      } else if (kind < 0.7) out.push((field << 3) | 1, ...Array.from({ length: 8 }, () => Math.floor(random() * 256)));
      else if (kind < 0.9) out.push(field << 3, Math.floor(random() * 128));
      else out.push((field << 3) | 2, 5, ...Buffer.from('label'));
    }
    return out;
  };
  const unit = Buffer.from(message(0));
  const bytes = Math.min(unit.length * times! * (1 + (length! % 50)), RAW_BYTES_MAX);
  return {
    method: 'POST',
    path: '/api/v1/push',
    headers: random() < 0.5 ? V1 : V2,
    body: repeatedBlock(unit, Math.max(unit.length, bytes)),
  };
}

// ---- expressions

const EXPRESSIONS: readonly ((random: Random, sizes: readonly number[]) => string)[] = [
  selector,
  (_, [a, b]) => {
    let text = `label_replace(vector(1),"x","${repeat('A', Math.min(b!, 100_000))}","","")`;
    for (let i = 0; i < Math.min(a!, 60); i++) text = `label_join(${text},"x","","x","x")`;
    return text;
  },
  (random, [a, b]) =>
    `label_replace({__name__=~".+"},"x",${quoted(repeat(pick(random, ['$1', '$0', 'A', '$1$2']), a!))},"__name__",${quoted(`(${regex(random, b!)})`)})`,
  (_, [a]) => `${repeat('(', a!)}1${repeat(')', a!)}`,
  (_, [a]) => `${repeat('-', a!)}1`,
  (random, [a]) =>
    many(
      a!,
      () => pick(random, ['1', 'fuzz', 'vector(1)', 'sum(fuzz)']),
      pick(random, [' + ', ' or ', ' and ', ' * on() ', ' == bool ']),
    ),
  (random, [a]) => {
    const name = pick(random, ['abs', 'sum', 'sort', 'rate', 'scalar', 'vector', 'timestamp', 'absent']);
    return `${repeat(`${name}(`, a!)}fuzz${repeat(')', a!)}`;
  },
  (random, [a]) =>
    repeat(
      pick(random, [
        '1',
        '9',
        '0x',
        '1e',
        '.',
        '_',
        'a',
        '1d',
        'é',
        '#',
        ' ',
        '"',
        "'",
        '`',
        '{',
        '[',
        '$',
        '\\',
        '1ms',
      ]),
      a!,
    ),
  (random, [a]) =>
    `${pick(random, ['"', "'", '`'])}${repeat(pick(random, ['a', '\\x41', '\\u00e9', '\\', '\\101']), a!)}${pick(random, ['"', "'", '`'])}`,
  (random, [a]) => `sum by (${many(a!, (i) => `l${i}`, ',')}) (${pick(random, ['fuzz', '{__name__=~".+"}'])})`,
  (_, [a, b]) =>
    `count_values("${repeat('x', Math.min(b!, 10_000))}", {__name__=~".+"} ${repeat('+ 1', Math.min(a!, 1000))})`,
  (random, [a]) => `${pick(random, ['topk', 'bottomk', 'limitk', 'quantile'])}(${a}, {__name__=~".+"})`,
  (random, [a, b]) =>
    `${pick(random, ['rate', 'max_over_time', 'quantile_over_time', 'absent_over_time', 'count_over_time'])}(${'fuzz'}[${a}s:${Math.max(1, b! % 100)}ms])`.replace(
      'quantile_over_time(',
      'quantile_over_time(0.5, ',
    ),
  (_, [a]) => `${repeat('max_over_time(', Math.min(a!, 50))}fuzz${repeat('[1m:1s])', Math.min(a!, 50))}`,
  (_, [a]) =>
    `{__name__=~".+"} * on(${many(Math.min(a!, 1000), (i) => `l${i}`, ',')}) group_left(${many(Math.min(a!, 1000), (i) => `m${i}`, ',')}) fuzz`,
  (random, [a]) => `absent({${many(a!, (i) => `l${i}=${quoted(repeat('v', 1 + Math.floor(random() * 50)))}`, ',')}})`,
  (_, [a]) => many(Math.min(a!, 500), () => 'label_replace({__name__=~".+"},"c","$1","l1","(.*)")', ' or '),
  (random, [a]) =>
    `fuzz @ ${repeat('1', Math.min(a!, 5000))} offset ${repeat('1h', Math.min(a!, 5000))}${random() < 0.5 ? ' offset -5m' : ''}`,
];

function query(random: Random, sizes: readonly number[]): CostRequest {
  const expression = pick(random, EXPRESSIONS)(random, sizes);
  const now = Math.floor(Date.now() / 1000);
  const path = pick(random, [
    '/api/v1/query',
    '/api/v1/query_range',
    '/api/v1/query_explain',
    '/api/v1/format_query',
    '/api/v1/parse_query',
    '/api/v1/query_exemplars',
  ]);
  const span = pick(random, [60, 3600, 86_400 * 30]);
  const times = `start=${now - span}&end=${now}&step=${Math.max(0.01, span / pick(random, [10, 1000, 10_999]))}&time=${now}`;
  return {
    method: 'POST',
    path,
    headers: FORM,
    body: `${times}&timeout=5s&query=${encodeURIComponent(expression.toWellFormed())}`,
  };
}

// ---- selectors, forms, addresses

function matches(random: Random, sizes: readonly number[]): CostRequest {
  const list = many(
    Math.min(sizes[2]!, 5_000),
    () =>
      `match[]=${encodeURIComponent(selector(random, [Math.min(sizes[0]!, 50), Math.min(sizes[1]!, 500)]).toWellFormed())}`,
    '&',
  );
  const path = pick(random, [
    '/api/v1/series',
    '/api/v1/labels',
    '/federate',
    '/api/v1/label/l1/values',
    '/api/v1/status/tsdb',
    '/api/v1/metadata',
  ]);
  const post = path === '/api/v1/series' || path === '/api/v1/labels';
  return post
    ? { method: 'POST', path, headers: FORM, body: list }
    : { method: 'GET', path: `${path}?${list.slice(0, 900_000)}`, headers: {} };
}

function form(random: Random, [a, b]: readonly number[]): CostRequest {
  const part = pick(random, ['a', '%41', '+', '%', '%zz', 'é', 'query=1&', '&', '=', 'match[]=up&', 'a=%25&']);
  const body = `query=1&${many(Math.min(a!, 100_000), (i) => `${random() < 0.1 ? i : ''}${part.repeat(Math.min(b! % 50, 50) + 1)}`, random() < 0.5 ? '&' : '')}`;
  if (random() < 0.7) return { method: 'POST', path: '/api/v1/query', headers: FORM, body };
  const boundary = 'b'.repeat(1 + (b! % 60));
  const parts = many(
    Math.min(a!, 20_000),
    (i) => `--${boundary}\r\ncontent-disposition: form-data; name="q${i}"\r\n\r\n${part}\r\n`,
    '',
  );
  return {
    method: 'POST',
    path: '/api/v1/query',
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
    body: `${parts}--${boundary}--\r\n`,
  };
}

function address(random: Random, [a]: readonly number[]): CostRequest {
  const part = pick(random, ['/', '//', '/..', '/%2e', '/a', 'a', '%2f', '?', '&a=b', '/U__', '_3_', '%']);
  const start = pick(random, ['/', '/api/v1/label/', '/api/v1/query?', '/prometheus/', '/api/v1/label/U__']);
  const end = pick(random, ['', '/values', '&query=1']);
  return {
    method: pick(random, ['GET', 'POST']),
    path: `${start}${part.repeat(Math.min(a!, 100_000))}${end}`.replace(/[^\x21-\x7e]/g, 'x'),
    headers: {},
  };
}

function headers(random: Random, [a, b]: readonly number[]): CostRequest {
  const value = pick(random, ['a', 'a|', ',', 'gzip,', 'gzip;q=0.1,', ';', '=', '"', ' ', 'text/plain;']).repeat(
    Math.min(b!, 12_000),
  );
  const name = pick(random, [
    'x-scope-orgid',
    'accept',
    'accept-encoding',
    'authorization',
    'content-type',
    'origin',
    'cookie',
    'content-encoding',
    'range',
  ]);
  const extra = Object.fromEntries(Array.from({ length: Math.min(a!, 500) }, (_, i) => [`x-${i}`, 'y']));
  return {
    method: pick(random, ['GET', 'POST']),
    path: pick(random, ['/api/v1/query?query=1', '/metrics', '/api/v1/push', '/federate?match[]=up']),
    headers: { ...extra, [name]: value },
  };
}

function remoteRead(random: Random, sizes: readonly number[]): CostRequest {
  const text = (field: number, value: string) => {
    const bytes = Buffer.from(value.toWellFormed());
    return Buffer.concat([Buffer.from([(field << 3) | 2]), uvarint(bytes.length), bytes]);
  };
  const part = (field: number, inner: Buffer) =>
    Buffer.concat([Buffer.from([(field << 3) | 2]), uvarint(inner.length), inner]);
  const matcher = () =>
    part(
      3,
      Buffer.concat([
        Buffer.from([8, Math.floor(random() * 4)]),
        text(2, 'l1'),
        text(3, regex(random, Math.min(sizes[1]!, 2_000))),
      ]),
    );
  const one = Buffer.concat([
    Buffer.from([8]),
    uvarint(Date.now() - 3_600_000),
    Buffer.from([16]),
    uvarint(Date.now()),
    ...Array.from({ length: Math.min(sizes[0]!, 100) }, matcher),
  ]);
  const queries = Array.from({ length: Math.min(sizes[2]!, 1_000) }, () => part(1, one));
  const body = Buffer.concat([...queries, random() < 0.5 ? Buffer.from([16, 1]) : Buffer.alloc(0)]);
  return { method: 'POST', path: '/api/v1/read', headers: V1, body: deflateSnappy(body.subarray(0, RAW_BYTES_MAX)) };
}

function uvarint(value: number): Buffer {
  const out: number[] = [];
  let left = value;
  for (; left >= 128; left = Math.floor(left / 128)) out.push((left % 128) | 128);
  return Buffer.from([...out, left]);
}

const makers: Readonly<Record<string, Maker>> = {
  write1: writeOf(1),
  write2: writeOf(2),
  proto,
  query,
  matches,
  form,
  address,
  headers,
  remoteRead,
  ...documentMakers,
};
