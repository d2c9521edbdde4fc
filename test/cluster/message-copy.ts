/**
 * A message as whoever it is sent to gets it: what a structured clone would be, for what our roles send, in a third of the time. Buffers
 * in `moved` move.
 */
export function copyMessage(message: unknown, moved: readonly unknown[]): unknown {
  if (typeof message !== 'object' || message === null) return message;
  return new Copier(moved).copy(message);
}

class Copier {
  readonly #moved: readonly unknown[];
  readonly #buffers = new Map<ArrayBuffer, ArrayBuffer>();

  constructor(moved: readonly unknown[]) {
    this.#moved = moved;
  }

  copy(value: unknown): unknown {
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) return value.map((each) => this.copy(each));
    switch (Object.getPrototypeOf(value)) {
      case Object.prototype: {
        const copy: Record<string, unknown> = {};
        for (const key in value) copy[key] = this.copy((value as Record<string, unknown>)[key]);
        return copy;
      }
      case Map.prototype:
        return new Map([...(value as Map<unknown, unknown>)].map(([key, each]) => [this.copy(key), this.copy(each)]));
      case Set.prototype:
        return new Set([...(value as Set<unknown>)].map((each) => this.copy(each)));
      case ArrayBuffer.prototype:
        return this.#buffer(value as ArrayBuffer);
    }
    if (ArrayBuffer.isView(value) && value.buffer instanceof ArrayBuffer)
      return this.#view(value as Uint8Array<ArrayBuffer>);
    // buffers, errors, and what nobody should send
    return structuredClone(value);
  }

  #view(view: Uint8Array<ArrayBuffer>): unknown {
    const isMoved = this.#moved.includes(view.buffer);
    const { byteOffset, byteLength } = view;
    const own = isMoved ? undefined : view.buffer.slice(byteOffset, byteOffset + byteLength);
    const at = isMoved ? byteOffset : 0;
    const size = byteLength / (view.BYTES_PER_ELEMENT ?? 1);
    const buffer = own ?? this.#buffer(view.buffer);
    // a Buffer arrives as plain bytes
    if (Buffer.isBuffer(view)) return new Uint8Array(buffer, at, size);
    const Kind = view.constructor as new (buffer: ArrayBuffer, at: number, size: number) => unknown;
    return new Kind(buffer, at, size);
  }

  #buffer(buffer: ArrayBuffer): ArrayBuffer {
    if (!this.#moved.includes(buffer)) return buffer.slice(0);
    const known = this.#buffers.get(buffer);
    if (known !== undefined) return known;
    const moved = buffer.transfer();
    this.#buffers.set(buffer, moved);
    return moved;
  }
}
