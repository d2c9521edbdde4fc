import zlib from 'node:zlib';

/** Longest content that is stored plainly, in one block. */
const PLAIN_BYTES_MAX = 64 * 1024;
/** Magic, and a header that says: one segment, its size in four bytes, no checksum. */
const FRAME_BYTES = 9;
const BLOCK_BYTES = 3;
const HEAD = 0xfd2fb528;
const SINGLE_SEGMENT_U32 = 0xa0;

/**
 * Lets this process' small zstd frames hold their bytes as they are, which any zstd reads: making a context costs more than what is in
 * them.
 */
export function storePlainly(): void {
  const { zstdCompressSync, zstdDecompressSync } = zlib;
  zlib.zstdCompressSync = (bytes, options) => {
    const raw = bytes as Uint8Array;
    return raw.length > PLAIN_BYTES_MAX ? zstdCompressSync(bytes, options) : plainFrame(raw);
  };
  zlib.zstdDecompressSync = (bytes, options) => plainContent(bytes as Uint8Array) ?? zstdDecompressSync(bytes, options);
}

function plainFrame(raw: Uint8Array): Buffer<ArrayBuffer> {
  const frame = Buffer.allocUnsafe(FRAME_BYTES + BLOCK_BYTES + raw.length);
  frame.writeUInt32LE(HEAD, 0);
  frame.writeUInt8(SINGLE_SEGMENT_U32, 4);
  frame.writeUInt32LE(raw.length, 5);
  // the last block, raw
  frame.writeUIntLE(1 + raw.length * 8, FRAME_BYTES, BLOCK_BYTES);
  frame.set(raw, FRAME_BYTES + BLOCK_BYTES);
  return frame;
}

/** Content of a frame that this process made; undefined: it is another's, or damaged. */
function plainContent(frame: Uint8Array): Buffer<ArrayBuffer> | undefined {
  const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.length);
  const length = bytes.length - FRAME_BYTES - BLOCK_BYTES;
  if (length < 0 || length > PLAIN_BYTES_MAX || bytes.readUInt32LE(0) !== HEAD) return undefined;
  if (bytes.readUInt8(4) !== SINGLE_SEGMENT_U32 || bytes.readUInt32LE(5) !== length) return undefined;
  if (bytes.readUIntLE(FRAME_BYTES, BLOCK_BYTES) !== 1 + length * 8) return undefined;
  return Buffer.from(bytes.subarray(FRAME_BYTES + BLOCK_BYTES));
}
