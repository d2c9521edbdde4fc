import { assert } from '../../lib/assert.ts';
import { ByteWriter } from '../../lib/bytes.ts';
import { FLOAT, HISTOGRAM } from '../../storage/columns.ts';
import type { Kernel } from '../kernel.ts';
import { COLUMN_VALUES_MAX, ColumnSetEncoder } from './column-set.ts';
import { addDigest, DIGEST_BYTES, Digester, STALE_HIGH, STALE_LOW } from './digest.ts';
import {
  type BlockKind,
  compress,
  DIGEST_BLOCK,
  encodeHeader,
  HISTOGRAM_BLOCK,
  SERIES_BLOCK,
  STARTS_BLOCK,
  type StoredBlock,
  TIMES_BLOCK,
  VALUES_BLOCK,
} from './header.ts';
import { encodeHistogramBlock, hasHistograms, histogramSize } from './histogram-block.ts';
import { writePlanes } from './planes.ts';
import {
  FLAG_HISTOGRAMS,
  FLAG_MONOTONE,
  FLAG_SPECIAL,
  FLAG_STARTS,
  type GroupSeries,
  labelParts,
  metricOf,
} from './series.ts';
import { encodeSeriesBlock } from './series-block.ts';

/** A group apart from its series: the window that it covers, and whether it keeps their digests. */
export interface GroupFrame {
  readonly windowStartMs: number;
  readonly windowMs: number;
  /** Whether to keep each series' digest, for other holders of the same samples to compare with. */
  readonly seriesDigests: boolean;
}

export interface GroupInput extends GroupFrame {
  /** In any order, none twice, each of at most COLUMN_VALUES_MAX samples. */
  readonly series: readonly GroupSeries[];
}

export interface EncodedGroup {
  /** Header and body are the group; a row may hold the header and an object both. */
  readonly header: Uint8Array;
  readonly body: Uint8Array;
  readonly digest: Uint8Array;
  readonly seriesCount: number;
  readonly sampleCount: number;
  /** Ascending, as text. */
  readonly metrics: readonly string[];
}

// A run of series shares a sub-block until one of these is reached, …
const RUN_SERIES_MAX = 512;
const RUN_VALUES_MAX = 131072;
const RUN_RAW_BYTES_MAX = 224 * 1024;
// … or, where the metric changes, these: metrics of few series share one, so that small tenants pay for few.
const RUN_VALUES_ENOUGH = 16384;
const TIMES_RUN_VALUES_MAX = 65536;
const LABEL_RUN_ENOUGH = 2048;
const LABEL_RUN_MAX = 8192;
/** Values of time columns that a series is compared with, of those that are encoded already: older ones are then stored twice. */
const TIMES_KNOWN_VALUES_MAX = 1 << 20;
// Bytes of a header at most before zstd, beside the names of its metrics: its fixed part, a metric, a sub-block.
const HEADER_BYTES = 128;
const HEADER_METRIC_BYTES = 16;
const HEADER_BLOCK_BYTES = 40;
/** In what coldEncode answers: a NaN (a stale marker or any other) is there. */
const SPECIAL = 2;
/** Bytes that a series takes in series blocks at most before zstd, beside its labels. */
const SERIES_BYTES = 40;

/** A series of the open run of values that has histograms or start timestamps. */
interface RichSeries {
  /** Within the run. */
  readonly index: number;
  readonly series: GroupSeries;
  readonly hasHistograms: boolean;
}

/**
 * Encodes groups with a kernel of its own, one at a time: `begin`, `add` series after series, `finish`. Holds what is encoded, and
 * besides the labels of a few thousand series and the values of a run.
 */
export class GroupEncoder {
  readonly #kernel: Kernel;
  readonly #columns: ColumnSetEncoder;
  readonly #timeColumns: ColumnSetEncoder;
  readonly #digester: Digester;
  #frame: GroupFrame = { windowStartMs: 0, windowMs: 0, seriesDigests: false };
  /** By kind, in the order in which they lie in a group. */
  #blocks: StoredBlock[][] = [];
  #blockCount = 0;
  /** Compressed so far. */
  storedBytes = 0;
  #metrics: { name: string; count: number }[] = [];
  #metricBytes = 0;
  #firstMs = 0;
  #lastMs = 0;
  readonly #digest = new Uint8Array(DIGEST_BYTES);
  seriesCount = 0;
  sampleCount = 0;

  // The series since the last series block.
  readonly #labels = {
    parts: [] as string[][],
    bytes: 0,
    timeColumns: new Uint32Array(LABEL_RUN_MAX),
    flags: new Uint8Array(LABEL_RUN_MAX),
    counts: new Uint32Array(LABEL_RUN_MAX),
    firsts: new Float64Array(LABEL_RUN_MAX),
    lasts: new Float64Array(LABEL_RUN_MAX),
    digests: new Uint8Array(LABEL_RUN_MAX * DIGEST_BYTES),
  };
  // The series since the last values block.
  #run = { series: 0, values: 0, timesFirst: 0, timesLast: 0, rich: [] as RichSeries[], richBytes: 0 };
  // Time columns since the last times block, and all that series are compared with.
  #times = { first: 0, columns: [] as Float64Array[], values: 0 };
  readonly #known = new Map<number, { id: number; times: Float64Array }[]>();
  #knownValues = 0;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#columns = new ColumnSetEncoder(kernel);
    this.#timeColumns = new ColumnSetEncoder(kernel);
    this.#digester = new Digester(kernel);
  }

  /** A whole group at once. */
  encode(input: GroupInput): EncodedGroup {
    assert(input.series.length > 0, 'a group without series');
    this.begin(input);
    const sorted = sortedByMetric(input.series);
    for (let i = 0; i < sorted.length; i++) {
      if (i > 0) assert(Buffer.compare(sorted[i - 1]!.labels, sorted[i]!.labels) !== 0, 'a series twice in a group');
      this.add(sorted[i]!);
    }
    return this.finish();
  }

  /** Begins a group; one that was not finished is forgotten. */
  begin(frame: GroupFrame): void {
    this.#frame = frame;
    this.#blocks = [[], [], [], [], [], [], []];
    this.#blockCount = 0;
    this.storedBytes = 0;
    this.#metrics = [];
    this.#metricBytes = 0;
    this.#firstMs = Number.POSITIVE_INFINITY;
    this.#lastMs = Number.NEGATIVE_INFINITY;
    this.#digest.fill(0);
    this.seriesCount = 0;
    this.sampleCount = 0;
    this.#labels.parts = [];
    this.#labels.bytes = 0;
    this.#times = { first: 0, columns: [], values: 0 };
    this.#forgetTimes();
    this.#beginRun();
  }

  /**
   * Adds a series, which may be changed afterwards. Metrics ascend by bytes; that the series of a metric ascend by labels makes the
   * group smaller. None comes twice, none has more than COLUMN_VALUES_MAX samples.
   * @param parts its `labelParts`, where they are known
   */
  add(series: GroupSeries, parts: string[] = labelParts(series.labels)): void {
    const n = series.times.length;
    assert(n > 0 && n <= COLUMN_VALUES_MAX && n === series.values.length, 'a series of no, too many or uneven samples');
    assert(series.kinds === undefined || series.kinds.length === n, 'kinds of another length');
    assert(series.starts === undefined || series.starts.length === n, 'start timestamps of another length');
    this.#makeRoom(n, metricOf(parts));
    this.#countMetric(metricOf(parts));
    const labels = this.#labels;
    const at = labels.parts.length;
    labels.parts.push(parts);
    labels.bytes += series.labels.length + SERIES_BYTES;
    const column = this.#timeColumn(series.times);
    labels.timeColumns[at] = column;
    labels.counts[at] = n;
    labels.flags[at] = this.#addValues(series, at);
    const run = this.#run;
    if (run.series === 0 || column < run.timesFirst) run.timesFirst = column;
    if (run.series === 0 || column > run.timesLast) run.timesLast = column;
    run.series++;
    run.values += n;
    const digest = labels.digests.subarray(at * DIGEST_BYTES, (at + 1) * DIGEST_BYTES).fill(0);
    this.#digester.add(series, digest);
    addDigest(this.#digest, digest);
    this.seriesCount++;
    this.sampleCount += n;
    this.#firstMs = Math.min(this.#firstMs, series.times[0]!);
    this.#lastMs = Math.max(this.#lastMs, series.times[n - 1]!);
  }

  /** Bytes that the header takes at most. */
  get headerBytesMost(): number {
    return HEADER_BYTES + this.#metricBytes + HEADER_BLOCK_BYTES * (this.#blockCount + 8);
  }

  /** Bytes that the body takes at most: what is not compressed yet counts as it is. */
  get bodyBytesMost(): number {
    const { richBytes, series } = this.#run;
    const open = (series === 0 ? 0 : this.#columns.rawBytes) + richBytes + this.#labels.bytes + 9 * this.#times.values;
    return this.storedBytes + (open === 0 ? 0 : open + 256);
  }

  /** Closes what is open, so that `bodyBytesMost` is exact. */
  settle(): void {
    this.#closeLabels();
    this.#closeTimes();
  }

  finish(): EncodedGroup {
    assert(this.seriesCount > 0, 'a group without series');
    this.settle();
    this.#forgetTimes();
    const blocks = this.#blocks.flat();
    const { windowStartMs, windowMs } = this.#frame;
    const digest = this.#digest.slice();
    const { seriesCount, sampleCount } = this;
    const summary = {
      windowStartMs,
      windowMs,
      firstMs: this.#firstMs,
      lastMs: this.#lastMs,
      seriesCount,
      sampleCount,
      digest,
    };
    this.#blocks = [];
    return {
      header: encodeHeader(summary, this.#metrics, blocks),
      body: Buffer.concat(blocks.map((block) => block.stored)),
      digest,
      seriesCount,
      sampleCount,
      metrics: this.#metrics.map(({ name }) => Buffer.from(name, 'latin1').toString('utf8')),
    };
  }

  #countMetric(metric: string): void {
    const last = this.#metrics.at(-1);
    if (last?.name === metric) {
      last.count++;
      return;
    }
    assert(last === undefined || last.name < metric, 'metrics that do not ascend');
    this.#metrics.push({ name: metric, count: 1 });
    this.#metricBytes += metric.length + HEADER_METRIC_BYTES;
  }

  /** Closes what the next series does not fit into. */
  #makeRoom(samples: number, metric: string): void {
    const isNew = this.#metrics.at(-1)?.name !== metric;
    const { parts } = this.#labels;
    if (parts.length >= LABEL_RUN_MAX || (isNew && parts.length >= LABEL_RUN_ENOUGH)) this.#closeLabels();
    const { series, values } = this.#run;
    if (series === 0) return;
    if (
      series >= RUN_SERIES_MAX ||
      values + samples > RUN_VALUES_MAX ||
      (isNew && values >= RUN_VALUES_ENOUGH) ||
      this.#columns.rawBytes >= RUN_RAW_BYTES_MAX
    ) {
      this.#closeRun();
    }
  }

  #beginRun(): void {
    this.#run = { series: 0, values: 0, timesFirst: 0, timesLast: 0, rich: [], richBytes: 0 };
    this.#columns.begin(RUN_SERIES_MAX, RUN_VALUES_MAX);
  }

  /** @returns the flags of the series */
  #addValues(series: GroupSeries, index: number): number {
    const n = series.times.length;
    const at = this.#columns.input(n);
    this.#kernel.f64.set(series.values, at / 8);
    const mixed = series.kinds?.some((kind) => kind !== FLOAT) ?? false;
    if (mixed) this.#putKinds(series.kinds!, at);
    const { f64 } = this.#kernel;
    this.#labels.firsts.set(f64.subarray(at / 8, at / 8 + 1), index);
    this.#labels.lasts.set(f64.subarray(at / 8 + n - 1, at / 8 + n), index);
    const flags = this.#columns.addInput(n);
    const histograms = mixed && hasHistograms(series);
    if (histograms || series.starts !== undefined) this.#keepRich(series, histograms);
    return (
      (flags & SPECIAL ? FLAG_SPECIAL : 0) |
      (histograms ? FLAG_HISTOGRAMS : flags & FLAG_MONOTONE) |
      (series.starts === undefined ? 0 : FLAG_STARTS)
    );
  }

  /** Histograms and starts are encoded with the run; until then they are kept. */
  #keepRich(series: GroupSeries, hasHistograms: boolean): void {
    const { rich, series: index } = this.#run;
    const { times, values, kinds, starts, histograms } = series;
    const kept = {
      labels: series.labels,
      times: times.slice(),
      values: values.slice(),
      kinds: kinds?.slice(),
      starts: starts?.slice(),
      histograms: histograms?.slice(),
    };
    rich.push({ index, series: kept, hasHistograms });
    this.#run.richBytes += 9 * times.length + (hasHistograms ? 10 * histogramSize(series).values : 0);
  }

  /** In place of what is no float: the stale marker, and where a histogram stands the value before, which costs nothing. */
  #putKinds(kinds: Uint8Array, at: number): void {
    const { view } = this.#kernel;
    kinds.forEach((kind, i) => {
      const to = at + 8 * i;
      if (kind === HISTOGRAM) {
        view.setUint32(to, i === 0 ? 0 : view.getUint32(to - 8, true), true);
        view.setUint32(to + 4, i === 0 ? 0 : view.getUint32(to - 4, true), true);
      } else if (kind !== FLOAT) {
        view.setUint32(to, STALE_LOW, true);
        view.setUint32(to + 4, STALE_HIGH, true);
      }
    });
  }

  #store(kind: BlockKind, first: number, count: number, raw: Uint8Array, timesFirst = 0, timesLast = 0): void {
    const block = { kind, first, count, rawBytes: raw.length, stored: compress(raw), timesFirst, timesLast };
    this.#blocks[kind]!.push(block);
    this.#blockCount++;
    this.storedBytes += block.stored.length;
  }

  /** Values, histograms and start timestamps of the open run. */
  #closeRun(): void {
    const { series, timesFirst, timesLast, rich } = this.#run;
    if (series === 0) return;
    const first = this.seriesCount - series;
    this.#store(VALUES_BLOCK, first, series, this.#columns.finish(), timesFirst, timesLast);
    this.#storeHistograms(rich, first);
    if (rich.some((each) => each.series.starts !== undefined)) this.#storeStarts(rich, first, series);
    this.#beginRun();
  }

  /** Blocks for the series of a run that have histograms; several where they are many or large. */
  #storeHistograms(rich: readonly RichSeries[], first: number): void {
    let part: RichSeries[] = [];
    let cells = 0;
    const close = () => {
      if (part.length === 0) return;
      const from = part[0]!.index;
      const series = part.map(({ index, series }): [number, GroupSeries] => [index - from, series]);
      const raw = encodeHistogramBlock(this.#columns, series);
      this.#store(HISTOGRAM_BLOCK, first + from, part.at(-1)!.index + 1 - from, raw);
      part = [];
      cells = 0;
    };
    for (const each of rich) {
      if (!each.hasHistograms) continue;
      part.push(each);
      cells += histogramSize(each.series).values;
      if (cells >= RUN_VALUES_MAX) close();
    }
    close();
  }

  #storeStarts(rich: readonly RichSeries[], first: number, count: number): void {
    const known = new Map(rich.map(({ index, series }) => [index, series.starts]));
    const { counts, parts } = this.#labels;
    const from = parts.length - count;
    const columns = Array.from({ length: count }, (_, i) => known.get(i) ?? new Float64Array(counts[from + i]!));
    this.#columns.begin(
      count,
      columns.reduce((sum, column) => sum + column.length, 0),
    );
    for (const column of columns) this.#columns.add(column);
    const out = new ByteWriter();
    writePlanes(
      out,
      Float64Array.from(columns, (column) => column[0]!),
    );
    out.bytes(this.#columns.finish());
    this.#store(STARTS_BLOCK, first, count, out.done());
  }

  /** Blocks about series lie within one series block, so the run ends with it. */
  #closeLabels(): void {
    this.#closeRun();
    const labels = this.#labels;
    const count = labels.parts.length;
    if (count === 0) return;
    const first = this.seriesCount - count;
    const raw = encodeSeriesBlock(labels.parts, {
      timeColumns: labels.timeColumns.subarray(0, count),
      flags: labels.flags.subarray(0, count),
      counts: labels.counts.subarray(0, count),
      firsts: labels.firsts.subarray(0, count),
      lasts: labels.lasts.subarray(0, count),
    });
    this.#store(SERIES_BLOCK, first, count, raw);
    if (this.#frame.seriesDigests) {
      this.#store(DIGEST_BLOCK, first, count, labels.digests.subarray(0, count * DIGEST_BYTES));
    }
    labels.parts = [];
    labels.bytes = 0;
  }

  /** The number of the column with these times, in the order of first use. */
  #timeColumn(times: Float64Array): number {
    const n = times.length;
    const key = times[0]! + 3 * times[n >> 1]! + 5 * times[n - 1]! + n;
    let alike = this.#known.get(key);
    const known = alike?.find((each) => equalBytes(each.times, times));
    if (known !== undefined) return known.id;
    if (this.#times.values > 0 && this.#times.values + n > TIMES_RUN_VALUES_MAX) this.#closeTimes();
    if (this.#knownValues + n > TIMES_KNOWN_VALUES_MAX) {
      this.#forgetTimes();
      alike = undefined;
    }
    const own = times.slice();
    const id = this.#times.first + this.#times.columns.length;
    this.#times.columns.push(own);
    this.#times.values += n;
    this.#knownValues += n;
    if (alike === undefined) this.#known.set(key, [{ id, times: own }]);
    else alike.push({ id, times: own });
    return id;
  }

  #forgetTimes(): void {
    this.#known.clear();
    this.#knownValues = 0;
  }

  #closeTimes(): void {
    const { first, columns, values } = this.#times;
    if (columns.length === 0) return;
    const out = new ByteWriter();
    for (const column of columns) out.uvarint(column.length);
    for (const column of columns) out.f64(this.#gap(column));
    writePlanes(
      out,
      Float64Array.from(columns, (column) => column[0]!),
    );
    this.#timeColumns.begin(columns.length, values);
    for (const column of columns) this.#timeColumns.add(column);
    out.bytes(this.#timeColumns.finish());
    this.#store(TIMES_BLOCK, first, columns.length, out.done());
    this.#times = { first: first + columns.length, columns: [], values: 0 };
  }

  #gap(times: Float64Array): number {
    const at = this.#timeColumns.input(times.length);
    this.#kernel.f64.set(times, at / 8);
    const gap = this.#kernel.exports.largestGap(at, times.length);
    assert(gap >= 0, 'times that do not ascend or are no whole milliseconds');
    return gap;
  }
}

/** In the order of a group: by metric, then by label bytes. */
export function sortedByMetric(series: readonly GroupSeries[]): GroupSeries[] {
  return series
    .map((each) => ({ each, metric: metricOf(labelParts(each.labels)) }))
    .sort((a, b) => {
      if (a.metric !== b.metric) return a.metric < b.metric ? -1 : 1;
      return Buffer.compare(a.each.labels, b.each.labels);
    })
    .map(({ each }) => each);
}

function equalBytes(a: Float64Array, b: Float64Array): boolean {
  return (
    Buffer.compare(
      new Uint8Array(a.buffer, a.byteOffset, a.byteLength),
      new Uint8Array(b.buffer, b.byteOffset, b.byteLength),
    ) === 0
  );
}
