import { CHUNK_FLOAT_HISTOGRAM, CHUNK_HISTOGRAM, CHUNK_XOR2, type RichEncoding } from '../../chunk/head-chunk.ts';
import { ByteReader, BytesError, ByteWriter } from '../../lib/bytes.ts';
import { RECORD_BYTES_AIMED } from '../../wire/record-layout.ts';
import type { RichHead } from '../head/rich-head.ts';

// Rich chunks in a checkpoint: uvarint ref, arena · u8 late · f64 least, greatest time · u32 flags (as in slices) · uvarint bytes ·
// the chunk; of a series in the order they were begun.

const ENCODINGS: readonly number[] = [CHUNK_HISTOGRAM, CHUNK_FLOAT_HISTOGRAM, CHUNK_XOR2];

/** Payloads with the chunks of the refs in [from, to); each only until the next. */
export function* saveRichChunks(rich: RichHead, from: number, to: number): Iterable<Uint8Array> {
  const out = new ByteWriter();
  for (const ref of rich.refsBetween(from, to)) {
    for (const chunk of rich.chunksOf(ref, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, 0)) {
      if (out.length > 0 && out.length + chunk.bytes.length > RECORD_BYTES_AIMED) {
        yield out.done();
        out.length = 0;
      }
      out.uvarint(ref);
      out.uvarint(chunk.arena);
      out.u8(chunk.late ? 1 : 0);
      out.f64(chunk.minMs);
      out.f64(chunk.maxMs);
      out.u32(chunk.flags);
      out.uvarint(chunk.bytes.length);
      out.bytes(chunk.bytes);
    }
  }
  if (out.length > 0) yield out.done();
}

/**
 * Puts the chunks of a payload into the head, but for those that `isHeld` denies.
 * @throws BytesError
 */
export function loadRichChunks(
  rich: RichHead,
  payload: Uint8Array,
  isHeld: (ref: number, arena: number) => boolean,
): void {
  const from = new ByteReader(payload);
  while (from.left > 0) {
    const ref = from.uvarint(0xffffff);
    const arena = from.uvarint(0xffffffff);
    const late = from.u8() === 1;
    const minMs = from.f64();
    const maxMs = from.f64();
    const flags = from.u32();
    const bytes = from.take(from.count(1));
    const encoding = flags >>> 8;
    if (!ENCODINGS.includes(encoding) || bytes.length < 3) throw new BytesError(`a chunk of encoding ${encoding}`);
    if (isHeld(ref, arena))
      rich.load(ref, { arena, encoding: encoding as RichEncoding, late, minMs, maxMs, flags, bytes });
  }
}
