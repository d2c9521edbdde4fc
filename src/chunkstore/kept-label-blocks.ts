import { hash } from 'node:crypto';
import { LabelBlock } from '../chunk/group/series-block.ts';
import { copyBytes } from '../lib/copy.ts';

/** Bytes of all kept blocks, with what is made of them. */
const BYTES_MAX = 12 * 2 ** 20;
/** Bytes of a block as it is stored; larger ones are not kept. */
const RAW_BYTES_MAX = 256 * 1024;
/** Objects of one series: labels, keys, what selectors match. */
const SERIES_BYTES = 512;
/** Bytes in memory for one of a raw block: the bytes themselves, columns, texts of symbols. */
const RAW_FACTOR = 4;

interface Entry {
  readonly tenant: string;
  readonly block: LabelBlock;
  readonly bytes: number;
}

/**
 * Label blocks of the last queries of a thread, by their bytes: a slot's series are mostly the same from day to day, and then labels, their
 * keys and what selectors match are made once for all days. Tenants share none: by the time an answer takes one could find out what another
 * one has. A tenant may have what others leave free; beyond a quarter of all it gives up its own first.
 */
export class KeptLabelBlocks {
  readonly #bytesMax: number;
  /** By hash and tenant, the least recently asked for first. */
  readonly #entries = new Map<string, Entry>();
  readonly #tenantBytes = new Map<string, number>();
  #bytes = 0;

  constructor(bytesMax = BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @throws BytesError */
  of(tenant: string, raw: Uint8Array): LabelBlock {
    if (raw.length > RAW_BYTES_MAX) return LabelBlock.parse(raw);
    const key = `${hash('sha256', raw, 'base64')}${tenant}`;
    const known = this.#entries.get(key);
    if (known !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, known);
      return known.block;
    }
    // a copy, so that nothing else of the series block stays
    const block = LabelBlock.parse(copyBytes(raw));
    const bytes = RAW_FACTOR * raw.length + SERIES_BYTES * block.count + block.labelBytesOfAll();
    if (bytes > this.#bytesMax / 4) return block;
    this.#entries.set(key, { tenant, block, bytes });
    this.#add(tenant, bytes);
    this.#makeRoom();
    return block;
  }

  #add(tenant: string, bytes: number): void {
    this.#bytes += bytes;
    const own = (this.#tenantBytes.get(tenant) ?? 0) + bytes;
    if (own > 0) this.#tenantBytes.set(tenant, own);
    else this.#tenantBytes.delete(tenant);
  }

  /** With more than there may be in all some tenant has more than a quarter, or there are many of them. */
  #makeRoom(): void {
    for (const beyond of [this.#bytesMax / 4, 0]) {
      for (const [key, { tenant, bytes }] of this.#entries) {
        if (this.#bytes <= this.#bytesMax) return;
        if (this.#tenantBytes.get(tenant)! <= beyond) continue;
        this.#entries.delete(key);
        this.#add(tenant, -bytes);
      }
    }
  }
}
