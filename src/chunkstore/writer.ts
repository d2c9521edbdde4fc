import xxhash from 'xxhash-wasm';
import { type EncodedGroup, sortedByMetric } from '../chunk/group/encode.ts';
import { withWindowMs } from '../chunk/group/header.ts';
import { type GroupSeries, labelParts } from '../chunk/group/series.ts';
import type { Kernel } from '../chunk/kernel.ts';
import { ageMsOf, type Clock, type Moment, momentOf } from '../lib/clock.ts';
import { DAY_MS, dayOf } from '../lib/day.ts';
import { fencedSignal, throwIfFenced } from '../lib/fenced-signal.ts';
import { forEachAtOnce } from '../lib/semaphore.ts';
import { AppError } from '../model/errors.ts';
import { compareUtf8 } from '../model/labels.ts';
import type { MetricMetadata } from '../model/metric-metadata.ts';
import type { Row } from '../table/client.ts';
import { LEASE_HOLDS_MS, LeaseLostError } from './day-lease.ts';
import { encodeInlineRow, encodeObjectRow, hexOf } from './group-row.ts';
import { contentId, groupHash, mergedRange, metadataHash, placementHash, windowRange } from './keys.ts';
import { LeadingRows } from './leading-rows.ts';
import { encodeMetadata } from './metadata-row.ts';
import { isOld, namingSignal, OBJECT_WAITS_MS } from './object-age.ts';
import { decodePlacement, type Placement, type Slot } from './placement.ts';
import { ReplacedGroups } from './replaced-groups.ts';
import { OBJECT_BYTES_AIMED, type Schema, type StorePeriod, type TableOfPeriod } from './schema.ts';
import { HashList, type SavedSeen, SeenRows } from './seen.ts';
import { SlotEncoder } from './slot-encoder.ts';
import type { StoredSamples } from './stored-samples.ts';

const { h64Raw } = await xxhash();

/** The series of one tenant, slot and window, to be written as a group. */
export interface WriteGroup {
  readonly tenant: string;
  /** The placement by which `slot` was chosen; its row is written before the group's. */
  readonly placement: Placement;
  readonly slot: Slot;
  readonly windowStartMs: number;
  readonly windowMs: number;
  /**
   * An array in any order; or a stream of runs in which metrics ascend by bytes, best with the series of each by labels. None twice. A
   * series of a run is used only until the run is asked for the next.
   */
  readonly series: readonly GroupSeries[] | AsyncIterable<Iterable<GroupSeries>>;
  /** Present where this is what a day was merged into: the groups that it stands for from now on. */
  readonly replaces?: readonly Uint8Array[];
  /** With `replaces`: ids in hex that groups of the slot list as replaced so far. */
  readonly replacedBefore?: ReadonlySet<string>;
  /** Present where others may have written the same samples: asked first, and only what the store lacks is written. */
  readonly stored?: StoredSamples;
}

/** A group that the store has confirmed. One `WriteGroup` makes more than one where it is too large, and none without series. */
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
  /** An object is closed when it has so many bytes; all that is written at a time shares objects. */
  readonly objectBytesAimed?: number;
  /** Keep each series' digest in the groups, for other holders of the same samples. */
  readonly seriesDigests?: boolean;
  /** Requests to the store at once. */
  readonly writesAtOnce?: number;
  /** Rows wait for those that lead to them, up to so many bytes of both. */
  readonly waitingBytesMax?: number;
  /** Memory for what label rows a day has already. */
  readonly seenBytesMax?: number;
  readonly clock: Clock;
  /** From a writer before. */
  readonly seen?: SavedSeen;
}

const OPTIONS: Required<Omit<WriterOptions, 'clock'>> = {
  inlineBytesMax: 16 * 1024,
  objectBytesAimed: OBJECT_BYTES_AIMED,
  seriesDigests: false,
  writesAtOnce: 8,
  waitingBytesMax: 24 * 2 ** 20,
  seenBytesMax: 64 * 2 ** 20,
  seen: new Map(),
};

/** Bytes of a group row at most besides header, body and the ids that it replaces; then those of each such id. */
const ROW_FRAME_BYTES = 512;
const REPLACED_BYTES = 16;
/** Characters of text at which a row of metadata is full, inclusive. */
const METADATA_ROW_CHARS_AIMED = 32 * 1024;
const WRITE_ROWS_MAX = 256;
const WRITE_BYTES_MAX = 4 * 2 ** 20;

/** So long after its end nothing of a day is removed but by the sweeper, so that what was written needs no look. */
const SEEN_AFTER_DAY_MS = 3_600_000;

/** Writes to the store what a flush hands over. All rows are additive and named by content, so writing again is harmless. */
export class ChunkStoreWriter {
  readonly schema: Schema;
  readonly #encoder: SlotEncoder;
  /** For the parts of groups that the store lacks, while the other goes on. */
  readonly #partEncoder: SlotEncoder;
  readonly #options: Required<WriterOptions>;
  readonly #seen: SeenRows;

  /** @param kernel to encode with; nothing else may use it while `write` runs */
  constructor(schema: Schema, kernel: Kernel, options: WriterOptions) {
    this.schema = schema;
    this.#encoder = new SlotEncoder(kernel);
    this.#partEncoder = new SlotEncoder(kernel);
    this.#options = { ...OPTIONS, ...options };
    this.#seen = new SeenRows(this.#options.seenBytesMax, this.#options.seen);
  }

  /** Rows that it has written lately, for a writer that comes after it. */
  get seen(): SavedSeen {
    return this.#seen.save();
  }

  /**
   * Writes all groups and what leads to them, and holds an object's worth of them at a time. When it returns, the store has confirmed
   * everything; when it throws, a part may be there, and the same call again is harmless. One call at a time.
   * @param signal its fence (`fencedSignal`) is asked before rows are written
   * @param fence asked besides; where it throws none are. It keeps the lease on a day: rows are tried for as long as that holds
   */
  async write(
    batch: Iterable<WriteGroup> | AsyncIterable<WriteGroup>,
    signal?: AbortSignal,
    fence?: () => Promise<void>,
  ): Promise<readonly WrittenGroup[]> {
    const run = new WriteRun(this.schema, [this.#encoder, this.#partEncoder], this.#seen, this.#options, signal, fence);
    for await (const group of batch) {
      signal?.throwIfAborted();
      await run.add(group);
      // Encoding holds the thread; others get their turn between groups.
      await this.#options.clock.turn();
    }
    return run.end();
  }

  /** The placements that groups of the tenant were written by on the day of a time. */
  async heldPlacements(tenant: string, timeMs: number, signal?: AbortSignal): Promise<Placement[]> {
    const day = dayOf(timeMs);
    const { period, table } = this.schema.tableOf(day);
    const held: Placement[] = [];
    const query = { table, hash: placementHash(tenant, day), strong: true };
    for await (const rows of period.tables.client.query(query, signal)) {
      for (const { value } of rows) held.push(decodePlacement(value));
    }
    return held;
  }

  async writeMetadata(
    tenant: string,
    timeMs: number,
    entries: readonly MetricMetadata[],
    signal?: AbortSignal,
  ): Promise<void> {
    const day = dayOf(timeMs);
    // equal entries, equal rows, in whatever order they came
    const sorted = [...entries].sort((a, b) => compareUtf8(a.metric, b.metric) || compareUtf8(a.help, b.help));
    const hashes = new HashList();
    const rows: Row[] = [];
    for (const part of cutMetadata(sorted)) {
      const value = encodeMetadata(part);
      // a row at a time: what is told changes rarely, and a hash for each metric of each tenant would be much memory
      const seen = h64Raw(value, 1n);
      if (this.#seen.has(tenant, day, seen)) continue;
      hashes.push(seen);
      rows.push({ hash: metadataHash(tenant, day), range: contentId(value), value });
    }
    await putRows([{ target: this.schema.tableOf(day), rows }], this.#options.writesAtOnce, signal);
    this.#seen.add(tenant, day, hashes);
  }
}

function* cutMetadata(entries: readonly MetricMetadata[]): Generator<MetricMetadata[]> {
  let part: MetricMetadata[] = [];
  let chars = 0;
  for (const entry of entries) {
    part.push(entry);
    chars += entry.metric.length + entry.type.length + entry.help.length + entry.unit.length;
    if (chars < METADATA_ROW_CHARS_AIMED) continue;
    yield part;
    part = [];
    chars = 0;
  }
  if (part.length > 0) yield part;
}

interface Made extends EncodedGroup {
  readonly id: Uint8Array;
  readonly group: WriteGroup;
  readonly replaces: readonly Uint8Array[] | undefined;
}

interface OpenObject {
  readonly target: TableOfPeriod;
  readonly groups: Made[];
  bytes: number;
}

/** An object that was put, and whose rows are still to be written. */
interface PutObject {
  readonly target: TableOfPeriod;
  /** Named by the day on which it was put. */
  key: string;
  putMs: Moment;
  readonly groups: readonly (Omit<Made, 'body'> & { readonly offset: number })[];
}

interface Placed {
  readonly target: TableOfPeriod;
  readonly rows: readonly Row[];
}

/** The rows that lead to groups of a tenant and day. */
interface Leading {
  readonly rows: LeadingRows;
  readonly target: TableOfPeriod;
  /** Bytes of them that are counted. */
  counted: number;
}

/** A group with its id: that of its bytes, or where it is taken that of the same group with a window some ms longer. */
function named(
  encoded: EncodedGroup,
  { windowMs }: WriteGroup,
  taken: ReadonlySet<string>,
): EncodedGroup & { readonly id: Uint8Array } {
  let { header } = encoded;
  for (let longerMs = 1; ; longerMs++) {
    const id = contentId(header, encoded.body);
    if (!taken.has(hexOf(id))) return { ...encoded, header, id };
    header = withWindowMs(header, windowMs + longerMs);
  }
}

/** One call of `write`. Objects are put as they fill up; then come the rows that lead to groups, and then the groups' rows. */
class WriteRun {
  readonly #schema: Schema;
  readonly #encoder: SlotEncoder;
  readonly #partEncoder: SlotEncoder;
  readonly #seen: SeenRows;
  readonly #options: Required<WriterOptions>;
  readonly #signal: AbortSignal | undefined;
  readonly #fence: (() => Promise<void>) | undefined;
  readonly #replaced: ReplacedGroups;
  readonly #written: WrittenGroup[] = [];
  /** By table. */
  readonly #objects = new Map<string, OpenObject>();
  #leading = new Map<string, Leading>();
  /** Memory that all of these hold, as far as it is counted. */
  #leadingBytes = 0;
  #current: { readonly group: WriteGroup; readonly leading: Leading } | undefined;
  /** Inline. */
  #rows: Placed[] = [];
  #puts: PutObject[] = [];
  /** Rows that hide others: when everything that stands for those is there. */
  #hiding: Placed[] = [];
  #rowBytes = 0;

  constructor(
    schema: Schema,
    [encoder, partEncoder]: readonly [SlotEncoder, SlotEncoder],
    seen: SeenRows,
    options: Required<WriterOptions>,
    signal: AbortSignal | undefined,
    fence: (() => Promise<void>) | undefined,
  ) {
    this.#schema = schema;
    this.#encoder = encoder;
    this.#partEncoder = partEncoder;
    this.#seen = seen;
    this.#options = options;
    this.#signal = signal;
    this.#fence = fence;
    this.#replaced = new ReplacedGroups(schema, options.clock, signal);
  }

  async add(group: WriteGroup): Promise<void> {
    if (group.stored !== undefined) {
      await this.#addMissing(group, group.stored);
      return;
    }
    const { replaces } = group;
    const target = this.#begin(this.#encoder, group);
    const ids = new Set<string>();
    const taken = await this.#takenOf(group);
    let last: EncodedGroup | undefined;
    const place = async (made: EncodedGroup, replaces: readonly Uint8Array[] | undefined) => {
      const { id, ...encoded } = named(made, group, taken);
      ids.add(hexOf(id));
      const others = replaces?.filter((each) => !ids.has(hexOf(each)));
      await this.#place(target, { ...encoded, group, id, replaces: others });
    };
    for await (const run of runsOf(group.series)) {
      for (const series of run) {
        const parts = series.parts ?? labelParts(series.labels);
        // to the groups that a merged one replaces all rows lead already
        if (replaces === undefined) this.#leadingOf(group, target).addLabels(parts);
        for (const encoded of this.#encoder.add(series, parts)) {
          if (last !== undefined) await place(last, replaces && []);
          last = encoded;
        }
      }
    }
    for (const encoded of this.#encoder.finish()) {
      if (last !== undefined) await place(last, replaces && []);
      last = encoded;
    }
    if (last !== undefined) await place(last, replaces);
  }

  #begin(encoder: SlotEncoder, { windowStartMs, windowMs, replaces }: WriteGroup): TableOfPeriod {
    const { seriesDigests, objectBytesAimed } = this.#options;
    const target = this.#schema.tableOf(dayOf(windowStartMs));
    const { limits } = target.period.tables;
    encoder.begin(
      { windowStartMs, windowMs, seriesDigests },
      {
        rowBytesMax: limits.valueBytesMax - ROW_FRAME_BYTES - REPLACED_BYTES * (replaces?.length ?? 0),
        inline: target.period.objects === undefined,
        groupBytesAimed: objectBytesAimed,
      },
    );
    return target;
  }

  /** Encodes the group, asks for what that makes, and writes what the store lacks. What leads to groups that it has is there. */
  async #addMissing(group: WriteGroup, stored: StoredSamples): Promise<void> {
    const { tenant, slot, placement, windowStartMs, windowMs } = group;
    const target = this.#begin(this.#encoder, group);
    const beginLeading = () => {
      const leading = new LeadingRows(tenant, dayOf(windowStartMs), this.#seenOf(dayOf(windowStartMs)));
      leading.beginSlot(undefined, slot);
      return leading;
    };
    // labels of series about which nothing is written so far
    let found = beginLeading();
    let writes = false;
    // groups that are in other slots, by another placement, have no rows that lead to this one
    let isElsewhere = false;
    const taken = await this.#takenOf(group);
    const place = async (made: EncodedGroup) => {
      const { id, ...encoded } = named(made, group, taken);
      const { header, body } = encoded;
      const owed = { tenant, placement, slot, windowStartMs, windowMs, id, header, body };
      if (await stored.has(owed)) return;
      isElsewhere = true;
      const missing = await stored.missing(owed);
      if (missing === 'whole') {
        this.#leadingOf(group, target).absorb(found, placement, slot);
        found = beginLeading();
        writes = true;
        await this.#place(target, { ...encoded, group, id, replaces: undefined });
        return;
      }
      this.#begin(this.#partEncoder, group);
      for (const series of missing) {
        writes = true;
        const parts = labelParts(series.labels);
        this.#leadingOf(group, target).addLabels(parts);
        for (const part of this.#partEncoder.add(series, parts)) await this.#placePart(target, group, part, taken);
      }
      for (const part of this.#partEncoder.finish()) await this.#placePart(target, group, part, taken);
    };
    for await (const run of runsOf(group.series)) {
      for (const series of run) {
        const parts = series.parts ?? labelParts(series.labels);
        found.addLabels(parts);
        for (const encoded of this.#encoder.add(series, parts)) await place(encoded);
      }
    }
    for (const encoded of this.#encoder.finish()) await place(encoded);
    if (!writes && !isElsewhere) found.confirm();
  }

  #placePart(
    target: TableOfPeriod,
    group: WriteGroup,
    encoded: EncodedGroup,
    taken: ReadonlySet<string>,
  ): Promise<void> {
    return this.#place(target, { ...named(encoded, group, taken), group, replaces: undefined });
  }

  /** Ids, in hex, that no group may have that is to be seen. */
  async #takenOf({ tenant, slot, windowStartMs, replaces, replacedBefore, stored }: WriteGroup) {
    if (replaces !== undefined) return replacedBefore ?? new Set<string>();
    return (stored?.replaced ?? this.#replaced).of(tenant, slot, windowStartMs);
  }

  async end(): Promise<readonly WrittenGroup[]> {
    for (const object of this.#objects.values()) await this.#putObject(object);
    await this.#commit();
    return this.#written;
  }

  #leadingOf(group: WriteGroup, target: TableOfPeriod): LeadingRows {
    // asked for each series: a commit in between begins anew
    if (this.#current?.group === group) return this.#current.leading.rows;
    this.#countLeading();
    const { tenant, windowStartMs, placement, slot } = group;
    const day = dayOf(windowStartMs);
    const key = `${day} ${tenant}`;
    let known = this.#leading.get(key);
    if (known === undefined) {
      known = { rows: new LeadingRows(tenant, day, this.#seenOf(day)), target, counted: 0 };
      this.#leading.set(key, known);
    }
    known.rows.beginSlot(placement, slot);
    this.#current = { group, leading: known };
    return known.rows;
  }

  /** Rows that count as written. Of a day that is long over none do: they may have been removed since, with all that the tenant had. */
  #seenOf(day: number): SeenRows {
    const isOver = (day + 1) * DAY_MS + SEEN_AFTER_DAY_MS < this.#options.clock.nowMs();
    return isOver ? new SeenRows(0) : this.#seen;
  }

  /** Only those of the current group grow: there may be very many others. */
  #countLeading(): void {
    if (this.#current === undefined) return;
    const { leading } = this.#current;
    const bytes = leading.rows.heldBytes;
    this.#leadingBytes += bytes - leading.counted;
    leading.counted = bytes;
  }

  /** Decides whether a group lies in its row or in the open object of its table. */
  async #place(target: TableOfPeriod, made: Made): Promise<void> {
    const { period, table } = target;
    const bytes = made.header.length + made.body.length;
    const { group, id, digest, seriesCount, sampleCount } = made;
    const { tenant, windowStartMs } = group;
    this.#written.push({ tenant, windowStartMs, id: hexOf(id), digest, seriesCount, sampleCount, bytes });
    if (period.objects === undefined || bytes <= this.#options.inlineBytesMax) {
      this.#addRow(target, made, encodeInlineRow(made.header, made.body, made.replaces));
    } else {
      const name = `${this.#schema.periods.indexOf(period)} ${table}`;
      let object = this.#objects.get(name);
      if (object === undefined) {
        object = { target, groups: [], bytes: 0 };
        this.#objects.set(name, object);
      }
      object.groups.push(made);
      object.bytes += bytes;
      if (object.bytes >= this.#options.objectBytesAimed) {
        this.#objects.delete(name);
        await this.#putObject(object);
      }
    }
    this.#countLeading();
    const isFull = this.#rowBytes + this.#leadingBytes > this.#options.waitingBytesMax;
    if (isFull || this.#puts.some(({ putMs }) => ageMsOf(this.#options.clock, putMs) > OBJECT_WAITS_MS))
      await this.#commit();
  }

  async #putObject({ target, groups }: OpenObject): Promise<void> {
    const { period, table } = target;
    const ids = groups.map((each) => each.id);
    const key = this.#schema.objectKey(table, dayOf(this.#options.clock.nowMs()), ids);
    const whole = Buffer.concat(groups.flatMap((each) => [each.header, each.body]));
    // before: who waits for the answer for long does not know when it was put
    const putMs = momentOf(this.#options.clock);
    await period.objects!.put(key, whole, this.#signal);
    let offset = 0;
    const placed = groups.map(({ body, ...made }) => {
      const at = { ...made, offset };
      offset += made.header.length + body.length;
      this.#rowBytes += OBJECT_ROW_BYTES + made.header.length;
      return at;
    });
    this.#puts.push({ target, key, putMs, groups: placed });
  }

  /**
   * Puts an object again under the name of today. Nothing names it yet: a sweeper whose day is not this process' may take it for one
   * that a flush left when it was cut short.
   * @throws where it has gone: all is to be written anew
   */
  async #putAgain(object: PutObject): Promise<void> {
    const { target, groups } = object;
    const { period, table } = target;
    const whole = await period.objects!.get(object.key, this.#signal);
    const ids = groups.map(({ id }) => id);
    object.putMs = momentOf(this.#options.clock);
    object.key = this.#schema.objectKey(table, dayOf(object.putMs.wallMs), ids);
    await period.objects!.put(object.key, whole, this.#signal);
  }

  /** Rows of groups in objects, which are there and stay. @param hiding those that hide others, or all else */
  async #objectRows(puts: readonly PutObject[], hiding: boolean): Promise<Placed[]> {
    const placed: Placed[] = [];
    for (const object of puts) {
      const groups = object.groups.filter((made) => isHiding(made) === hiding);
      if (isOld(this.#options.clock, object.putMs)) await this.#putAgain(object);
      const rows = groups.map((made) =>
        rowOf(made, encodeObjectRow(made.header, object.key, made.offset, made.replaces)),
      );
      placed.push({ target: object.target, rows });
    }
    return placed;
  }

  /** The signal of writes of rows that name these objects. @param askedMs when the fence was asked */
  #signalOf(names: readonly PutObject[], askedMs: Moment): AbortSignal | undefined {
    const { clock } = this.#options;
    const putMs = names.map((each) => each.putMs);
    const signal = names.length === 0 ? this.#signal : namingSignal(clock, putMs, this.#signal);
    if (this.#fence === undefined) return signal;
    return fencedSignal(
      () =>
        ageMsOf(clock, askedMs) > LEASE_HOLDS_MS ? new LeaseLostError('the lease on the day has run out') : undefined,
      signal,
    );
  }

  #addRow(target: TableOfPeriod, made: Made, value: Uint8Array): void {
    (isHiding(made) ? this.#hiding : this.#rows).push({ target, rows: [rowOf(made, value)] });
    this.#rowBytes += value.length;
  }

  /** Rows that lead to a group are there before the group, and a group's row only when its object is. */
  async #commit(): Promise<void> {
    const leading = [...this.#leading.values()];
    this.#leading = new Map();
    this.#leadingBytes = 0;
    this.#current = undefined;
    const rows = this.#rows;
    const hiding = this.#hiding;
    const puts = this.#puts;
    this.#rows = [];
    this.#hiding = [];
    this.#puts = [];
    this.#rowBytes = 0;
    const putsOf = (hides: boolean) => puts.filter(({ groups }) => groups.some((made) => isHiding(made) === hides));
    const [shown, hidden] = [putsOf(false), putsOf(true)];
    const batches = [
      { names: [], rowsOf: async () => leading.map(({ rows, target }) => ({ target, rows: rows.rows() })) },
      { names: shown, rowsOf: async () => [...rows, ...(await this.#objectRows(shown, false))] },
      { names: hidden, rowsOf: async () => [...hiding, ...(await this.#objectRows(hidden, true))] },
    ];
    for (const { names, rowsOf } of batches) {
      const batch = await rowsOf();
      // before: whoever waits for the answer for long does not know since when the lease holds
      const askedMs = momentOf(this.#options.clock);
      await this.#fence?.();
      const signal = this.#signalOf(names, askedMs);
      throwIfFenced(signal);
      await putRows(batch, this.#options.writesAtOnce, signal);
    }
    for (const { rows } of leading) rows.confirm();
  }
}

/** Bytes of a row of a group in an object, beside its header, about. */
const OBJECT_ROW_BYTES = 128;

/** Whether a group stands for others, which go out of sight when its row is there. */
function isHiding({ replaces }: Pick<Made, 'replaces'>): boolean {
  return replaces !== undefined && replaces.length > 0;
}

function rowOf({ group, id, replaces }: Pick<Made, 'group' | 'id' | 'replaces'>, value: Uint8Array): Row {
  const { tenant, slot, windowStartMs } = group;
  const range = replaces === undefined ? windowRange(windowStartMs, id) : mergedRange(id);
  return { hash: groupHash(tenant, dayOf(windowStartMs), slot), range, value };
}

function runsOf(series: WriteGroup['series']): Iterable<Iterable<GroupSeries>> | AsyncIterable<Iterable<GroupSeries>> {
  return Symbol.asyncIterator in series ? series : [sortedByMetric(series)];
}

/** Writes rows, those of a table together and in order of hash, in calls of bounded size. */
async function putRows(placed: readonly Placed[], atOnce: number, signal?: AbortSignal): Promise<void> {
  const calls: (() => Promise<void>)[] = [];
  for (const [period, ofPeriod] of Map.groupBy(placed, (each) => each.target.period)) {
    for (const [table, ofTable] of Map.groupBy(ofPeriod, (each) => each.target.table)) {
      const rows = ofTable.flatMap((each) => each.rows).sort((a, b) => Buffer.compare(a.hash, b.hash));
      for (const part of cutRows(rows)) calls.push(() => writeRows(period, table, part, signal));
    }
  }
  await forEachAtOnce(calls, atOnce, (call) => call());
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
