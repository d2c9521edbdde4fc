import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { after, type Clock } from '../../lib/clock.ts';
import { freeMoved } from '../thread/movable.ts';

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

/** Smaller bodies are not worth it. */
const FREED_BYTES_MIN = 32 << 10;

/**
 * Frees a body once all of it went out, where it is alone in its buffer. Left to V8, some megabytes of answers are enough for this
 * thread's small heap to be collected as a whole. That of a client that goes before is left to it all the same.
 */
export function freeWhenSent(raw: ServerResponse, body: Uint8Array): void {
  const { socket } = raw;
  if (socket === null || body.length < FREED_BYTES_MIN || body.length < body.buffer.byteLength) return;
  raw.once('finish', () => {
    // of a connection that was cut something may still be under way
    if (!socket.destroyed) freeMoved(body);
  });
}

async function drained(raw: ServerResponse, { clock, pieceTimeoutMs }: Patience, signal: AbortSignal): Promise<void> {
  const timer = after(clock, pieceTimeoutMs, () => raw.destroy());
  try {
    await once(raw, 'drain', { signal });
  } finally {
    timer.cancel();
  }
}
