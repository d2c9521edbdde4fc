import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { after, type Clock } from '../../lib/clock.ts';

/** Bodies are written in pieces of this size: a client that takes none of it for too long is cut off. */
const PIECE_BYTES = 256 << 10;

/** How long a client is waited for. */
export interface Patience {
  readonly clock: Clock;
  /** Time in which it must take a piece. */
  readonly pieceTimeoutMs: number;
}

/** A body in pieces, to be written one after the other. */
export function* piecesOf(body: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < body.length; at += PIECE_BYTES) yield body.subarray(at, at + PIECE_BYTES);
}

/** Whether a body is more than goes out as one piece. */
export function isLarge(body: Uint8Array): boolean {
  return body.length > PIECE_BYTES;
}

/**
 * Writes a body whose headers are out, each piece when the client has taken most of those before; the connection ends where
 * it takes none for too long, or where the body fails half-way.
 * @returns bytes written
 */
export async function writeBody(
  raw: ServerResponse,
  body: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  patience: Patience,
): Promise<number> {
  let bytes = 0;
  const deadline = new AbortController();
  const gone = () => deadline.abort();
  raw.once('close', gone);
  try {
    for await (const piece of body) {
      if (raw.destroyed) break;
      bytes += piece.length;
      if (!raw.write(piece)) await drained(raw, patience, deadline.signal);
    }
    if (!raw.destroyed) raw.end();
    cutWhenUnread(raw, patience);
  } catch {
    raw.destroy(); // what went out does not look whole
  } finally {
    raw.off('close', gone);
  }
  return bytes;
}

/** Ends the connection where what was written to it is not taken in time. */
export function cutWhenUnread(raw: ServerResponse, { clock, pieceTimeoutMs }: Patience): void {
  if (raw.writableFinished || raw.destroyed || raw.socket?.writableLength === 0) return;
  const timer = after(clock, pieceTimeoutMs, () => raw.destroy());
  raw.once('close', () => timer.cancel());
}

async function drained(raw: ServerResponse, { clock, pieceTimeoutMs }: Patience, signal: AbortSignal): Promise<void> {
  const timer = after(clock, pieceTimeoutMs, () => raw.destroy());
  try {
    await once(raw, 'drain', { signal });
  } finally {
    timer.cancel();
  }
}
