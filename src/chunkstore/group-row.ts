import { type GroupHeader, guarded, parseHeader } from '../chunk/group/header.ts';
import { ByteReader, BytesError, ByteWriter } from '../lib/bytes.ts';
import { CONTENT_ID_BYTES, idOfRange } from './keys.ts';

const ROW_VERSION = 1;
const INLINE = 0;
const IN_OBJECT = 1;

/** Where a group's sub-blocks lie. */
export type GroupPlace =
  /** `body` is what `group` ends with. */
  | { readonly kind: 'inline'; readonly group: Uint8Array; readonly body: Uint8Array }
  /** The whole group, header first, at `offset` of an object. */
  | { readonly kind: 'object'; readonly key: string; readonly offset: number; readonly bodyOffset: number };

/** The value of a group row. */
export interface GroupRow {
  /** Hex of the content id. */
  readonly id: string;
  readonly header: GroupHeader;
  readonly place: GroupPlace;
  /** Ids of the groups that this one was merged from: a reader that sees it leaves them out. */
  readonly replaces: readonly string[];
}

export function encodeInlineRow(
  header: Uint8Array,
  body: Uint8Array,
  replaces: readonly Uint8Array[] = [],
): Uint8Array {
  const out = begin(INLINE, replaces);
  out.bytes(header);
  out.bytes(body);
  return out.done();
}

export function encodeObjectRow(
  header: Uint8Array,
  key: string,
  offset: number,
  replaces: readonly Uint8Array[] = [],
): Uint8Array {
  const out = begin(IN_OBJECT, replaces);
  const keyBytes = Buffer.from(key);
  out.uvarint(keyBytes.length);
  out.bytes(keyBytes);
  out.uvarint(offset);
  out.bytes(header);
  return out.done();
}

function begin(kind: number, replaces: readonly Uint8Array[]): ByteWriter {
  const out = new ByteWriter();
  out.u8(ROW_VERSION);
  out.u8(kind);
  out.uvarint(replaces.length);
  for (const id of replaces) out.bytes(id);
  return out;
}

/**
 * @param name of the row, for errors
 * @throws errors.groupCorrupt
 */
export function decodeGroupRow(range: Uint8Array, value: Uint8Array, name: string): GroupRow {
  const { replaces, place, at } = guarded(name, 'row', () => {
    const from = new ByteReader(value);
    const { kind, replaces } = readFront(from);
    if (kind === INLINE) return { replaces, place: undefined, at: from.at };
    const key = Buffer.from(from.take(from.count(1))).toString();
    return { replaces, place: { key, offset: from.uvarint() }, at: from.at };
  });
  const { header, headerBytes } = parseHeader(value.subarray(at), name);
  const end = at + headerBytes;
  const id = hexOf(idOfRange(range));
  if (place !== undefined) {
    const bodyOffset = place.offset + headerBytes;
    return { id, header, place: { kind: 'object', key: place.key, offset: place.offset, bodyOffset }, replaces };
  }
  guarded(name, 'row', () => {
    if (value.length - end !== header.bodyBytes) {
      throw new BytesError(`a body of ${value.length - end} bytes where ${header.bodyBytes} are announced`);
    }
  });
  return { id, header, place: { kind: 'inline', group: value.subarray(at), body: value.subarray(end) }, replaces };
}

/**
 * Ids, in hex, of the groups that a row's group replaces. They lie before all that has a checksum, so a damaged row may list them, too.
 * @throws BytesError
 */
export function decodeReplaces(value: Uint8Array): string[] {
  return readFront(new ByteReader(value)).replaces;
}

function readFront(from: ByteReader): { readonly kind: number; readonly replaces: string[] } {
  const version = from.u8();
  if (version !== ROW_VERSION) throw new BytesError(`version ${version}, known is ${ROW_VERSION}`);
  const kind = from.u8();
  if (kind !== INLINE && kind !== IN_OBJECT) throw new BytesError(`a row of kind ${kind}`);
  const replaces = Array.from({ length: from.count(CONTENT_ID_BYTES) }, () => hexOf(from.take(CONTENT_ID_BYTES)));
  return { kind, replaces };
}

/** The group's name in errors: the row, and where its samples lie in an object, that too. */
export function groupName(rowName: string, place: GroupPlace): string {
  return place.kind === 'inline' ? rowName : `${rowName} in ${place.key}`;
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}
