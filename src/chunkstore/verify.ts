import { GroupDecoder } from '../chunk/group/decode.ts';
import { Digester } from '../chunk/group/digest.ts';
import { guarded, parseHeader } from '../chunk/group/header.ts';
import { readGroup } from '../chunk/group/read.ts';
import type { Kernel } from '../chunk/kernel.ts';
import { BytesError } from '../lib/bytes.ts';
import { nextTurn } from '../lib/turn.ts';
import { SampleColumns } from '../storage/columns.ts';
import type { Row } from '../table/client.ts';
import { decodeCompacted } from './compacted-row.ts';
import { isDamage } from './damage.ts';
import { decodeLease } from './day-lease.ts';
import { checkHead, checkPart } from './documents/parts.ts';
import { checkCopied, decodeKnown } from './documents/tables.ts';
import { decodeGeneration } from './generations.ts';
import { decodeGroupRow, type GroupRow, groupName, hexOf } from './group-row.ts';
import {
  contentId,
  idOfRange,
  parseHash,
  ROW_COMPACTED,
  ROW_CONTENT,
  ROW_COPIED,
  ROW_DAYS,
  ROW_DOCUMENT,
  ROW_GENERATION,
  ROW_GROUP,
  ROW_KNOWN,
  ROW_LABEL,
  ROW_LEASE,
  ROW_METADATA,
  ROW_PAGE,
  ROW_PLACEMENT,
  ROW_STATE,
  ROW_TENANTS,
  ROW_TOMBSTONE,
} from './keys.ts';
import { decodeLabelRow } from './label-row.ts';
import { decodeMetadata } from './metadata-row.ts';
import { decodePlacement } from './placement.ts';
import type { Schema, StorePeriod } from './schema.ts';
import { decodeTombstone } from './tombstone-row.ts';

export interface VerifyReport {
  tables: number;
  /** Rows by kind: `g`, `l`, … */
  readonly rows: Record<string, number>;
  rowBytes: number;
  objects: number;
  objectBytes: number;
  groups: number;
  series: number;
  samples: number;
  /** Objects that no row names: what a flush that was cut short left, or a merge. No damage. */
  readonly unreferenced: string[];
  /** Damaged parts by name; the first PROBLEMS_KEPT_MAX. */
  readonly problems: VerifyProblem[];
  problemCount: number;
}

export interface VerifyProblem {
  /** Name of the table and row, or of the object. */
  readonly name: string;
  readonly reason: string;
}

const PROBLEMS_KEPT_MAX = 1000;

/**
 * Walks every table, row, object and group of a schema, decodes all of it and checks every checksum and digest. Damage does not
 * stop it; a store that cannot be reached does.
 */
export async function verify(
  schema: Schema,
  kernel: Kernel,
  onProgress: (report: VerifyReport) => void = () => {},
  signal?: AbortSignal,
): Promise<VerifyReport> {
  const verifier = new Verifier(kernel, onProgress, signal);
  for (const period of schema.periods) {
    for (const table of await schema.existingTables(period)) await verifier.table(schema, period, table);
  }
  return verifier.report;
}

class Verifier {
  readonly report: VerifyReport = {
    tables: 0,
    rows: {},
    rowBytes: 0,
    objects: 0,
    objectBytes: 0,
    groups: 0,
    series: 0,
    samples: 0,
    unreferenced: [],
    problems: [],
    problemCount: 0,
  };
  readonly #decoder: GroupDecoder;
  readonly #digester: Digester;
  readonly #onProgress: (report: VerifyReport) => void;
  readonly #signal: AbortSignal | undefined;
  readonly #columns = new SampleColumns();

  constructor(kernel: Kernel, onProgress: (report: VerifyReport) => void, signal: AbortSignal | undefined) {
    this.#decoder = new GroupDecoder(kernel);
    this.#digester = new Digester(kernel);
    this.#onProgress = onProgress;
    this.#signal = signal;
  }

  async table(schema: Schema, period: StorePeriod, table: string): Promise<void> {
    this.report.tables++;
    const named = new Set<string>();
    for await (const page of period.tables.admin.scan(table, this.#signal)) {
      for (const row of page) await this.#row(period, table, row, named);
      this.#onProgress(this.report);
    }
    if (period.objects === undefined) return;
    for await (const page of period.objects.list(schema.objectPrefix(table), this.#signal)) {
      for (const { key, bytes } of page) {
        this.report.objects++;
        this.report.objectBytes += bytes;
        if (!named.has(key)) this.report.unreferenced.push(key);
      }
      this.#onProgress(this.report);
    }
  }

  async #row(period: StorePeriod, table: string, row: Row, named: Set<string>): Promise<void> {
    this.#signal?.throwIfAborted();
    const name = `${table}/${hexOf(row.hash)}/${hexOf(row.range)}`;
    const { report } = this;
    report.rowBytes += row.hash.length + row.range.length + row.value.length;
    await this.#check(name, async () => {
      const kind = parseHash(row.hash)?.kind ?? '';
      report.rows[kind] = (report.rows[kind] ?? 0) + 1;
      switch (kind) {
        case ROW_GROUP:
          return this.#group(period, row, name, named);
        case ROW_LABEL:
          decodeLabelRow(row.value);
          return sameId(idOfRange(row.range), contentId(row.value));
        case ROW_METADATA:
          decodeMetadata(row.value);
          return sameId(idOfRange(row.range), contentId(row.value));
        case ROW_PLACEMENT:
          decodePlacement(row.value);
          return sameId(idOfRange(row.range), contentId(row.value));
        case ROW_TOMBSTONE:
          decodeTombstone(row.value);
          return;
        case ROW_GENERATION:
          decodeGeneration(row.value);
          return;
        case ROW_COMPACTED:
          decodeCompacted(row.value);
          return;
        case ROW_LEASE:
          decodeLease(row.value);
          return;
        case ROW_DOCUMENT:
        case ROW_STATE:
          return checkHead(period.tables.client, table, row, this.#signal);
        case ROW_CONTENT:
        case ROW_PAGE:
          checkPart(row);
          return;
        case ROW_KNOWN:
          decodeKnown(row.value);
          return;
        case ROW_COPIED:
          checkCopied(row.value);
          return;
        case ROW_DAYS:
        case ROW_TENANTS:
          return;
        default:
          throw new BytesError('a key of no known kind');
      }
    });
  }

  async #group(period: StorePeriod, row: Row, name: string, named: Set<string>): Promise<void> {
    const group = decodeGroupRow(row.range, row.value, name);
    const { header, place, id } = group;
    const { report } = this;
    if (place.kind === 'object') named.add(place.key);
    const whole = await wholeGroup(period, group, this.#signal);
    const fullName = groupName(name, place);
    const { header: own, headerBytes } = parseHeader(whole, fullName);
    let series = 0;
    for (const _ of readGroup(
      this.#decoder,
      this.#digester,
      own,
      whole.subarray(headerBytes),
      fullName,
      this.#columns,
    )) {
      series++;
    }
    guarded(fullName, 'content', () => {
      if (hexOf(contentId(whole)) !== id) throw new BytesError('it does not have the id of the row');
      if (own.sampleCount !== header.sampleCount) throw new BytesError('the headers in row and object differ');
    });
    report.series += series;
    report.groups++;
    report.samples += own.sampleCount;
    // Decoding holds the thread; others get their turn between groups.
    await nextTurn();
  }

  async #check(name: string, body: () => Promise<void> | void): Promise<void> {
    try {
      await body();
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.report.problemCount++;
      if (this.report.problems.length < PROBLEMS_KEPT_MAX) this.report.problems.push({ name, reason: error.message });
    }
  }
}

/** All bytes of a row's group, header and body. @throws the object store's errors */
export async function wholeGroup(period: StorePeriod, row: GroupRow, signal?: AbortSignal): Promise<Uint8Array> {
  const { header, place } = row;
  if (place.kind === 'inline') return place.group;
  return period.objects!.getRange(place.key, place.offset, place.bodyOffset - place.offset + header.bodyBytes, signal);
}

function sameId(a: Uint8Array, b: Uint8Array): void {
  if (Buffer.compare(a, b) !== 0) throw new BytesError('the content does not have the id of the row');
}
