import type { Kernel } from '../../chunk/kernel.ts';
import { BytesError } from '../../lib/bytes.ts';
import type { MetricMetadata } from '../../model/metric-metadata.ts';
import type { WalRecord } from './wal.ts';

/** A note: what the log says besides samples. */
export type LogNote =
  | { readonly tenant: TenantName }
  | { readonly forgotten: readonly TenantName[] }
  | { readonly seal: number }
  | { readonly flushed: number; readonly atMs: number }
  | MetadataNote
  | { readonly staged: number }
  | { readonly gone: string }
  | LaterNote;

/** A note of a later build, by its name, that may be passed over: whoever goes back to this one reads on. */
export interface LaterNote {
  readonly later: string;
}

export type TenantName = readonly [index: number, id: string];

export interface MetadataNote {
  /** The tenant. */
  readonly metadata: string;
  readonly entries: readonly MetricMetadata[];
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();

export function encodeNote(note: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(note));
}

/** The fields of a note's JSON, none of them checked yet. @throws BytesError where it is no object */
export function readNote(kernel: Kernel, { at, bytes }: WalRecord): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(kernel.u8.subarray(at, at + bytes)));
  } catch {
    throw new BytesError('a note that is no JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new BytesError('a note that is no object');
  return value as Record<string, unknown>;
}

/** @throws BytesError where the note is none of these */
export function readLogNote(kernel: Kernel, record: WalRecord): LogNote {
  const note = readNote(kernel, record);
  const { tenant, seal, flushed, atMs, metadata, entries, staged, gone, forgotten, later } = note;
  if (isTenantName(tenant)) return { tenant };
  if (isList(forgotten) && forgotten.every(isTenantName)) return { forgotten };
  if (Number.isSafeInteger(seal)) return { seal: seal as number };
  if (isCount(flushed) && isCount(atMs)) return { flushed, atMs };
  if (isId(metadata) && isMetadata(entries)) return { metadata, entries };
  if (isCount(staged)) return { staged };
  if (isId(gone)) return { gone };
  if (isId(later)) return { later };
  throw new BytesError('a note of no kind that there is');
}

export function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

/** A whole number from 0 on. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isTenantName(value: unknown): value is TenantName {
  return isList(value) && isCount(value[0]) && isId(value[1]);
}

/** A tenant's name, as far as a log can tell. */
export function isId(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0;
}

export function isMetadata(value: unknown): value is readonly MetricMetadata[] {
  return isList(value) && value.every((entry) => isEntry(entry as Partial<MetricMetadata> | null));
}

function isEntry(entry: Partial<MetricMetadata> | null): boolean {
  if (typeof entry !== 'object' || entry === null) return false;
  return [entry.metric, entry.type, entry.help, entry.unit].every((text) => typeof text === 'string');
}

/** Lists of at most so many items whose JSON has about `bytes`, for notes of bounded size. */
export function* noteParts<T>(
  items: Iterable<T>,
  bytes: number,
  sizeOf = (item: T) => JSON.stringify(item).length,
): Generator<T[]> {
  let part: T[] = [];
  let size = 0;
  for (const item of items) {
    part.push(item);
    size += sizeOf(item);
    if (size < bytes) continue;
    yield part;
    part = [];
    size = 0;
  }
  if (part.length > 0) yield part;
}
