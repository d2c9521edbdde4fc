import { crc32 } from 'node:zlib';
import { peerErrors } from '../../model/errors-peer.ts';

// Frames on a connection between members (docs/formats/rpc.md).

/** Bytes before head and body. */
export const HEADER_BYTES = 20;
// where the fields lie
/** u32, header included. */
const BYTES_AT = 0;
/** u32: CRC-32 of everything behind it, begun with the frame's number on the connection. */
const CHECKSUM_AT = 4;
/** u32: number of the call, the caller's. */
const CALL_AT = 8;
/** u32: low byte the kind, the rest the bytes of the head. */
const KIND_AT = 12;
/** u32: bytes of the message's body, with those of PART frames to come. */
const BODY_AT = 16;

// kinds
/** First words of either side: versions and nonces. */
export const HELLO = 1;
/** Second words of the caller: its proof, and who it is. */
export const PROOF = 2;
/** Second words of the other side: it takes calls. */
export const WELCOME = 3;
export const REQUEST = 4;
export const ANSWER = 5;
export const ERROR = 6;
/** A part of an answer that is a stream. */
export const ITEM = 7;
/** The stream's end. */
export const END = 8;
/** More bytes that the caller takes of a stream. */
export const CREDIT = 9;
export const CANCEL = 10;
export const PING = 11;
export const PONG = 12;
/** More of the body of the call's last message. */
export const PART = 13;
/** No new calls are taken: the process ends. */
export const GOING = 14;

/** Bytes of a body in one frame; longer ones come in several, so that others have turns. */
export const PIECE_BYTES = 256 * 1024;
export const HEAD_BYTES_MAX = 4 * 1024 * 1024;
/** Bytes of a message's body. */
export const BODY_BYTES_MAX = 256 * 1024 * 1024;
/** Bytes of a frame before the other side has proved who it is. */
export const STRANGER_BYTES_MAX = 16 * 1024;

const EMPTY = Buffer.alloc(0);

export interface Frame {
  readonly kind: number;
  readonly call: number;
  readonly head: Buffer;
  /** Bytes of the message's body. */
  readonly bodyBytes: number;
  /** The first of them, or the next: all where they fit a piece. */
  readonly piece: Buffer;
}

/** A frame as it came: `memory` holds it where it was gathered from several reads. */
export interface ReadFrame extends Frame {
  readonly memory: Buffer | undefined;
}

/** Memories of frames that are kept for the next, and the steps of their sizes: to make them anew costs more than all the rest. */
const MEMORIES_KEPT_MAX = 8;
const MEMORY_BYTES_STEP = 64 * 1024;
/** Larger ones are of heads that are seldom as long. */
const MEMORY_BYTES_KEPT_MAX = 512 * 1024;

/** Header and head of a frame, with the checksum of all of it. @param number the frame's, from 0 on */
export function frameHead({ kind, call, head, bodyBytes, piece }: Frame, number: number): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + head.length);
  bytes.writeUInt32LE(HEADER_BYTES + head.length + piece.length, BYTES_AT);
  bytes.writeUInt32LE(call, CALL_AT);
  bytes.writeUInt32LE(kind + head.length * 256, KIND_AT);
  bytes.writeUInt32LE(bodyBytes, BODY_AT);
  head.copy(bytes, HEADER_BYTES);
  let sum = crc32(bytes.subarray(CALL_AT), number >>> 0);
  if (piece.length > 0) sum = crc32(piece, sum);
  bytes.writeUInt32LE(sum, CHECKSUM_AT);
  return bytes;
}

/** Finds frames in what comes over a connection. */
export class FrameReader {
  readonly #onFrame: (frame: ReadFrame) => void;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  /** The frame that is being gathered; undefined: its header is not whole yet. */
  #frame: Buffer | undefined;
  #filled = 0;
  #number = 0;
  readonly #memories: Buffer[] = [];
  #memory: Buffer | undefined;
  /** Longest frame that is taken. */
  frameBytesMax = STRANGER_BYTES_MAX;

  constructor(onFrame: (frame: ReadFrame) => void) {
    this.#onFrame = onFrame;
  }

  /** Takes bytes as they come. @throws peerMessageInvalid, peerMessageTooLarge; nothing more may be read then */
  take(data: Buffer): void {
    let at = 0;
    while (at < data.length) {
      if (this.#frame === undefined) {
        if (this.#filled === 0 && data.length - at >= HEADER_BYTES) {
          const bytes = this.#length(data, at);
          if (data.length - at >= bytes) {
            const whole = data.subarray(at, at + bytes);
            at += bytes;
            this.#done(whole, undefined);
            continue;
          }
        }
        const own = Math.min(HEADER_BYTES - this.#filled, data.length - at);
        data.copy(this.#header, this.#filled, at, at + own);
        this.#filled += own;
        at += own;
        if (this.#filled < HEADER_BYTES) return;
        const bytes = this.#length(this.#header, 0);
        this.#memory = this.#memoryOf(bytes);
        this.#frame = this.#memory.subarray(0, bytes);
        this.#header.copy(this.#frame);
      }
      const frame = this.#frame;
      const own = Math.min(frame.length - this.#filled, data.length - at);
      data.copy(frame, this.#filled, at, at + own);
      this.#filled += own;
      at += own;
      if (this.#filled < frame.length) return;
      const memory = this.#memory;
      this.#frame = undefined;
      this.#memory = undefined;
      this.#filled = 0;
      this.#done(frame, memory);
    }
  }

  #length(header: Buffer, at: number): number {
    const bytes = header.readUInt32LE(at + BYTES_AT);
    if (bytes < HEADER_BYTES) throw peerErrors.peerMessageInvalid({ reason: `a frame of ${bytes} bytes` });
    if (bytes > this.frameBytesMax) {
      throw peerErrors.peerMessageTooLarge({ bytes, limit: this.frameBytesMax, what: 'fixed, of a frame' });
    }
    return bytes;
  }

  /** Nobody reads a frame any more: the next may lie in its memory. */
  give(memory: Buffer): void {
    if (this.#memories.length < MEMORIES_KEPT_MAX && memory.length <= MEMORY_BYTES_KEPT_MAX)
      this.#memories.push(memory);
  }

  #memoryOf(bytes: number): Buffer {
    const at = this.#memories.findIndex(({ length }) => length >= bytes);
    if (at >= 0) return this.#memories.splice(at, 1)[0]!;
    return Buffer.allocUnsafeSlow(Math.ceil(bytes / MEMORY_BYTES_STEP) * MEMORY_BYTES_STEP);
  }

  #done(frame: Buffer, memory: Buffer | undefined): void {
    const number = this.#number++;
    if (crc32(frame.subarray(CALL_AT), number >>> 0) !== frame.readUInt32LE(CHECKSUM_AT)) {
      throw peerErrors.peerMessageInvalid({ reason: `the checksum of frame ${number} is another` });
    }
    const kindAndHead = frame.readUInt32LE(KIND_AT);
    const headBytes = kindAndHead >>> 8;
    if (HEADER_BYTES + headBytes > frame.length) {
      throw peerErrors.peerMessageInvalid({ reason: `a head of ${headBytes} bytes is longer than its frame` });
    }
    const bodyAt = HEADER_BYTES + headBytes;
    this.#onFrame({
      kind: kindAndHead & 255,
      call: frame.readUInt32LE(CALL_AT),
      head: headBytes === 0 ? EMPTY : frame.subarray(HEADER_BYTES, bodyAt),
      bodyBytes: frame.readUInt32LE(BODY_AT),
      piece: bodyAt === frame.length ? EMPTY : frame.subarray(bodyAt),
      memory,
    });
  }
}
