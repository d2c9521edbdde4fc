import xxhash from 'xxhash-wasm';
import { COLUMN_VALUES_MAX } from '../chunk/group/column-set.ts';
import { type EncodedGroup, GroupEncoder } from '../chunk/group/encode.ts';
import { HISTOGRAM_VALUES_MAX, histogramSize } from '../chunk/group/histogram-block.ts';
import { type GroupSeries, labelParts, metricOf } from '../chunk/group/series.ts';
import type { Kernel } from '../chunk/kernel.ts';
import { assert } from '../lib/assert.ts';
import { getOrMake } from '../lib/map.ts';
import { forEachAtOnce } from '../lib/semaphore.ts';
import { AppError } from '../model/errors.ts';
import type { MetricMetadata } from '../storage/ingester-client.ts';
import type { Row } from '../table/client.ts';
import { encodeInlineRow, encodeObjectRow, hexOf } from './group-row.ts';
import {
  contentId,
  dayOf,
  daysHash,
  daysRange,
  groupHash,
  labelHash,
  mergedRange,
  metadataHash,
  metadataRange,
  placementHash,
  placementRange,
  tenantsHash,
  tenantsRange,
  windowRange,
} from './keys.ts';
import { encodeLabelRow, type LabelValues } from './label-row.ts';
import { encodeMetadata } from './metadata-row.ts';
import { encodePlacement, type Placement, type Slot } from './placement.ts';
import type { Schema, StorePeriod, TableOfPeriod } from './schema.ts';
import { SeenRows } from './seen.ts';

const { h64Raw } = await xxhash();

/** The series of one tenant, slot and window, to be written as a group. */
export interface WriteGroup {
  readonly tenant: string;
  /** The placement by which `slot` was chosen; its row is written before the group's. */
  readonly placement: Placement;
  readonly slot: Slot;
  readonly windowStartMs: number;
  readonly windowMs: number;
  readonly series: readonly GroupSeries[];
  /** Present where this is what a day was merged into: the groups that it stands for from now on. */
  readonly replaces?: readonly Uint8Array[];
}

/** A group that the store has confirmed. One `WriteGroup` makes more than one where it is too large. */
export interface WrittenGroup {
  readonly tenant: string;
  readonly windowStartMs: number;
  /** Hex. */
  readonly id: string;
  readonly digest: Uint8Array;
  readonly seriesCount: number;
  readonly sampleCount: number;
  /** At rest. */
  readonly bytes: number;
}

export interface WriterOptions {
  /** Groups of at most so many bytes lie in their row, also where there are objects. */
  readonly inlineBytesMax?: number;
  /** An object is closed when it has so many bytes. */
  readonly objectBytesAimed?: number;
  /** Keep each series' digest in the groups, for other holders of the same samples. */
  readonly seriesDigests?: boolean;
  /** Requests to the store at once. */
  readonly writesAtOnce?: number;
  /** Memory for what label rows a day has already. */
  readonly seenBytesMax?: number;
}

const OPTIONS: Required<WriterOptions> = {
  inlineBytesMax: 16 * 1024,
  objectBytesAimed: 32 * 2 ** 20,
  seriesDigests: false,
  writesAtOnce: 8,
  seenBytesMax: 64 * 2 ** 20,
};

const LABEL_ROW_BYTES_AIMED = 64 * 1024;
/** New values of a label name lie in the overview row up to so many bytes, so that small tenants pay for few rows. */
const LABEL_OVERVIEW_BYTES_MAX = 1024;
const WRITE_ROWS_MAX = 256;
const WRITE_BYTES_MAX = 4 * 2 ** 20;

/** An encoded group that waits for others. What it was made of is not kept: a write may go through much more than memory holds. */
interface Made extends EncodedGroup {
  readonly group: Omit<WriteGroup, 'series'>;
  readonly id: Uint8Array;
  readonly target: TableOfPeriod;
}

/** Rows that lead to groups which are not stored yet, of one tenant and day. */
interface LeadingDay {
  readonly tenant: string;
  readonly day: number;
  readonly target: TableOfPeriod;
  readonly rows: Row[];
  /** Label name → value → slots, as Latin-1: what is new that day. */
  readonly fresh: Map<string, Map<string, Set<string>>>;
  /** Of `rows` and whole groups, and of single values: seen from when they are stored. */
  readonly rowHashes: Set<bigint>;
  readonly valueHashes: Set<bigint>;
}

/** By tenant and day. */
type Leading = Map<string, LeadingDay>;

/** Writes to the store what a flush hands over. All rows are additive and named by content, so writing again is harmless. */
export class ChunkStoreWriter {
  readonly #schema: Schema;
  readonly #encoder: GroupEncoder;
  readonly #options: Required<WriterOptions>;
  /** Rows that every group needs, and the label sets of whole groups: little, so that it stays, and is mostly all that is asked. */
  readonly #seenRows: SeenRows;
  /** Single values of labels: where many tenants take turns the oldest are forgotten. */
  readonly #seenValues: SeenRows;

  /** @param kernel to encode with; nothing else may use it while `write` runs */
  constructor(schema: Schema, kernel: Kernel, options: WriterOptions = {}) {
    this.#schema = schema;
    this.#encoder = new GroupEncoder(kernel);
    this.#options = { ...OPTIONS, ...options };
    this.#seenRows = new SeenRows(this.#options.seenBytesMax / 2);
    this.#seenValues = new SeenRows(this.#options.seenBytesMax / 2);
  }

  /**
   * Writes all groups and what leads to them. When it returns, the store has confirmed everything; when it throws, a part may be
   * there, and the same call again is harmless. Groups may come as they are made: memory is needed for about one object.
   */
  async write(batch: Iterable<WriteGroup> | AsyncIterable<WriteGroup>, signal?: AbortSignal): Promise<WrittenGroup[]> {
    const written: WrittenGroup[] = [];
    let pending: Made[] = [];
    let leading: Leading = new Map();
    let pendingBytes = 0;
    for await (const group of batch) {
      signal?.throwIfAborted();
      if (group.replaces !== undefined) {
        written.push(...(await this.#writeMerged(group, group.replaces, signal)));
        continue;
      }
      for (const made of this.#encode(group)) {
        pending.push(made);
        pendingBytes += made.head.length + made.body.length;
      }
      this.#lead(leading, group);
      // Encoding holds the thread; others get their turn between groups.
      await new Promise((resolve) => setImmediate(resolve));
      if (pendingBytes < this.#options.objectBytesAimed) continue;
      written.push(...(await this.#store(pending, leading, signal)));
      pending = [];
      leading = new Map();
      pendingBytes = 0;
    }
    if (pending.length > 0) written.push(...(await this.#store(pending, leading, signal)));
    return written;
  }

  /** The row that hides the sources comes last, when everything that stands for them is there. */
  async #writeMerged(
    group: WriteGroup,
    replaces: readonly Uint8Array[],
    signal?: AbortSignal,
  ): Promise<WrittenGroup[]> {
    const all = this.#encode(group);
    const leading: Leading = new Map();
    this.#lead(leading, group);
    const last = all.at(-1)!;
    const others = all.slice(0, -1).map((each) => ({ ...each, group: { ...each.group, replaces: [] } }));
    const ids = new Set(all.map((each) => hexOf(each.id)));
    const sources = replaces.filter((id) => !ids.has(hexOf(id)));
    return [
      ...(others.length > 0 ? await this.#store(others, leading, signal) : []),
      ...(await this.#store([{ ...last, group: { ...last.group, replaces: sources } }], leading, signal)),
    ];
  }

  async writeMetadata(
    tenant: string,
    timeMs: number,
    entries: readonly MetricMetadata[],
    signal?: AbortSignal,
  ): Promise<void> {
    const day = dayOf(timeMs);
    const rows: Row[] = [];
    const hashes: bigint[] = [];
    for (const entry of entries) {
      const value = encodeMetadata(entry);
      const seen = h64Raw(value, 1n);
      if (this.#seenRows.has(tenant, day, seen)) continue;
      hashes.push(seen);
      rows.push({ hash: metadataHash(tenant, day), range: metadataRange(entry.metric, contentId(value)), value });
    }
    await this.#put([{ target: this.#schema.tableOf(day), rows }], signal);
    this.#seenRows.add(tenant, day, hashes);
  }

  #encode(group: WriteGroup): Made[] {
    const target = this.#schema.tableOf(dayOf(group.windowStartMs));
    return splitLong(group.series).flatMap((series) => this.#encodeWithin(group, series, target));
  }

  /** Halves what does not fit into a row, or whose head does not. */
  #encodeWithin(group: WriteGroup, series: readonly GroupSeries[], target: TableOfPeriod): Made[] {
    const { windowStartMs, windowMs } = group;
    const { seriesDigests } = this.#options;
    const encoded = this.#encoder.encode({ windowStartMs, windowMs, series, seriesDigests });
    const { valueBytesMax } = target.period.tables.limits;
    const inRow = encoded.head.length + (target.period.objects === undefined ? encoded.body.length : 0) + 512;
    if (inRow > valueBytesMax) {
      if (series.length > 1) {
        const sorted = sortedByMetric(series);
        const half = sorted.length >> 1;
        return [sorted.slice(0, half), sorted.slice(half)].flatMap((part) => this.#encodeWithin(group, part, target));
      }
      const { times } = series[0]!;
      assert(times.length > 1, 'a sample that does not fit into a row');
      const half = times.length >> 1;
      return [sliceOf(series[0]!, 0, half), sliceOf(series[0]!, half, times.length)].flatMap((part) =>
        this.#encodeWithin(group, [part], target),
      );
    }
    const id = contentId(encoded.head, encoded.body);
    const { series: _, ...named } = group;
    return [{ ...encoded, group: named, id, target }];
  }

  async #store(made: readonly Made[], leading: Leading, signal?: AbortSignal): Promise<WrittenGroup[]> {
    const groupRows: Placed[] = [];
    const objects: PlannedObject[] = [];
    for (const [period, ofPeriod] of byKey(made, (each) => each.target.period)) {
      for (const [table, ofTable] of byKey(ofPeriod, (each) => each.target.table)) {
        this.#place(period, table, ofTable, groupRows, objects);
      }
    }
    await forEachAtOnce(objects, this.#options.writesAtOnce, ({ period, key, body }) =>
      period.objects!.put(key, body(), signal),
    );
    // What leads to a group is there before the group, and a group's row only when its object is.
    const leadingRows = [...leading.values()].map((each) => ({
      target: each.target,
      rows: [...each.rows, ...labelRows(each)],
    }));
    await this.#put(leadingRows, signal);
    await this.#put(groupRows, signal);
    for (const { tenant, day, rowHashes, valueHashes } of leading.values()) {
      this.#seenRows.add(tenant, day, rowHashes);
      this.#seenValues.add(tenant, day, valueHashes);
    }
    return made.map(({ group, id, digest, seriesCount, sampleCount, head, body }) => ({
      tenant: group.tenant,
      windowStartMs: group.windowStartMs,
      id: hexOf(id),
      digest,
      seriesCount,
      sampleCount,
      bytes: head.length + body.length,
    }));
  }

  /** Decides for each group of a table whether it lies in its row or in which object. */
  #place(period: StorePeriod, table: string, made: readonly Made[], rows: Placed[], objects: PlannedObject[]): void {
    const target = { period, table };
    const large: Made[] = [];
    for (const each of made) {
      const bytes = each.head.length + each.body.length;
      if (period.objects !== undefined && bytes > this.#options.inlineBytesMax) large.push(each);
      else rows.push({ target, rows: [groupRow(each, encodeInlineRow(each.head, each.body, each.group.replaces))] });
    }
    for (let from = 0; from < large.length; ) {
      let to = from;
      for (let bytes = 0; to < large.length && bytes < this.#options.objectBytesAimed; to++) {
        bytes += large[to]!.head.length + large[to]!.body.length;
      }
      const inObject = large.slice(from, to);
      const key = `${this.#schema.objectPrefix(table)}${hexOf(contentId(...inObject.map((each) => each.id)))}`;
      objects.push({ period, key, body: () => Buffer.concat(inObject.flatMap((each) => [each.head, each.body])) });
      let offset = 0;
      for (const each of inObject) {
        rows.push({ target, rows: [groupRow(each, encodeObjectRow(each.head, key, offset, each.group.replaces))] });
        offset += each.head.length + each.body.length;
      }
      from = to;
    }
  }

  /** Adds the placement, days and label rows for a group that are not known to be there. */
  #lead(leading: Leading, { tenant, placement, slot, windowStartMs, series }: WriteGroup): void {
    const day = dayOf(windowStartMs);
    const of = getOrMake(leading, `${day} ${tenant}`, () => ({
      tenant,
      day,
      target: this.#schema.tableOf(day),
      rows: [],
      fresh: new Map(),
      rowHashes: new Set<bigint>(),
      valueHashes: new Set<bigint>(),
    }));
    const isNew = (hash: bigint) => {
      if (of.rowHashes.has(hash) || this.#seenRows.has(tenant, day, hash)) return false;
      of.rowHashes.add(hash);
      return true;
    };
    const rows: Row[] = [
      {
        hash: placementHash(tenant, day),
        range: placementRange(placement.version),
        value: encodePlacement(placement),
      },
      { hash: daysHash(tenant), range: daysRange(day), value: new Uint8Array(0) },
      { hash: tenantsHash(day), range: tenantsRange(tenant), value: Buffer.from(tenant) },
    ];
    for (const row of rows) if (isNew(h64Raw(Buffer.concat([row.hash, row.range, row.value]), 0n))) of.rows.push(row);
    // a slot's series are mostly those of the window before
    if (isNew(h64Raw(Buffer.concat([slot, ...series.map(({ labels }) => labels)]), 3n)))
      this.#leadLabels(of, slot, series);
  }

  /** Adds the values of labels that are new that day. */
  #leadLabels(of: LeadingDay, slotBytes: Slot, series: readonly GroupSeries[]): void {
    const { tenant, day, fresh, valueHashes } = of;
    const slot = hexOf(slotBytes);
    const known = new Map<string, Set<string>>();
    for (const { labels } of series) {
      const parts = labelParts(labels);
      for (let i = 0; i < parts.length; i += 2) {
        const name = parts[i]!;
        const value = parts[i + 1]!;
        const values = getOrMake(known, name, () => new Set<string>());
        if (values.has(value)) continue;
        values.add(value);
        const hash = h64Raw(Buffer.from(`${slot} ${name.length} ${name}${value}`, 'latin1'), 2n);
        if (valueHashes.has(hash) || this.#seenValues.has(tenant, day, hash)) continue;
        valueHashes.add(hash);
        const byValue = getOrMake(fresh, name, () => new Map<string, Set<string>>());
        getOrMake(byValue, value, () => new Set<string>()).add(slot);
      }
    }
  }

  /** Writes rows, those of a table together and in order of hash, in calls of bounded size. */
  async #put(placed: readonly Placed[], signal?: AbortSignal): Promise<void> {
    const calls: (() => Promise<void>)[] = [];
    for (const [period, ofPeriod] of byKey(placed, (each) => each.target.period)) {
      for (const [table, ofTable] of byKey(ofPeriod, (each) => each.target.table)) {
        const rows = ofTable.flatMap((each) => each.rows).sort((a, b) => Buffer.compare(a.hash, b.hash));
        for (const part of cutRows(rows)) calls.push(() => writeRows(period, table, part, signal));
      }
    }
    await forEachAtOnce(calls, this.#options.writesAtOnce, (call) => call());
  }
}

interface Placed {
  readonly target: TableOfPeriod;
  readonly rows: readonly Row[];
}

interface PlannedObject {
  readonly period: StorePeriod;
  readonly key: string;
  readonly body: () => Uint8Array;
}

/** Tables are made ahead of time; this is for samples older or younger than anybody thought of. */
async function writeRows(
  period: StorePeriod,
  table: string,
  rows: readonly Row[],
  signal?: AbortSignal,
): Promise<void> {
  try {
    await period.tables.client.write(table, rows, signal);
  } catch (error) {
    if (!(error instanceof AppError && error.facts.id === 'store-table-missing')) throw error;
    await period.tables.admin.create(table);
    await period.tables.client.write(table, rows, signal);
  }
}

function groupRow(made: Made, value: Uint8Array): Row {
  const { tenant, slot, windowStartMs, replaces } = made.group;
  const range = replaces === undefined ? windowRange(windowStartMs, made.id) : mergedRange(made.id);
  return { hash: groupHash(tenant, dayOf(windowStartMs), slot), range, value };
}

/** Items by key, keys in order of first use. */
function byKey<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  return Map.groupBy(items, keyOf);
}

/** Label rows with the values that are new that day. */
function labelRows({ tenant, day, fresh }: LeadingDay): Row[] {
  if (fresh.size === 0) return [];
  const overview: LabelValues[] = [];
  const rows: Row[] = [];
  const addRow = (name: string, labels: readonly LabelValues[]) => {
    const value = encodeLabelRow(labels);
    rows.push({ hash: labelHash(tenant, day, name), range: contentId(value), value });
  };
  for (const [latin1, values] of fresh) {
    const name = utf8(latin1);
    const parts = [...cutValues(values)];
    if (parts.length === 1 && sizeOf(parts[0]!) <= LABEL_OVERVIEW_BYTES_MAX) {
      overview.push({ name, elsewhere: false, values: parts[0]! });
      continue;
    }
    overview.push({ name, elsewhere: true, values: new Map() });
    for (const part of parts) addRow(name, [{ name, elsewhere: false, values: part }]);
  }
  for (const part of cutOverview(overview)) addRow('', part);
  return rows;
}

function utf8(latin1: string): string {
  return Buffer.from(latin1, 'latin1').toString();
}

/** Values in parts of a row each; their bytes as text. */
function* cutValues(values: ReadonlyMap<string, ReadonlySet<string>>): Generator<Map<string, ReadonlySet<string>>> {
  let part = new Map<string, ReadonlySet<string>>();
  let bytes = 0;
  for (const [value, slots] of values) {
    if (bytes >= LABEL_ROW_BYTES_AIMED) {
      yield part;
      part = new Map();
      bytes = 0;
    }
    part.set(utf8(value), slots);
    bytes += value.length + 2 * slots.size + 2;
  }
  yield part;
}

/** Bytes that values and their slots take in a row, more or less. */
function sizeOf(values: ReadonlyMap<string, ReadonlySet<string>>): number {
  let bytes = 0;
  for (const [value, slots] of values) bytes += value.length + 2 * slots.size + 2;
  return bytes;
}

function* cutOverview(labels: readonly LabelValues[]): Generator<LabelValues[]> {
  let part: LabelValues[] = [];
  let bytes = 0;
  for (const each of labels) {
    if (bytes >= LABEL_ROW_BYTES_AIMED) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(each);
    bytes += each.name.length + sizeOf(each.values) + 4;
  }
  yield part;
}

function* cutRows(rows: readonly Row[]): Generator<Row[]> {
  let part: Row[] = [];
  let bytes = 0;
  for (const row of rows) {
    if (part.length > 0 && (part.length >= WRITE_ROWS_MAX || bytes + row.value.length > WRITE_BYTES_MAX)) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(row);
    bytes += row.hash.length + row.range.length + row.value.length;
  }
  if (part.length > 0) yield part;
}

/** The series in as many lists as the longest has pieces; nearly always one. */
function splitLong(series: readonly GroupSeries[]): (readonly GroupSeries[])[] {
  const pieces = series.map(pieceOf);
  if (series.every(({ times }, i) => times.length <= pieces[i]!)) return [series];
  const lists: GroupSeries[][] = [];
  series.forEach((each, k) => {
    for (let from = 0, i = 0; from < each.times.length; from += pieces[k]!, i++) {
      if (lists.length === i) lists.push([]);
      lists[i]!.push(sliceOf(each, from, Math.min(each.times.length, from + pieces[k]!)));
    }
  });
  return lists;
}

/** Samples of a series that one group takes. */
function pieceOf(series: GroupSeries): number {
  if (series.kinds === undefined) return COLUMN_VALUES_MAX;
  const { values } = histogramSize(series);
  // half of what a block may hold, since a block begun by others may come to have it too
  const parts = Math.ceil(values / (HISTOGRAM_VALUES_MAX / 2));
  return parts < 2 ? COLUMN_VALUES_MAX : Math.min(COLUMN_VALUES_MAX, Math.ceil(series.times.length / (2 * parts)));
}

function sliceOf(series: GroupSeries, from: number, to: number): GroupSeries {
  return {
    labels: series.labels,
    times: series.times.subarray(from, to),
    values: series.values.subarray(from, to),
    kinds: series.kinds?.subarray(from, to),
    starts: series.starts?.subarray(from, to),
    histograms: series.histograms?.slice(from, to),
  };
}

function sortedByMetric(series: readonly GroupSeries[]): GroupSeries[] {
  return series
    .map((each) => ({ each, metric: metricOf(labelParts(each.labels)) }))
    .sort((a, b) => {
      if (a.metric !== b.metric) return a.metric < b.metric ? -1 : 1;
      return Buffer.compare(a.each.labels, b.each.labels);
    })
    .map(({ each }) => each);
}
