import { compress } from '../../chunk/group/header.ts';
import { inflate } from '../../chunk/group/inflate.ts';
import { BytesError, ByteWriter } from '../../lib/bytes.ts';
import { openRow, putText, sealRow, takeText } from '../row-value.ts';

/** Content that takes no more, compressed, stands in the head too. */
export const INLINE_BYTES_MAX = 8 << 10;
/** Bytes of one row of content: every backend takes them. */
export const CONTENT_ROW_BYTES_MAX = 128 << 10;
/** Bytes of a document. */
export const DOCUMENT_BYTES_MAX = 8 << 20;
/** Versions that are kept of a document; older ones are forgotten. */
export const VERSIONS_MAX = 100;

const ROW_VERSION = 1;
const ID_BYTES = 12;
const PART_BYTES = 2;
const FLAG_DELETED = 1;

/** A version as the head lists it. */
export interface VersionEntry {
  /** From 1, never given twice; a document's revision. */
  readonly number: number;
  readonly timeMs: number;
  /** Who made it; empty where that is not known. */
  readonly user: string;
  /** The document is gone with it. */
  readonly deleted: boolean;
  /** Bytes of the content. */
  readonly bytes: number;
  /** First part of the range keys of its content: number and chance, so that they ascend. */
  readonly id: Uint8Array;
  readonly parts: number;
}

export interface DocumentRow {
  readonly name: string;
  /** Ascending, at least one. */
  readonly versions: readonly VersionEntry[];
  /** The newest version's content, compressed; empty where it lies in rows only. */
  readonly inline: Uint8Array;
}

export function encodeDocument({ name, versions, inline }: DocumentRow): Uint8Array {
  const out = new ByteWriter();
  putText(out, name);
  out.uvarint(versions.length);
  for (const { number, timeMs, user, deleted, bytes, id, parts } of versions) {
    out.uvarint(number);
    out.f64(timeMs);
    putText(out, user);
    out.u8(deleted ? FLAG_DELETED : 0);
    out.uvarint(bytes);
    out.bytes(id);
    out.uvarint(parts);
  }
  out.uvarint(inline.length);
  out.bytes(inline);
  return sealRow(ROW_VERSION, out.done());
}

/** @throws BytesError */
export function decodeDocument(value: Uint8Array): DocumentRow {
  const from = openRow(ROW_VERSION, value);
  const name = takeText(from);
  let last = 0;
  const versions = Array.from({ length: from.count(ID_BYTES + PART_BYTES) }, () => {
    const number = from.uvarint();
    if (number <= last) throw new BytesError('versions out of order');
    last = number;
    const timeMs = from.f64();
    const user = takeText(from);
    const deleted = from.u8() === FLAG_DELETED;
    const bytes = from.uvarint(DOCUMENT_BYTES_MAX);
    return { number, timeMs, user, deleted, bytes, id: from.take(ID_BYTES), parts: from.uvarint(2 ** 16 - 1) };
  });
  if (versions.length === 0) throw new BytesError('a document without versions');
  const inline = from.take(from.count(1));
  from.end();
  return { name, versions, inline };
}

/** @param chance 8 bytes that no other writer of the same version has */
export function contentIdOf(number: number, chance: Uint8Array): Uint8Array {
  const id = new Uint8Array(ID_BYTES);
  new DataView(id.buffer).setUint32(0, number);
  id.set(chance.subarray(0, ID_BYTES - 4), 4);
  return id;
}

/** The range key of a part of content; without a part, the least of a version's. */
export function contentRange(id: Uint8Array, part = 0): Uint8Array {
  const range = new Uint8Array(ID_BYTES + PART_BYTES);
  range.set(id);
  new DataView(range.buffer).setUint16(ID_BYTES, part);
  return range;
}

/** The least range key of all content from a version on. */
export function contentFrom(number: number): Uint8Array {
  return contentIdOf(number, new Uint8Array(0));
}

export function packContent(content: Uint8Array): Uint8Array {
  return compress(content);
}

/** @throws BytesError */
export function unpackContent(packed: Uint8Array, bytes: number): Uint8Array {
  return inflate(packed, bytes);
}

export function sealContent(part: Uint8Array): Uint8Array {
  return sealRow(ROW_VERSION, part);
}

/** @throws BytesError */
export function openContent(value: Uint8Array): Uint8Array {
  const from = openRow(ROW_VERSION, value);
  return from.take(from.left);
}
