import { assert } from '../../lib/assert.ts';
import { FLOAT, HISTOGRAM } from '../../storage/columns.ts';
import type { Kernel } from '../kernel.ts';
import { ByteWriter } from './bytes.ts';
import { COLUMN_VALUES_MAX, ColumnSetEncoder } from './column-set.ts';
import { addDigest, DIGEST_BYTES, Digester, STALE_HIGH, STALE_LOW } from './digest.ts';
import {
  type BlockKind,
  compress,
  DIGEST_BLOCK,
  encodeHead,
  HISTOGRAM_BLOCK,
  SERIES_BLOCK,
  STARTS_BLOCK,
  type StoredBlock,
  TIMES_BLOCK,
  VALUES_BLOCK,
} from './head.ts';
import { encodeHistogramBlock, hasHistograms, histogramSize } from './histogram-block.ts';
import { coldExports, SPECIAL } from './kernel.ts';
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

export interface GroupInput {
  readonly windowStartMs: number;
  readonly windowMs: number;
  /** In any order, none twice, each of at most COLUMN_VALUES_MAX samples. */
  readonly series: readonly GroupSeries[];
  /** Whether to keep each series' digest, for other holders of the same samples to compare with. */
  readonly seriesDigests: boolean;
}

export interface EncodedGroup {
  /** Head and body are the group; a row may hold the head and an object both. */
  readonly head: Uint8Array;
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

interface Prepared {
  readonly series: GroupSeries;
  readonly parts: readonly string[];
  readonly metric: string;
  timeColumn: number;
  flags: number;
}

/** Encodes groups with a kernel of its own, one at a time. */
export class GroupEncoder {
  readonly #kernel: Kernel;
  readonly #columns: ColumnSetEncoder;
  readonly #digester: Digester;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#columns = new ColumnSetEncoder(kernel);
    this.#digester = new Digester(kernel);
  }

  encode(input: GroupInput): EncodedGroup {
    assert(input.series.length > 0, 'a group without series');
    const all = prepare(input.series);
    const times = shareTimes(all);
    const body: StoredBlock[] = [];
    // Flags are known only when values are encoded, so series blocks come to be last and are put first.
    const values = this.#values(all);
    body.push(...this.#series(all));
    body.push(...this.#times(times));
    body.push(...values);
    const digest = new Uint8Array(DIGEST_BYTES);
    const digests = new Uint8Array(all.length * DIGEST_BYTES);
    all.forEach(({ series }, i) => {
      const own = digests.subarray(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES);
      this.#digester.add(series, own);
      addDigest(digest, own);
    });
    if (input.seriesDigests) {
      for (const [first, end] of labelRuns(all)) {
        body.push(stored(DIGEST_BLOCK, first, end - first, digests.subarray(first * DIGEST_BYTES, end * DIGEST_BYTES)));
      }
    }
    const metrics: { name: string; count: number }[] = [];
    for (const { metric } of all) {
      const last = metrics.at(-1);
      if (last?.name === metric) last.count++;
      else metrics.push({ name: metric, count: 1 });
    }
    const sampleCount = all.reduce((sum, { series }) => sum + series.times.length, 0);
    const summary = {
      windowStartMs: input.windowStartMs,
      windowMs: input.windowMs,
      firstMs: times.reduce((least, column) => Math.min(least, column[0]!), Number.POSITIVE_INFINITY),
      lastMs: times.reduce((most, column) => Math.max(most, column.at(-1)!), Number.NEGATIVE_INFINITY),
      seriesCount: all.length,
      sampleCount,
      digest,
    };
    return {
      head: encodeHead(summary, metrics, body),
      body: Buffer.concat(body.map((block) => block.stored)),
      digest,
      seriesCount: all.length,
      sampleCount,
      metrics: metrics.map(({ name }) => Buffer.from(name, 'latin1').toString('utf8')),
    };
  }

  /** Values, histograms and start timestamps, by the same runs. */
  #values(all: readonly Prepared[]): StoredBlock[] {
    const values: StoredBlock[] = [];
    const histograms: StoredBlock[] = [];
    const starts: StoredBlock[] = [];
    const labelEnds = labelRuns(all).map(([, end]) => end);
    for (let first = 0; first < all.length; ) {
      const planned = Math.min(runEnd(all, first), labelEnds.find((end) => end > first)!);
      const total = all.slice(first, planned).reduce((sum, { series }) => sum + series.times.length, 0);
      this.#columns.begin(planned - first, total);
      let end = first;
      while (end < planned && this.#columns.rawBytes < RUN_RAW_BYTES_MAX) this.#addValues(all[end++]!);
      const run = all.slice(first, end);
      const ids = run.map((each) => each.timeColumn);
      values.push({
        ...stored(VALUES_BLOCK, first, run.length, this.#columns.finish()),
        timesFirst: Math.min(...ids),
        timesLast: Math.max(...ids),
      });
      histograms.push(...this.#histograms(run, first));
      if (run.some(({ series }) => series.starts !== undefined)) starts.push(this.#starts(run, first));
      first = end;
    }
    return [...values, ...histograms, ...starts];
  }

  #addValues(prepared: Prepared): void {
    const { series } = prepared;
    const n = series.times.length;
    const at = this.#columns.input(n);
    this.#kernel.f64.set(series.values, at / 8);
    const mixed = series.kinds?.some((kind) => kind !== FLOAT) ?? false;
    if (mixed) this.#putKinds(series.kinds!, at);
    const flags = this.#columns.addInput(n);
    const histograms = mixed && hasHistograms(series);
    prepared.flags =
      (flags & SPECIAL ? FLAG_SPECIAL : 0) |
      (histograms ? FLAG_HISTOGRAMS : flags & FLAG_MONOTONE) |
      (series.starts === undefined ? 0 : FLAG_STARTS);
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

  /** Blocks for the series of a run that have histograms; several where they are many or large. */
  #histograms(run: readonly Prepared[], first: number): StoredBlock[] {
    const blocks: StoredBlock[] = [];
    let part: [number, GroupSeries][] = [];
    let from = 0;
    let cells = 0;
    const close = (to: number) => {
      if (part.length > 0) {
        blocks.push(stored(HISTOGRAM_BLOCK, first + from, to - from, encodeHistogramBlock(this.#columns, part)));
      }
      part = [];
      cells = 0;
    };
    run.forEach(({ series, flags }, i) => {
      if ((flags & FLAG_HISTOGRAMS) === 0) return;
      if (part.length === 0) from = i;
      part.push([i - from, series]);
      cells += histogramSize(series).values;
      if (cells >= RUN_VALUES_MAX) close(i + 1);
    });
    close(run.length);
    return blocks;
  }

  #starts(run: readonly Prepared[], first: number): StoredBlock {
    const columns = run.map(({ series }) => series.starts ?? new Float64Array(series.times.length));
    this.#columns.begin(
      run.length,
      columns.reduce((sum, column) => sum + column.length, 0),
    );
    for (const column of columns) this.#columns.add(column);
    const out = new ByteWriter();
    writePlanes(
      out,
      Float64Array.from(columns, (column) => column[0]!),
    );
    out.bytes(this.#columns.finish());
    return stored(STARTS_BLOCK, first, run.length, out.done());
  }

  #series(all: readonly Prepared[]): StoredBlock[] {
    return labelRuns(all).map(([first, end]) => {
      const run = all.slice(first, end);
      const raw = encodeSeriesBlock(
        run.map((each) => each.parts),
        {
          timeColumns: Uint32Array.from(run, (each) => each.timeColumn),
          flags: Uint8Array.from(run, (each) => each.flags),
          counts: Uint32Array.from(run, ({ series }) => series.times.length),
          firsts: this.#ends(run, () => 0),
          lasts: this.#ends(run, (series) => series.times.length - 1),
        },
      );
      return stored(SERIES_BLOCK, first, run.length, raw);
    });
  }

  /** The bits of a sample of each series as its value column has them. */
  #ends(run: readonly Prepared[], indexOf: (series: GroupSeries) => number): Float64Array {
    const out = new Float64Array(run.length);
    run.forEach(({ series }, i) => {
      const index = indexOf(series);
      const mixed = series.kinds?.some((kind) => kind !== FLOAT) ?? false;
      if (!mixed) {
        out.set(series.values.subarray(index, index + 1), i);
        return;
      }
      const at = this.#columns.input(series.times.length);
      this.#kernel.f64.set(series.values, at / 8);
      this.#putKinds(series.kinds!, at);
      out.set(this.#kernel.f64.subarray(at / 8 + index, at / 8 + index + 1), i);
    });
    return out;
  }

  #times(columns: readonly Float64Array[]): StoredBlock[] {
    const blocks: StoredBlock[] = [];
    for (let first = 0; first < columns.length; ) {
      let values = 0;
      let end = first;
      while (end < columns.length && (end === first || values + columns[end]!.length <= TIMES_RUN_VALUES_MAX)) {
        values += columns[end++]!.length;
      }
      const run = columns.slice(first, end);
      const out = new ByteWriter();
      for (const column of run) out.uvarint(column.length);
      for (const column of run) out.f64(this.#gap(column));
      writePlanes(
        out,
        Float64Array.from(run, (column) => column[0]!),
      );
      this.#columns.begin(run.length, values);
      for (const column of run) this.#columns.add(column);
      out.bytes(this.#columns.finish());
      blocks.push(stored(TIMES_BLOCK, first, run.length, out.done()));
      first = end;
    }
    return blocks;
  }

  #gap(times: Float64Array): number {
    const at = this.#columns.input(times.length);
    this.#kernel.f64.set(times, at / 8);
    const gap = coldExports(this.#kernel).coldGap(at, times.length);
    assert(gap >= 0, 'times that do not ascend or are no whole milliseconds');
    return gap;
  }
}

function stored(kind: BlockKind, first: number, count: number, raw: Uint8Array): StoredBlock {
  return { kind, first, count, rawBytes: raw.length, stored: compress(raw), timesFirst: 0, timesLast: 0 };
}

/** Series with their labels taken apart, in the order of the group: by metric, then by label bytes. */
function prepare(series: readonly GroupSeries[]): Prepared[] {
  const all = series.map((each) => {
    const n = each.times.length;
    assert(n > 0 && n <= COLUMN_VALUES_MAX && n === each.values.length, 'a series of no, too many or uneven samples');
    assert(each.kinds === undefined || each.kinds.length === n, 'kinds of another length');
    assert(each.starts === undefined || each.starts.length === n, 'start timestamps of another length');
    const parts = labelParts(each.labels);
    return { series: each, parts, metric: metricOf(parts), timeColumn: 0, flags: 0 };
  });
  all.sort((a, b) => {
    if (a.metric !== b.metric) return a.metric < b.metric ? -1 : 1;
    return Buffer.compare(a.series.labels, b.series.labels);
  });
  for (let i = 1; i < all.length; i++) {
    assert(Buffer.compare(all[i - 1]!.series.labels, all[i]!.series.labels) !== 0, 'a series twice in a group');
  }
  return all;
}

/** Gives each series the number of its time column, and returns the columns, in the order of first use. */
function shareTimes(all: readonly Prepared[]): Float64Array[] {
  const columns: Float64Array[] = [];
  const known = new Map<Float64Array, number>();
  const alike = new Map<string, number[]>();
  for (const prepared of all) {
    const { times } = prepared.series;
    let id = known.get(times);
    if (id === undefined) {
      const key = `${times.length} ${times[0]} ${times[times.length >> 1]} ${times.at(-1)}`;
      let candidates = alike.get(key);
      if (candidates === undefined) {
        candidates = [];
        alike.set(key, candidates);
      }
      id = candidates.find((candidate) => equalBytes(columns[candidate]!, times));
      if (id === undefined) {
        id = columns.length;
        columns.push(times);
        candidates.push(id);
      }
      known.set(times, id);
    }
    prepared.timeColumn = id;
  }
  return columns;
}

function equalBytes(a: Float64Array, b: Float64Array): boolean {
  return (
    Buffer.compare(
      new Uint8Array(a.buffer, a.byteOffset, a.byteLength),
      new Uint8Array(b.buffer, b.byteOffset, b.byteLength),
    ) === 0
  );
}

/** Where the run of values that begins at `first` ends at the latest. */
function runEnd(all: readonly Prepared[], first: number): number {
  let values = 0;
  for (let i = first; i < all.length; i++) {
    const { series, metric } = all[i]!;
    if (i > first) {
      if (i - first >= RUN_SERIES_MAX || values + series.times.length > RUN_VALUES_MAX) return i;
      if (values >= RUN_VALUES_ENOUGH && metric !== all[i - 1]!.metric) return i;
    }
    values += series.times.length;
  }
  return all.length;
}

/** Runs of series whose labels share a sub-block, and so their symbols. */
function labelRuns(all: readonly Prepared[]): [first: number, end: number][] {
  const runs: [number, number][] = [];
  let first = 0;
  for (let i = 1; i <= all.length; i++) {
    const count = i - first;
    const enough = i < all.length && count >= LABEL_RUN_ENOUGH && all[i]!.metric !== all[i - 1]!.metric;
    if (i === all.length || enough || count >= LABEL_RUN_MAX) {
      runs.push([first, i]);
      first = i;
    }
  }
  return runs;
}
