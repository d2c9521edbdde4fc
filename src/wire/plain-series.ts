/** A float sample as its bits: the words of the value, signed, and Unix ms. */
export interface PlainSample {
  readonly timeMs: number;
  readonly high: number;
  readonly low: number;
}

const START_BYTES = 16 * 1024;
const VALUE_BYTES = 9;
const TEXT_TAGS = [0x0a, 0x12] as const;

/**
 * Writes series of float samples as a `prometheus.WriteRequest`, byte for byte as `encodeRemoteWrite1` does, for who writes many of them
 * again and again.
 */
export class PlainSeriesWriter {
  #bytes = Buffer.allocUnsafeSlow(START_BYTES);
  #at = 0;
  /** Bytes of each text of the series at hand. */
  readonly #sizes: number[] = [];

  /** @param pairs name, value, … */
  add(pairs: readonly string[], samples: readonly PlainSample[]): void {
    let bytes = 0;
    for (let i = 0; i < pairs.length; i += 2) {
      const name = Buffer.byteLength(pairs[i]!);
      const value = Buffer.byteLength(pairs[i + 1]!);
      this.#sizes[i] = name;
      this.#sizes[i + 1] = value;
      bytes += sizeOf(labelBytes(name, value));
    }
    for (const { timeMs } of samples) bytes += sizeOf(sampleBytes(timeMs));
    this.#ensure(sizeOf(bytes));
    this.#begin(0x0a, bytes);
    for (let i = 0; i < pairs.length; i += 2) {
      this.#begin(0x0a, labelBytes(this.#sizes[i]!, this.#sizes[i + 1]!));
      this.#text(0, pairs[i]!, this.#sizes[i]!);
      this.#text(1, pairs[i + 1]!, this.#sizes[i + 1]!);
    }
    for (const { timeMs, high, low } of samples) {
      this.#begin(0x12, sampleBytes(timeMs));
      this.#bytes[this.#at++] = 0x09;
      this.#at = this.#bytes.writeInt32LE(low, this.#at);
      this.#at = this.#bytes.writeInt32LE(high, this.#at);
      if (timeMs !== 0) {
        this.#bytes[this.#at++] = 0x10;
        this.#time(timeMs);
      }
    }
  }

  /** Bytes of the request so far. */
  get size(): number {
    return this.#at;
  }

  /** The request so far; the writer begins anew. */
  take(): Uint8Array {
    const taken = this.#bytes.subarray(0, this.#at);
    this.#bytes = Buffer.allocUnsafeSlow(START_BYTES);
    this.#at = 0;
    return taken;
  }

  #ensure(more: number): void {
    if (this.#at + more <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.#bytes.length, this.#at + more));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }

  #begin(tag: number, bytes: number): void {
    this.#bytes[this.#at++] = tag;
    this.#varint(bytes);
  }

  #varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#at++] = rest;
  }

  #text(field: 0 | 1, text: string, bytes: number): void {
    if (bytes === 0) return;
    this.#begin(TEXT_TAGS[field], bytes);
    if (bytes === text.length) {
      const at = this.#at;
      for (let i = 0; i < bytes; i++) this.#bytes[at + i] = text.charCodeAt(i);
    } else this.#bytes.write(text, this.#at, 'utf8');
    this.#at += bytes;
  }

  #time(timeMs: number): void {
    // two's complement of 64 bits where it is negative
    let high = Math.floor(timeMs / 2 ** 32) >>> 0;
    let low = timeMs >>> 0;
    while (high !== 0 || low >= 0x80) {
      this.#bytes[this.#at++] = (low & 0x7f) | 0x80;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    this.#bytes[this.#at++] = low;
  }
}

/** Bytes of a message with its tag and its length. */
function sizeOf(bytes: number): number {
  return 1 + varintBytes(bytes) + bytes;
}

function labelBytes(name: number, value: number): number {
  return (name === 0 ? 0 : sizeOf(name)) + (value === 0 ? 0 : sizeOf(value));
}

function sampleBytes(timeMs: number): number {
  return VALUE_BYTES + timeBytes(timeMs);
}

/** Bytes of a sample's time, which is its last field, with the tag. */
export function timeBytes(timeMs: number): number {
  if (timeMs === 0) return 0;
  return 1 + (timeMs < 0 ? 10 : varintBytes(timeMs));
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}
