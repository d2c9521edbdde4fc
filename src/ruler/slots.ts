import xxhash from 'xxhash-wasm';

const { h64Raw } = await xxhash();
const NS_PER_MS = 1_000_000n;

/** The times at which a group is evaluated: multiples of its interval, shifted by a part of it that its name says. */
export class Slots {
  readonly intervalMs: number;
  readonly #intervalNs: bigint;
  readonly #offsetNs: bigint;

  /** @param aligned on multiples of the interval */
  constructor(file: string, name: string, intervalMs: number, aligned = false) {
    this.intervalMs = intervalMs;
    this.#intervalNs = BigInt(intervalMs) * NS_PER_MS;
    this.#offsetNs = aligned ? 0n : groupHash(file, name) % this.#intervalNs;
  }

  /** The last slot at or before a time. In whole milliseconds, as samples have them. */
  at(timeMs: number): number {
    const adjusted = BigInt(Math.floor(timeMs)) * NS_PER_MS - this.#offsetNs;
    return Number((adjusted - (adjusted % this.#intervalNs) + this.#offsetNs) / NS_PER_MS);
  }
}

/** As Prometheus hashes the labels `file` and `name`: XXH64 of their names and values, each behind its length. */
export function groupHash(file: string, name: string): bigint {
  const parts = ['file', file, 'name', name].flatMap((text) => {
    const bytes = Buffer.from(text);
    const { length } = bytes;
    return [length < 255 ? [length] : [255, length & 255, (length >> 8) & 255, length >> 16], bytes];
  });
  return h64Raw(Buffer.concat(parts.map((part) => Buffer.from(part))), 0n);
}
