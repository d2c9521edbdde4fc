import { rename } from 'node:fs/promises';
import { Kernel } from '../../chunk/kernel.ts';
import { ChunkStoreReader } from '../../chunkstore/reader.ts';
import { duration, text } from '../../kit/config/field.ts';
import { section } from '../../kit/config/section.ts';
import { DAY_MS } from '../../lib/day.ts';
import { systemRandom } from '../../lib/random.ts';
import { type Labels, METRIC_NAME } from '../../model/labels.ts';
import { LabelMatcher } from '../../model/matcher.ts';
import { METRIC_TYPES, type MetricMetadata } from '../../model/metric-metadata.ts';
import { ParseError } from '../../promql/parser/error.ts';
import { parseMetricSelector } from '../../promql/parser/parser.ts';
import { FLOAT, SampleColumns } from '../../storage/columns.ts';
import { unlimited } from '../../storage/unlimited.ts';
import { exportBlocks } from './blocks/export-blocks.ts';
import { end, outputFile, print } from './output.ts';
import { checkTime, timeOf } from './time-option.ts';
import { DONE, tool, UsageError } from './tool.ts';

const EARLIEST_MS = -(2 ** 52);
const LATEST_MS = 2 ** 52;
const PIECE_CHARS = 64 * 1024;

export const exportTool = tool({
  summary: "Write a tenant's samples as OpenMetrics text or Prometheus blocks.",
  description: [
    'Metric by metric and, within a metric, day by day, so that memory is needed for one metric and day only: the samples',
    'of a series stand together day by day, which importers take, though the format wants them together altogether.',
    'Native histograms and stale markers have no form in OpenMetrics 1.0; they are left out and counted.',
    'With -blocks they become blocks of Prometheus, native histograms and stale markers too; start timestamps are left out.',
    'Prometheus reads them from its data folder when it starts.',
    'Only what was flushed is in the store: POST /ingester/flush?wait=true first for the rest.',
  ].join('\n'),
  options: section('', 'export', {
    tenant: text({ default: 'anonymous', help: 'Whose samples.' }),
    match: text({ default: '{__name__=~".+"}', help: 'Selector of series.' }),
    from: text({ help: 'Earliest time: Unix seconds or RFC 3339. Empty: all.', check: checkTime }),
    until: text({ help: 'Latest time. Empty: all.', check: checkTime }),
    file: text({ default: '-', help: 'Where to; - is standard output.' }),
    blocks: text({ help: 'Folder in which to make blocks, in place of -file.' }),
    blockRangeMs: duration({ default: '1d', min: '1m', help: 'Time that a block is for.' }),
  }),
  async run({ options, openStore, clock, output, progress, signal }) {
    const matchers = selectorOf(options.match);
    const startMs = timeOf(options.from) ?? EARLIEST_MS;
    const endMs = timeOf(options.until) ?? LATEST_MS;
    const { schema } = await openStore();
    const reader = new ChunkStoreReader(schema, Kernel.create(), clock);
    const context = unlimited(signal);
    const { tenant } = options;
    if (options.blocks !== '') {
      if (options.file !== '-') throw new UsageError('-blocks and -file do not go together');
      const { blocks, samples } = await exportBlocks({
        reader,
        tenant,
        matchers,
        startMs,
        endMs,
        rangeMs: options.blockRangeMs,
        folder: options.blocks,
        random: systemRandom,
        progress,
        context,
      });
      await print(output, `${samples} samples in ${blocks} blocks\n`);
      return DONE;
    }
    const days = await reader.index.days(tenant, startMs, endMs, context);
    const names = await reader.labelValues(tenant, METRIC_NAME, [], startMs, endMs, context);
    const about = matchers.filter(({ name }) => name === METRIC_NAME);
    const wanted = names.filter((name) => about.every((matcher) => matcher.matches(name)));
    const families = familiesOf(wanted, await reader.metadata(tenant, startMs, endMs, context));

    const to = options.file === '-' ? output : outputFile(`${options.file}.new`);
    const totals = { series: 0, samples: 0, histograms: 0, stale: 0 };
    let piece = '';
    const flush = async () => {
      await print(to, piece);
      piece = '';
    };
    const columns = new SampleColumns();
    for (const { header, metrics } of families) {
      piece += header;
      for (const metric of metrics) {
        const name = LabelMatcher.of(METRIC_NAME, '=', metric);
        for (const day of days) {
          const range = { startMs: Math.max(startMs, day * DAY_MS), endMs: Math.min(endMs, (day + 1) * DAY_MS - 1) };
          const set = await reader.select(tenant, { matchers: [name, ...matchers], ...range }, context);
          for (let i = 0; i < set.series.length; i++) {
            set.read(i, columns);
            const series = showSeries(set.series[i]!);
            totals.series++;
            for (let k = 0; k < columns.count; k++) {
              if (!columns.plain && columns.kinds[k] !== FLOAT) {
                if (columns.histograms[k] === undefined) totals.stale++;
                else totals.histograms++;
                continue;
              }
              totals.samples++;
              piece += `${series} ${showValue(columns.values[k]!)} ${showTime(columns.times[k]!)}\n`;
            }
            if (piece.length >= PIECE_CHARS) await flush();
          }
          set.close();
          progress.at(() => `${metric}: ${totals.samples} samples so far`);
        }
      }
    }
    piece += '# EOF\n';
    await flush();
    if (to !== output) {
      await end(to);
      await rename(`${options.file}.new`, options.file);
    }
    progress.say(`${totals.samples} samples of ${families.length} metric families`);
    const left = totals.histograms + totals.stale;
    if (left > 0) progress.say(`left out: ${totals.histograms} native histograms, ${totals.stale} stale markers`);
    return DONE;
  },
});

function selectorOf(match: string): readonly LabelMatcher[] {
  try {
    return parseMetricSelector(match);
  } catch (thrown) {
    if (thrown instanceof ParseError) throw new UsageError(`-match: ${thrown.message}`);
    throw thrown;
  }
}

interface Family {
  /** `# TYPE`, `# HELP`, `# UNIT` lines. */
  readonly header: string;
  readonly metrics: readonly string[];
}

const OPEN_METRICS_TYPES: ReadonlySet<string> = new Set(METRIC_TYPES.filter((type) => type !== 'unknown'));
const PARTS: Readonly<Record<string, readonly string[]>> = {
  counter: ['_total'],
  histogram: ['_bucket', '_count', '_sum'],
  gaugehistogram: ['_bucket', '_gcount', '_gsum'],
  summary: ['', '_count', '_sum'],
  info: ['_info'],
};

/** Metrics by family: those of a histogram or summary together, as far as metadata tells. */
function familiesOf(names: readonly string[], metadata: readonly MetricMetadata[]): Family[] {
  const known = new Map(metadata.map((entry) => [entry.metric, entry]));
  const families = new Map<string, { entry: MetricMetadata | undefined; metrics: string[] }>();
  for (const name of names) {
    const found = familyOf(name, known);
    const family = found?.family ?? name;
    const of = families.get(family);
    if (of === undefined) families.set(family, { entry: found?.entry, metrics: [name] });
    else of.metrics.push(name);
  }
  return [...families].map(([family, { entry, metrics }]) => {
    const named = showName(family);
    const lines = [`# TYPE ${named} ${entry?.type ?? 'unknown'}\n`];
    if (entry !== undefined && entry.unit !== '' && family.endsWith(`_${entry.unit}`)) {
      lines.push(`# UNIT ${named} ${entry.unit}\n`);
    }
    if (entry !== undefined && entry.help !== '') lines.push(`# HELP ${named} ${escaped(entry.help)}\n`);
    return { header: lines.join(''), metrics };
  });
}

function familyOf(
  name: string,
  known: ReadonlyMap<string, MetricMetadata>,
): { family: string; entry: MetricMetadata } | undefined {
  for (const [type, suffixes] of Object.entries(PARTS)) {
    for (const suffix of suffixes) {
      if (!name.endsWith(suffix)) continue;
      const family = name.slice(0, name.length - suffix.length);
      // of counters the metadata is under the name with or without its suffix
      const entry = known.get(family) ?? (type === 'counter' ? known.get(name) : undefined);
      if (entry?.type === type && family !== '') return { family, entry };
    }
  }
  const entry = known.get(name);
  // what its type would want is not there: as a gauge, or unknown, any name will do
  return entry !== undefined && OPEN_METRICS_TYPES.has(entry.type) && !(entry.type in PARTS)
    ? { family: name, entry }
    : undefined;
}

function showSeries(labels: Labels): string {
  const rest: string[] = [];
  let metric = '';
  for (const [name, value] of labels) {
    if (name === METRIC_NAME) metric = value;
    else rest.push(`${showName(name)}="${escaped(value)}"`);
  }
  if (!isClassic(metric)) return `{${[`"${escaped(metric)}"`, ...rest].join(',')}}`;
  return rest.length === 0 ? metric : `${metric}{${rest.join(',')}}`;
}

function isClassic(name: string): boolean {
  return /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name);
}

function showName(name: string): string {
  return isClassic(name) ? name : `"${escaped(name)}"`;
}

function escaped(value: string): string {
  return value.replace(/[\\"\n]/g, (char) => (char === '\n' ? '\\n' : `\\${char}`));
}

function showValue(value: number): string {
  if (Object.is(value, -0)) return '-0';
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}

/** Seconds, such that a reader who cuts off what is below a millisecond gets the same. */
function showTime(timeMs: number): string {
  const plain = String(timeMs / 1000);
  if (Math.trunc(Number(plain) * 1000) === timeMs) return plain;
  return ((timeMs + (timeMs < 0 ? -0.5 : 0.5)) / 1000).toFixed(4);
}
