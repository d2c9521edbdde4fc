import type { ByteReader, ByteWriter } from '../lib/bytes.ts';

/** An exemplar on its way to a shard, in frames and in the log: f64 time, value · uvarint bytes · labels. */
export interface FrameExemplar {
  readonly timeMs: number;
  readonly value: number;
  /** Canonical; may be none. */
  readonly labels: Uint8Array;
}

export function writeFrameExemplar(out: ByteWriter, { timeMs, value, labels }: FrameExemplar): void {
  out.f64(timeMs);
  out.f64(value);
  out.uvarint(labels.length);
  out.bytes(labels);
}

/** The labels are a copy. @throws BytesError */
export function readFrameExemplar(from: ByteReader): FrameExemplar {
  const timeMs = from.f64();
  const value = from.f64();
  return { timeMs, value, labels: from.take(from.count(1)).slice() };
}
