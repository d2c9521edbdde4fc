import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Random, seededRandom } from '../../lib/random.ts';
import { AppError } from '../../model/errors.ts';
import { type ExpositionEntry, withStarts } from './entry.ts';
import { parseOpenMetrics } from './open-metrics.ts';
import { parsePrometheusText } from './prometheus-text.ts';

const runs = Number(process.env.PALLIUM_FUZZ_RUNS ?? 300);

const TEXT = `# HELP http_requests Requests,\\nby code.
# TYPE http_requests counter
http_requests{code="200",path="C:\\\\DIR\\"x\\n"} 1027 1395066363000
# a comment
{"größe", le="x"} 3e5
http_requests NaN
# TYPE rpc summary
rpc{quantile="0.5"} 4773
rpc{quantile="1"} -Inf
`;

const OPEN = `# TYPE rpc histogram
# UNIT rpc_seconds seconds
# HELP rpc Latency.
rpc_bucket{le="1"} 5 10.5 # {trace_id="a"} 0.7 9.25
rpc_bucket{le="+Inf"} 7
rpc_count 7
rpc_sum 8.5
rpc_created 1.5
# EOF
`;

/** An entry on one line. */
function show(entry: ExpositionEntry): string {
  if (entry.kind === 'comment') return entry.text;
  if (entry.kind !== 'series') return `${entry.kind} ${entry.metric} ${JSON.stringify(entry.text)}`;
  const { pairs, value, timeMs, startMs, exemplar } = entry;
  const parts = [JSON.stringify(pairs), value];
  if (timeMs !== undefined) parts.push(`@${timeMs}`);
  if (startMs !== undefined) parts.push(`since ${startMs}`);
  if (exemplar !== undefined) parts.push(`exemplar ${exemplar.pairs.join('=')} ${exemplar.value} @${exemplar.timeMs}`);
  return parts.join(' ');
}

const bytes = (text: string) => Buffer.from(text);

test('the Prometheus text format', () => {
  assert.deepEqual([...parsePrometheusText(bytes(TEXT))].map(show), [
    'help http_requests "Requests,\\nby code."',
    'type http_requests "counter"',
    '["__name__","http_requests","code","200","path","C:\\\\DIR\\"x\\n"] 1027 @1395066363000',
    '# a comment',
    '["__name__","größe","le","x"] 300000',
    '["__name__","http_requests"] NaN',
    'type rpc "summary"',
    '["__name__","rpc","quantile","0.5"] 4773',
    '["__name__","rpc","quantile","1.0"] -Infinity',
  ]);
});

test('the OpenMetrics format, with created series as start timestamps', () => {
  assert.deepEqual([...withStarts(parseOpenMetrics(bytes(OPEN)))].map(show), [
    'type rpc "histogram"',
    'unit rpc_seconds "seconds"',
    'help rpc "Latency."',
    '["__name__","rpc_bucket","le","1.0"] 5 @10500 since 1500 exemplar trace_id=a 0.7 @9250',
    '["__name__","rpc_bucket","le","+Inf"] 7 since 1500',
    '["__name__","rpc_count"] 7 since 1500',
    '["__name__","rpc_sum"] 8.5 since 1500',
  ]);
});

test('a fault names its line, and what stands before it is kept', () => {
  const entries: ExpositionEntry[] = [];
  assert.throws(() => {
    for (const entry of parsePrometheusText(bytes('a 1\nb x\n'))) entries.push(entry);
  }, /^AppError: line 2: strconv.ParseFloat: parsing "x": invalid syntax while parsing: "b x"$/);
  assert.equal(entries.length, 1);
  assert.throws(() => [...parseOpenMetrics(bytes('a 1\n'))], /data does not end with # EOF/);
});

function damaged(text: string, random: Random): Uint8Array {
  const pieces = ['"', '\\', '\n', '{', '}', ' # {', '\0', '\xff', '# TYPE ', ' ', ',', '='];
  let out = Buffer.from(text);
  for (let changes = random() * 4; changes > 0; changes--) {
    const at = Math.floor(random() * out.length);
    const piece = Buffer.from(pieces[Math.floor(random() * pieces.length)]!, 'latin1');
    const rest = random() < 0.1 ? out.length : at + Math.floor(random() * 4);
    out = Buffer.concat([out.subarray(0, at), piece, out.subarray(rest)]);
  }
  return out;
}

test('damaged expositions are an error with a name, or other entries', () => {
  const random = seededRandom(1);
  for (let run = 0; run < runs * 10; run++) {
    for (const [text, parse] of [
      [TEXT, parsePrometheusText],
      [OPEN, parseOpenMetrics],
    ] as const) {
      try {
        for (const entry of withStarts(parse(damaged(text, random)))) show(entry);
      } catch (thrown) {
        assert.ok(thrown instanceof AppError && thrown.facts.id === 'exposition-invalid', String(thrown));
      }
    }
  }
});
