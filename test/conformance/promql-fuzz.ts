import { type Random, seededRandom } from '../../src/lib/random.ts';
import { Engine } from '../../src/promql/engine.ts';
import type { QueryResult, QueryValue } from '../../src/promql/result.ts';
import { KernelRows } from '../../src/querier/row-kernel.ts';
import { unlimited } from '../../src/storage/unlimited.ts';
import { loadRecordedData } from './promqltest/recorded-data.ts';

/**
 * `node promql-fuzz.ts URL [COUNT] [SEED] [delayed]`: asks a Prometheus at URL, which holds the data of
 * `shared/conformance/data` and has experimental functions on, and the engine the same random questions, and says where they
 * differ. `delayed`: names are removed in the end, there as here.
 */

const [url = 'http://127.0.0.1:9090', count = '1000', seedText = String(Date.now() % 1e9), names] =
  process.argv.slice(2);
const folder = new URL('../../../shared/conformance/', import.meta.url);
const storage = loadRecordedData(folder);
const engine = new Engine({
  delayedNameRemoval: names === 'delayed',
  parser: { experimentalFunctions: true },
  rowKernel: new KernelRows(),
});
const context = unlimited();

const METRICS: readonly (readonly [name: string, labels: readonly string[]])[] = [
  ['demo_api_request_duration_seconds_bucket{method="GET"}', ['instance', 'le', 'path', 'status']],
  ['demo_api_request_duration_seconds_count', ['instance', 'method', 'path']],
  ['demo_cpu_usage_seconds_total', ['instance', 'mode']],
  ['demo_memory_usage_bytes', ['instance', 'type']],
  ['demo_num_cpus', ['instance', 'job']],
  ['demo_intermittent_metric', ['instance']],
  ['demo_items_shipped_total', ['instance']],
  // Go's logarithms of denormal numbers are wrong on amd64
  ['special_values{kind!="tiny"}', ['kind']],
  ['node_cpu_seconds_total', ['cpu', 'mode']],
  ['odd_labels', ['text']],
  ['up', ['instance', 'job']],
  ['nh_request_seconds', ['instance', 'job']],
  ['nh_custom_seconds', ['instance', 'job']],
  ['nh_gauge_float', ['instance', 'job']],
  ['extra_float_then_histogram', ['instance', 'job']],
  ['extra_goes_stale', ['instance', 'job']],
  ['short_lived', ['instance', 'job']],
  ['extra_latency_seconds_bucket', ['le']],
];

const RANGES = ['15s', '30s', '45s', '1m', '2m', '5m', '7m30s', '1h'];
const MATH = 'abs ceil floor sqrt sgn round deg exp ln log2 log10 sin atan'.split(' ');
const OVER_TIME =
  'rate increase delta irate idelta deriv changes resets avg_over_time sum_over_time min_over_time max_over_time count_over_time stddev_over_time stdvar_over_time last_over_time first_over_time present_over_time mad_over_time ts_of_max_over_time ts_of_min_over_time ts_of_first_over_time ts_of_last_over_time'.split(
    ' ',
  );
const AGGREGATIONS = 'sum avg min max count group stddev stdvar'.split(' ');
const ARITHMETIC = '+ - * / % ^ atan2'.split(' ');
const COMPARISONS = '== != < > <= >='.split(' ');
const SETS = 'and or unless'.split(' ');
const HISTOGRAMS = 'histogram_count histogram_sum histogram_avg histogram_stddev histogram_stdvar'.split(' ');

/** Random expressions, most of them with a meaning. */
class Grammar {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)]!;
  }

  #chance(part: number): boolean {
    return this.#random() < part;
  }

  #modifiers(): string {
    let text = '';
    if (this.#chance(0.15)) text += ` offset ${this.#pick(['30s', '-1m', '5m', '17s'])}`;
    if (this.#chance(0.08)) text += ` @ ${this.#pick(['1767228000', '1767229999.5', 'start()', 'end()'])}`;
    return text;
  }

  #selector(): { text: string; labels: readonly string[] } {
    const [text, labels] = this.#pick(METRICS);
    return { text, labels };
  }

  #grouping(labels: readonly string[]): string {
    const names = labels.filter(() => this.#chance(0.5)).join(', ');
    return this.#chance(0.3) ? '' : ` ${this.#pick(['by', 'without'])} (${names}) `;
  }

  #matrix(depth: number): string {
    if (depth > 0 && this.#chance(0.15)) {
      return `(${this.vector(depth - 1)})[${this.#pick(['2m', '5m', '10m'])}:${this.#pick(['', '30s', '1m'])}]${this.#modifiers()}`;
    }
    return `${this.#selector().text}[${this.#pick(RANGES)}]${this.#modifiers()}`;
  }

  scalar(depth: number): string {
    const dice = this.#random();
    if (depth > 0 && dice < 0.1) return `scalar(${this.vector(depth - 1)})`;
    if (dice < 0.2) return 'time()';
    return this.#pick(['0', '1', '2', '0.5', '-3', '1e3', 'NaN', 'Inf', '100', '7.25']);
  }

  vector(depth: number): string {
    if (depth <= 0) return `${this.#selector().text}${this.#modifiers()}`;
    const dice = this.#random();
    if (dice < 0.2) return `${this.#pick(OVER_TIME)}(${this.#matrix(depth)})`;
    if (dice < 0.42) {
      const { labels } = this.#selector();
      return `${this.#pick(AGGREGATIONS)}${this.#grouping(labels)}(${this.vector(depth - 1)})`;
    }
    if (dice < 0.5) return this.#special(depth);
    if (dice < 0.58) return `${this.#pick(MATH)}(${this.vector(depth - 1)})`;
    if (dice < 0.7) {
      const op = this.#pick([...ARITHMETIC, ...COMPARISONS]);
      const bool = COMPARISONS.includes(op) && this.#chance(0.4) ? ' bool' : '';
      return this.#chance(0.5)
        ? `(${this.vector(depth - 1)}) ${op}${bool} ${this.scalar(depth - 1)}`
        : `${this.scalar(depth - 1)} ${op}${bool} (${this.vector(depth - 1)})`;
    }
    if (dice < 0.9) return this.#binary(depth);
    return `-(${this.vector(depth - 1)})`;
  }

  #special(depth: number): string {
    const inner = this.vector(depth - 1);
    switch (Math.floor(this.#random() * 15)) {
      case 0:
        return `topk${this.#grouping(['instance', 'job'])}(${this.#pick(['1', '2', '100', '0'])}, ${inner})`;
      case 1:
        return `bottomk(${this.#pick(['1', '3'])}, ${inner})`;
      case 2:
        return `quantile(${this.#pick(['0.5', '0.9', '1.5', '0'])}, ${inner})`;
      case 3:
        return `count_values("v", ${inner})`;
      case 4:
        return `histogram_quantile(${this.#pick(['0.5', '0.99', '0', '-1'])}, ${this.#chance(0.5) ? `rate(demo_api_request_duration_seconds_bucket[${this.#pick(RANGES)}])` : inner})`;
      case 5:
        return `histogram_fraction(0, ${this.#pick(['0.1', '1', 'Inf'])}, ${inner})`;
      case 6:
        return `clamp(${inner}, ${this.scalar(0)}, ${this.scalar(0)})`;
      case 7:
        return `label_replace(${inner}, "x", "$1-y", "instance", "(.*):.*")`;
      case 8:
        return `absent(${inner})`;
      case 9:
        return `quantile_over_time(${this.#pick(['0.5', '0.25', '2'])}, ${this.#matrix(depth)})`;
      case 10:
        return `predict_linear(${this.#matrix(depth)}, 600)`;
      case 11:
        return `timestamp(${inner})`;
      case 12:
        return `${this.#pick(HISTOGRAMS)}(${inner})`;
      case 13:
        // of what an operator gives, the order is a matter of chance in a range query
        return `limitk(${this.#pick(['1', '3'])}, ${this.#selector().text})`;
      default:
        return `double_exponential_smoothing(${this.#matrix(depth)}, 0.4, 0.3)`;
    }
  }

  #binary(depth: number): string {
    const lhs = this.vector(depth - 1);
    // sides that have something to do with each other match more often
    const rhs = this.#chance(0.5) ? lhs : this.vector(depth - 1);
    if (this.#chance(0.3)) {
      const on = this.#chance(0.5) ? ` ${this.#pick(['on', 'ignoring'])} (instance)` : '';
      return `(${lhs}) ${this.#pick(SETS)}${on} (${rhs})`;
    }
    const op = this.#pick([...ARITHMETIC, ...COMPARISONS]);
    const bool = COMPARISONS.includes(op) && this.#chance(0.4) ? ' bool' : '';
    if (this.#chance(0.5)) return `(${lhs}) ${op}${bool} (${rhs})`;
    const on = `${this.#pick(['on', 'ignoring'])} (${this.#pick(['instance', 'job', 'instance, job', 'le', ''])})`;
    const group = this.#chance(0.5) ? ` ${this.#pick(['group_left', 'group_right'])} ()` : '';
    return `(${lhs}) ${op}${bool} ${on}${group} (sum by (instance, job) (${rhs}))`;
  }
}

interface Reply {
  readonly status: string;
  readonly data?: { readonly resultType: string; readonly result: unknown };
  readonly error?: string;
  readonly warnings?: readonly string[];
  readonly infos?: readonly string[];
}

const seed = Number(seedText);
console.log(`${count} questions to ${url}, seed ${seed}`);
const random = seededRandom(seed);
const grammar = new Grammar(random);
let differences = 0;
let answered = 0;
for (let i = 0; i < Number(count); i++) {
  const expr = grammar.vector(1 + Math.floor(random() * 3));
  const startMs = 1767225600_000 + Math.floor(random() * 5_000_000);
  const stepMs = [1000, 15_000, 60_000, 37_500, 300_000][Math.floor(random() * 5)]!;
  const endMs = startMs + stepMs * Math.floor(random() * 12);
  const instant = random() < 0.3;
  const params = new URLSearchParams(
    instant
      ? { query: expr, time: String(startMs / 1000) }
      : { query: expr, start: String(startMs / 1000), end: String(endMs / 1000), step: String(stepMs / 1000) },
  );
  const reply = (await (await fetch(`${url}/api/v1/${instant ? 'query' : 'query_range'}?${params}`)).json()) as Reply;
  const own = await (instant
    ? engine.query(storage, { expr, timeMs: startMs }, context)
    : engine.queryRange(storage, { expr, startMs, endMs, stepMs }, context)
  ).catch((error: Error) => error);
  const difference = compare(reply, own);
  if (reply.status === 'success' && JSON.stringify(reply.data!.result) !== '[]') answered++;
  if (difference !== undefined) {
    differences++;
    console.log(`${params}\n  ${expr}\n  ${difference}`);
  }
}
console.log(`${differences} differences; ${answered} answers were not empty`);
process.exitCode = differences === 0 ? 0 : 1;

function compare(reply: Reply, own: QueryResult | Error): string | undefined {
  if (own instanceof Error) {
    return reply.status === 'error' ? sameError(reply.error!, own) : `failed: ${own.stack}`;
  }
  if (reply.status === 'error') return `did not fail: ${reply.error}`;
  const want = points(reply.data!.result as Series[]);
  const got = points(toSeries(own.value));
  for (const [key, value] of want) {
    const mine = got.get(key);
    if (mine === undefined) return `missing ${key} = ${value}`;
    if (!same(value, mine)) return `${key}: ${mine}, not ${value}`;
  }
  for (const key of got.keys()) if (!want.has(key)) return `surplus ${key} = ${got.get(key)}`;
  const notes = (list: readonly string[] | undefined): string => [...(list ?? [])].sort().join('\n    ');
  if (notes(reply.warnings) !== notes(own.warnings)) {
    return `warnings\n    ${notes(own.warnings)}\n  not\n    ${notes(reply.warnings)}`;
  }
  return notes(reply.infos) === notes(own.infos)
    ? undefined
    : `infos\n    ${notes(own.infos)}\n  not\n    ${notes(reply.infos)}`;
}

/** Which of several duplicates an error names is a matter of chance. */
function sameError(theirs: string, own: Error): string | undefined {
  const stem = (text: string): string => text.replace(/\{.*$/, '');
  return stem(theirs) === stem(own.message) ? undefined : `failed with "${own.message}", not "${theirs}"`;
}

interface Series {
  readonly metric: Record<string, string>;
  readonly value?: [number, string];
  readonly values?: [number, string][];
  readonly histogram?: [number, { count: string; sum: string }];
  readonly histograms?: [number, { count: string; sum: string }][];
}

function points(series: readonly Series[]): Map<string, number> {
  const out = new Map<string, number>();
  for (const { metric, value, values, histogram, histograms } of series) {
    const key = JSON.stringify(Object.entries(metric).sort());
    for (const [time, text] of values ?? (value === undefined ? [] : [value]))
      out.set(`${key} ${time}`, numberOf(text));
    for (const [time, { count: n, sum }] of histograms ?? (histogram === undefined ? [] : [histogram])) {
      out.set(`${key} ${time} count`, numberOf(n));
      out.set(`${key} ${time} sum`, numberOf(sum));
    }
  }
  return out;
}

function numberOf(text: string): number {
  return /Inf$/.test(text) ? (text.startsWith('-') ? -Infinity : Infinity) : Number(text);
}

/** Bit-equal but for what both languages compute in their own way. */
function same(a: number, b: number): boolean {
  if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return true;
  return Math.abs(a - b) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b));
}

function toSeries(value: QueryValue): Series[] {
  const both = (ms: number, number: number): [number, string] => [ms / 1000, String(number)];
  switch (value.type) {
    case 'vector':
      return value.samples.map(({ labels, timeMs, value: number, histogram }) => ({
        metric: labels.toJSON(),
        ...(histogram === undefined
          ? { value: both(timeMs, number) }
          : { histogram: [timeMs / 1000, { count: String(histogram.count), sum: String(histogram.sum) }] as const }),
      })) as Series[];
    case 'matrix':
      return value.series.map(({ labels, times, values, histograms }) => {
        const floats: [number, string][] = [];
        const native: [number, { count: string; sum: string }][] = [];
        for (let i = 0; i < times.length; i++) {
          const histogram = histograms?.[i];
          if (histogram === undefined) floats.push(both(times[i]!, values[i]!));
          else native.push([times[i]! / 1000, { count: String(histogram.count), sum: String(histogram.sum) }]);
        }
        return { metric: labels.toJSON(), values: floats, histograms: native };
      });
    default:
      return [];
  }
}
