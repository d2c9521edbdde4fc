import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

/** Bodies are written in pieces of this size: a client that takes none of it for too long is cut off. */
const PIECE_BYTES = 256 << 10;

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
  pieceTimeoutMs: number,
): Promise<number> {
  let bytes = 0;
  const deadline = new AbortController();
  const gone = () => deadline.abort();
  raw.once('close', gone);
  try {
    for await (const piece of body) {
      if (raw.destroyed) break;
      bytes += piece.length;
      if (!raw.write(piece)) await drained(raw, pieceTimeoutMs, deadline.signal);
    }
    if (!raw.destroyed) raw.end();
    cutWhenUnread(raw, pieceTimeoutMs);
  } catch {
    raw.destroy(); // what went out does not look whole
  } finally {
    raw.off('close', gone);
  }
  return bytes;
}

/** Ends the connection where what was written to it is not taken in time. */
export function cutWhenUnread(raw: ServerResponse, timeoutMs: number): void {
  if (raw.writableFinished || raw.destroyed || raw.socket?.writableLength === 0) return;
  const timer = setTimeout(() => raw.destroy(), timeoutMs);
  timer.unref();
  raw.once('close', () => clearTimeout(timer));
}

async function drained(raw: ServerResponse, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const timer = setTimeout(() => raw.destroy(), timeoutMs);
  try {
    await once(raw, 'drain', { signal });
  } finally {
    clearTimeout(timer);
  }
}
