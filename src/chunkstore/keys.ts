import crypto from 'node:crypto';
import { ByteReader, BytesError, ByteWriter } from '../lib/bytes.ts';

/** Names longer than this stand in keys as a hash, and in full in the value. */
export const KEY_NAME_BYTES_MAX = 200;
const HASHED = 255;
export const CONTENT_ID_BYTES = 16;

/** Kinds of row: the kind stands in the hash key behind tenant and day. */
export const ROW_GROUP = 'g';
export const ROW_LABEL = 'l';
export const ROW_METADATA = 'm';
export const ROW_PLACEMENT = 'p';
export const ROW_DAYS = 'd';
export const ROW_TOMBSTONE = 't';
/** Generations of a tenant's days. */
export const ROW_GENERATION = 'v';
/** The tenants of a day: kept under no tenant. */
export const ROW_TENANTS = 'n';

/** Which tenants' days the compactor has been through: kept under no tenant. */
export const ROW_COMPACTED = 'c';
/** Leases on tenants' days: kept under no tenant. */
export const ROW_LEASE = 'e';

// Kinds in the tables of configuration and state, which know no days: first in the key behind the tenant.
/** The head of a document: its versions, and what is small. */
export const ROW_DOCUMENT = 'D';
/** A part of what a version of a document holds. */
export const ROW_CONTENT = 'C';
/** The head of something that changes by compare-and-set. */
export const ROW_STATE = 'S';
/** A page of it. */
export const ROW_PAGE = 'P';
/** Tenants that have something of a kind: kept under no tenant. */
export const ROW_KNOWN = 'K';
/** That these tables have what an earlier period's had: kept under no tenant. */
export const ROW_COPIED = 'O';

// How a group came to be, first in its range key.
const FORM_MERGED = 0;
const FORM_WINDOW = 1;

/** 128 bits of SHA-256: equal content, equal id. */
export function contentId(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = crypto.createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest().subarray(0, CONTENT_ID_BYTES);
}

/** A part of a key: length and bytes, or where it is long a mark and a hash. */
function putName(out: ByteWriter, name: string): void {
  const bytes = Buffer.from(name);
  if (bytes.length <= KEY_NAME_BYTES_MAX) {
    out.u8(bytes.length);
    out.bytes(bytes);
  } else {
    out.u8(HASHED);
    out.bytes(contentId(bytes));
  }
}

/** Days ascend as bytes. */
function putDay(out: ByteWriter, day: number): void {
  const shifted = day + 2 ** 31;
  for (const scale of [2 ** 24, 2 ** 16, 2 ** 8, 1]) out.u8(Math.floor(shifted / scale) & 255);
}

/** Times of at most 2^53 ms to either side ascend as bytes. */
function putTime(out: ByteWriter, timeMs: number): void {
  const shifted = timeMs + 2 ** 53;
  for (let scale = 2 ** 56; scale >= 1; scale /= 256) out.u8(Math.floor(shifted / scale) % 256);
}

function key(tenant: string, day: number | undefined, kind: string, rest?: (out: ByteWriter) => void): Uint8Array {
  const out = new ByteWriter();
  putName(out, tenant);
  if (day !== undefined) putDay(out, day);
  out.bytes(Buffer.from(kind));
  rest?.(out);
  return out.done();
}

export function groupHash(tenant: string, day: number, slot: Uint8Array): Uint8Array {
  return key(tenant, day, ROW_GROUP, (out) => out.bytes(slot));
}

/** Range keys of groups that windows were flushed as, from one window start on. */
export function windowRange(windowStartMs: number, id?: Uint8Array): Uint8Array {
  const out = new ByteWriter();
  out.u8(FORM_WINDOW);
  putTime(out, windowStartMs);
  if (id !== undefined) out.bytes(id);
  return out.done();
}

/** Range keys of groups that a day was merged into. */
export function mergedRange(id?: Uint8Array): Uint8Array {
  const out = new ByteWriter();
  out.u8(FORM_MERGED);
  if (id !== undefined) out.bytes(id);
  return out.done();
}

export function isMergedRange(range: Uint8Array): boolean {
  return range[0] === FORM_MERGED;
}

/** The content id at the end of a range key. */
export function idOfRange(range: Uint8Array): Uint8Array {
  return range.subarray(range.length - CONTENT_ID_BYTES);
}

/** @param name a label name, or `''` for the names themselves */
export function labelHash(tenant: string, day: number, name: string, page = 0): Uint8Array {
  return key(tenant, day, ROW_LABEL, (out) => {
    putName(out, name);
    out.uvarint(page);
  });
}

export function metadataHash(tenant: string, day: number): Uint8Array {
  return key(tenant, day, ROW_METADATA);
}

export function placementHash(tenant: string, day: number): Uint8Array {
  return key(tenant, day, ROW_PLACEMENT);
}

/** By version, and by content: two writers may settle on different placements in the same millisecond. */
export function placementRange(version: number, id: Uint8Array): Uint8Array {
  const out = new ByteWriter();
  putTime(out, version);
  out.bytes(id);
  return out.done();
}

export function daysHash(tenant: string): Uint8Array {
  return key(tenant, undefined, ROW_DAYS);
}

export function daysRange(day: number): Uint8Array {
  const out = new ByteWriter();
  putDay(out, day);
  return out.done();
}

export function dayOfRange(range: Uint8Array): number {
  const view = new DataView(range.buffer, range.byteOffset, range.length);
  return view.getUint32(0) - 2 ** 31;
}

export function tenantsHash(day: number): Uint8Array {
  return key('', day, ROW_TENANTS);
}

export function tenantsRange(tenant: string): Uint8Array {
  const out = new ByteWriter();
  putName(out, tenant);
  return out.done();
}

export function compactedHash(day: number): Uint8Array {
  return key('', day, ROW_COMPACTED);
}

export function leaseHash(day: number): Uint8Array {
  return key('', day, ROW_LEASE);
}

export function generationHash(tenant: string): Uint8Array {
  return key(tenant, undefined, ROW_GENERATION);
}

/** @param holder whose row it is, HOLDER_BYTES; absent: that of all */
export function generationRange(day: number, holder: Uint8Array = new Uint8Array(0)): Uint8Array {
  const out = new ByteWriter();
  putDay(out, day);
  out.bytes(holder);
  return out.done();
}

export function tombstoneHash(tenant: string): Uint8Array {
  return key(tenant, undefined, ROW_TOMBSTONE);
}

/** @param kind the sort of document, `rules` */
export function documentHash(tenant: string, kind: string): Uint8Array {
  return key(tenant, undefined, ROW_DOCUMENT, (out) => putName(out, kind));
}

export function contentHash(tenant: string, kind: string, name: string): Uint8Array {
  return namedHash(tenant, ROW_CONTENT, kind, name);
}

export function stateHash(tenant: string, kind: string): Uint8Array {
  return key(tenant, undefined, ROW_STATE, (out) => putName(out, kind));
}

export function pageHash(tenant: string, kind: string, name: string): Uint8Array {
  return namedHash(tenant, ROW_PAGE, kind, name);
}

function namedHash(tenant: string, row: string, kind: string, name: string): Uint8Array {
  return key(tenant, undefined, row, (out) => {
    putName(out, kind);
    putName(out, name);
  });
}

/** The hash key of a head's parts, from its own. @param row the kind of the parts */
export function partsHash(hash: Uint8Array, row: string, name: string): Uint8Array {
  const out = new ByteWriter();
  const tenantBytes = 1 + (hash[0] === HASHED ? CONTENT_ID_BYTES : hash[0]!);
  out.bytes(hash.subarray(0, tenantBytes));
  out.bytes(Buffer.from(row));
  out.bytes(hash.subarray(tenantBytes + 1));
  putName(out, name);
  return out.done();
}

export function knownHash(kind: string): Uint8Array {
  return key('', undefined, ROW_KNOWN, (out) => putName(out, kind));
}

export function copiedHash(): Uint8Array {
  return key('', undefined, ROW_COPIED);
}

/** A name as a range key. */
export function nameRange(name: string): Uint8Array {
  const out = new ByteWriter();
  putName(out, name);
  return out.done();
}

/** The parts of a hash key; for tools that walk a table. @throws BytesError */
export interface ParsedHash {
  /** Undefined where the tenant's name is hashed. */
  readonly tenant: string | undefined;
  readonly day: number | undefined;
  readonly kind: string;
}

const KINDS_WITHOUT_DAY = new Set([ROW_DAYS, ROW_TOMBSTONE, ROW_GENERATION]);
const KINDS_WITH_DAY = new Set([
  ROW_GROUP,
  ROW_LABEL,
  ROW_METADATA,
  ROW_PLACEMENT,
  ROW_TENANTS,
  ROW_COMPACTED,
  ROW_LEASE,
]);
/** No day begins with a capital letter: it would be millions of years ago. */
const KINDS_OF_NAMES = new Set([ROW_DOCUMENT, ROW_CONTENT, ROW_STATE, ROW_PAGE, ROW_KNOWN, ROW_COPIED]);

export function parseHash(hash: Uint8Array): ParsedHash | undefined {
  const from = new ByteReader(hash);
  const length = from.u8();
  const tenant = length === HASHED ? undefined : Buffer.from(from.take(length)).toString();
  if (length === HASHED) from.take(CONTENT_ID_BYTES);
  const rest = from.take(from.left);
  const text = (at: number) => String.fromCharCode(rest[at] ?? 0);
  if (rest.length === 1 && KINDS_WITHOUT_DAY.has(text(0))) return { tenant, day: undefined, kind: text(0) };
  if (KINDS_OF_NAMES.has(text(0))) return { tenant, day: undefined, kind: text(0) };
  if (rest.length < 5 || !KINDS_WITH_DAY.has(text(4))) return undefined;
  return { tenant, day: dayOfRange(rest), kind: text(4) };
}

/** The kind of a row; undefined where its hash key is none. */
export function kindOf(hash: Uint8Array): string | undefined {
  try {
    return parseHash(hash)?.kind;
  } catch (error) {
    if (error instanceof BytesError) return undefined;
    throw error;
  }
}
