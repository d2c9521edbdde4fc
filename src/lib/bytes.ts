const BYTES_MIN = 256;
const BYTES_KEPT_MAX = 64 * 1024;

/** Appends bytes and varints to a buffer that grows. */
export class ByteWriter {
  #bytes = new Uint8Array(BYTES_MIN);
  #view = new DataView(this.#bytes.buffer);
  length = 0;

  /** Forgets what was written, and gives back memory that grew large. */
  clear(): void {
    this.length = 0;
    if (this.#bytes.length <= BYTES_KEPT_MAX) return;
    this.#bytes = new Uint8Array(BYTES_MIN);
    this.#view = new DataView(this.#bytes.buffer);
  }

  #room(more: number): number {
    const at = this.length;
    this.length = at + more;
    if (this.length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.length, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }

  u8(value: number): void {
    const at = this.#room(1);
    this.#bytes[at] = value;
  }

  u32(value: number): void {
    const at = this.#room(4);
    this.#view.setUint32(at, value, true);
  }

  f64(value: number): void {
    const at = this.#room(8);
    this.#view.setFloat64(at, value, true);
  }

  bytes(bytes: Uint8Array): void {
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** An integer from 0 to 2^53. */
  uvarint(value: number): void {
    if (value < 128) {
      this.u8(value);
      return;
    }
    let left = value;
    while (left >= 128) {
      this.u8((left % 128) | 128);
      left = Math.floor(left / 128);
    }
    this.u8(left);
  }

  /** An integer of at most 2^52 to either side, zigzag. */
  varint(value: number): void {
    this.uvarint(value < 0 ? -2 * value - 1 : 2 * value);
  }

  /** The bytes written, not copied: they hold only until the next write. */
  done(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }
}

/** Why bytes were refused; the caller knows whose bytes they are and says so. */
export class BytesError extends Error {}

/** Reads what others wrote: each method throws BytesError where the bytes end or are out of range. */
export class ByteReader {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  #take(count: number): number {
    const at = this.at;
    if (count > this.bytes.length - at) throw new BytesError(`ends within ${count} bytes at ${at}`);
    this.at = at + count;
    return at;
  }

  u8(): number {
    return this.bytes[this.#take(1)]!;
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  take(count: number): Uint8Array {
    const at = this.#take(count);
    return this.bytes.subarray(at, at + count);
  }

  uvarint(max = Number.MAX_SAFE_INTEGER): number {
    const first = this.bytes[this.at];
    if (first !== undefined && first < 128 && first <= max) {
      this.at++;
      return first;
    }
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.u8();
      value += (byte & 127) * scale;
      if (value > max) throw new BytesError(`a number above ${max} at ${this.at}`);
      if (byte < 128) return value;
      // 0x80 for ever is no number either
      if (scale > 2 ** 49) throw new BytesError(`a number of more than 8 bytes at ${this.at}`);
    }
  }

  varint(): number {
    const value = this.uvarint();
    if (value < 2 ** 31) return (value >>> 1) ^ -(value & 1);
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  /** A count of things that take at least `bytesEach` of the bytes that are left. */
  count(bytesEach: number): number {
    return this.uvarint(Math.floor(this.left / bytesEach));
  }

  end(): void {
    if (this.left > 0) throw new BytesError(`${this.left} bytes too many`);
  }
}
