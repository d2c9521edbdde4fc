import zlib from 'node:zlib';
import { BytesError } from '../../lib/bytes.ts';

/** Major versions of Node whose streams' handles are known; another's arguments would end the process, not throw. */
const KNOWN_MAJORS: readonly string[] = ['24'];

/** Inflates a zstd frame, to a buffer of its own. @throws BytesError where the bytes are no frame of exactly `rawBytes` */
export function inflate(stored: Uint8Array, rawBytes: number): Uint8Array {
  let raw: Uint8Array;
  try {
    // one byte more than it takes, so that the first call also sees the end
    raw = zlib.zstdDecompressSync(stored, {
      chunkSize: Math.max(64, rawBytes + 1),
      maxOutputLength: Math.max(1, rawBytes),
    });
  } catch (error) {
    throw new BytesError(`zstd: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
  if (raw.length !== rawBytes) throw new BytesError(`${raw.length} bytes where ${rawBytes} were announced`);
  return raw;
}

/** Node's stream, as far as it is used: its handle writes to any memory, where public functions make a buffer at each call. */
interface Inflater {
  readonly _handle: {
    onerror: (message: string) => void;
    reset(): void;
    writeSync(
      flush: number,
      input: Uint8Array,
      inputFrom: number,
      inputBytes: number,
      output: Uint8Array,
      outputFrom: number,
      outputBytes: number,
    ): void;
  };
  /** After a call: bytes of output and of input that are left. */
  readonly _writeState: Uint32Array;
}

/** Undefined: it is not known yet; null: this Node has none. */
let inflater: Inflater | null | undefined;

/**
 * As `inflate`, into `memory` from `at` on, which has room for a byte more. Bytes behind the frame may be refused.
 * @throws BytesError
 */
export function inflateTo(stored: Uint8Array, rawBytes: number, memory: Uint8Array, at: number): void {
  if (inflater === undefined) inflater = inflaterOfNode();
  if (inflater === null) {
    memory.set(inflate(stored, rawBytes), at);
    return;
  }
  const { _handle: handle, _writeState: left } = inflater;
  let failure: string | undefined;
  handle.onerror = (message) => {
    failure = message;
  };
  handle.reset();
  handle.writeSync(zlib.constants.ZSTD_e_end, stored, 0, stored.length, memory, at, rawBytes + 1);
  if (failure === undefined && left[0] === 1 && left[1] === 0) return;
  inflater = undefined;
  if (failure !== undefined) throw new BytesError(`zstd: ${failure}`);
  throw new BytesError(`${rawBytes + 1 - left[0]!} bytes and ${left[1]} behind where ${rawBytes} were announced`);
}

/** @param version of Node; another than that which runs: for tests */
export function inflaterOfNode(version = process.versions.node): Inflater | null {
  if (!KNOWN_MAJORS.includes(version.split('.', 1)[0]!)) return null;
  const stream = zlib.createZstdDecompress() as unknown as Partial<Inflater>;
  const isKnown =
    typeof stream._handle?.writeSync === 'function' &&
    typeof stream._handle.reset === 'function' &&
    stream._writeState instanceof Uint32Array;
  return isKnown ? (stream as Inflater) : null;
}
