import type { Clock } from '../../lib/clock.ts';
import { freeMoved } from './movable.ts';

const PIECE_BYTES = 1024 * 1024;
const PIECES_MAX = 8;
/** Where a piece begins: how many readers it has, and room to the next multiple of 8. */
const HEADER_BYTES = 8;
/** Who has not given a piece back by then is gone, or has lost it: it is not used again. What nobody asked for so long goes, too. */
const FORGOTTEN_MS = 60_000;

interface Piece {
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  readonly readers: Int32Array;
  /** Where the next part begins. */
  at: number;
  lentMs: number;
}

/**
 * Memory for answers to other threads, used again when all readers of a piece have given their parts back. It is shared: what V8 counts
 * towards a heap's limit are buffers of its own, and answers of some megabytes make it collect a small heap as a whole.
 */
export class LentMemory {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  #pieces: Piece[] = [];
  #current: Piece | undefined;
  #tidiedMs = 0;

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  /** Room for an answer that one reader gets, and gives back; undefined: all is lent, or that is too much for one piece. */
  lend(bytes: number): Uint8Array<SharedArrayBuffer> | undefined {
    if (bytes > PIECE_BYTES) return undefined;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#tidiedMs > FORGOTTEN_MS) this.#tidy(nowMs);
    let piece = this.#current;
    if (piece !== undefined && isFree(piece)) piece.at = HEADER_BYTES;
    if (piece === undefined || piece.at + bytes > piece.bytes.length) piece = this.#other(nowMs);
    if (piece === undefined) return undefined;
    Atomics.add(piece.readers, 0, 1);
    const { at } = piece;
    piece.at = (at + bytes + 7) & ~7;
    piece.lentMs = nowMs;
    return piece.bytes.subarray(at, at + bytes);
  }

  #other(nowMs: number): Piece | undefined {
    let piece = this.#pieces.find(isFree);
    if (piece === undefined) {
      if (this.#pieces.length >= PIECES_MAX) this.#tidy(nowMs);
      if (this.#pieces.length >= PIECES_MAX) return undefined;
      const shared = new SharedArrayBuffer(HEADER_BYTES + PIECE_BYTES);
      piece = { bytes: new Uint8Array(shared), readers: new Int32Array(shared, 0, 1), at: 0, lentMs: nowMs };
      this.#pieces.push(piece);
    }
    piece.at = HEADER_BYTES;
    this.#current = piece;
    return piece;
  }

  #tidy(nowMs: number): void {
    this.#tidiedMs = nowMs;
    this.#pieces = this.#pieces.filter(({ lentMs }) => nowMs - lentMs <= FORGOTTEN_MS);
    if (this.#current !== undefined && !this.#pieces.includes(this.#current)) this.#current = undefined;
  }
}

function isFree({ readers }: Piece): boolean {
  return Atomics.load(readers, 0) === 0;
}

/** Less is not worth it. */
const FREED_BYTES_MIN = 32 * 1024;

/**
 * Gives a part of `LentMemory` back, when its bytes will not be looked at again. Others that are alone in their buffer are freed, as they
 * count towards the heap's limit until V8 finds them. It must be called once for each part: a second call would free what another reader
 * of the piece still reads.
 */
export function giveBack(bytes: Uint8Array): void {
  const { buffer, byteLength } = bytes;
  if (buffer instanceof SharedArrayBuffer) Atomics.sub(new Int32Array(buffer, 0, 1), 0, 1);
  else if (byteLength >= FREED_BYTES_MIN && byteLength === buffer.byteLength) freeMoved(bytes);
}
