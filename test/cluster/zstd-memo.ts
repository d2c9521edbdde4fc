import zlib from 'node:zlib';

/** Frames that are remembered, and the bytes that one may have. */
const FRAMES_MAX = 20_000;
const FRAME_BYTES_MAX = 4_096;

/**
 * Lets this process' small zstd frames be made and read once: every holder and every front of a simulated cluster has the same, and
 * making a context costs more than what is in them.
 */
export function rememberZstd(): void {
  zlib.zstdDecompressSync = remembered(zlib.zstdDecompressSync);
  zlib.zstdCompressSync = remembered(zlib.zstdCompressSync);
}

type Zstd = typeof zlib.zstdCompressSync;

function remembered(work: Zstd): Zstd {
  const known = new Map<string, Buffer>();
  return (bytes, options) => {
    const frame = bytes as Uint8Array;
    if (frame.length > FRAME_BYTES_MAX) return work(bytes, options);
    const key = Buffer.from(frame.buffer, frame.byteOffset, frame.length).toString('latin1');
    let result = known.get(key);
    if (result === undefined) {
      result = work(bytes, options);
      if (known.size >= FRAMES_MAX) known.clear();
      known.set(key, result);
    }
    return Buffer.from(result);
  };
}
