/** Frames that are sent: buffers come from the pool and go back to it. */
export class BufferPool {
  readonly #buffers: ArrayBuffer[] = [];

  take(bytes: number): Uint8Array<ArrayBuffer> {
    const i = this.#buffers.findIndex(({ byteLength }) => byteLength >= bytes);
    const buffer = i >= 0 ? this.#buffers.splice(i, 1)[0]! : new ArrayBuffer(Math.max(BUFFER_BYTES_MIN, bytes));
    return new Uint8Array(buffer, 0, bytes);
  }

  give(buffer: ArrayBuffer): void {
    if (this.#buffers.length < BUFFERS_KEPT_MAX && buffer.byteLength <= BUFFER_BYTES_KEPT_MAX) {
      this.#buffers.push(buffer);
    }
  }
}

const BUFFER_BYTES_MIN = 512 * 1024;
/** Twice what a target gets in one go. */
const BUFFER_BYTES_KEPT_MAX = 2 * 1024 * 1024;
const BUFFERS_KEPT_MAX = 16;
