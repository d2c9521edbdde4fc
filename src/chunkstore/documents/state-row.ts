import { ByteWriter } from '../../lib/bytes.ts';
import { openRow, putText, sealRow, takeText } from '../row-value.ts';

/** Bytes of a page of state. */
export const PAGE_BYTES_MAX = 128 << 10;
/** Bytes of a head's own content. */
export const STATE_BODY_BYTES_MAX = 128 << 10;
/** Pages of a head. */
export const PAGES_MAX = 4096;
export const PAGE_ID_BYTES = 16;

const ROW_VERSION = 1;

export interface StateRow {
  readonly name: string;
  /** Hex, in the order that their owner gave them. */
  readonly pages: readonly string[];
  readonly body: Uint8Array;
}

export function encodeState({ name, pages, body }: StateRow): Uint8Array {
  const out = new ByteWriter();
  putText(out, name);
  out.uvarint(pages.length);
  for (const id of pages) out.bytes(Buffer.from(id, 'hex'));
  out.bytes(body);
  return sealRow(ROW_VERSION, out.done());
}

/** @throws BytesError */
export function decodeState(value: Uint8Array): StateRow {
  const from = openRow(ROW_VERSION, value);
  const name = takeText(from);
  const pages = Array.from({ length: from.count(PAGE_ID_BYTES) }, () =>
    Buffer.from(from.take(PAGE_ID_BYTES)).toString('hex'),
  );
  return { name, pages, body: from.take(from.left) };
}

export function sealPage(content: Uint8Array): Uint8Array {
  return sealRow(ROW_VERSION, content);
}

/** @throws BytesError */
export function openPage(value: Uint8Array): Uint8Array {
  const from = openRow(ROW_VERSION, value);
  return from.take(from.left);
}
