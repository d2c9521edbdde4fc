import { hash } from 'node:crypto';
import { LabelBlock } from '../chunk/group/series-block.ts';
import { copyBytes } from '../lib/copy.ts';
import { TenantLru } from '../lib/tenant-lru.ts';

/** Bytes of all kept blocks, with what is made of them. */
const BYTES_MAX = 12 * 2 ** 20;
/** Bytes of a block as it is stored; larger ones are not kept. */
const RAW_BYTES_MAX = 256 * 1024;
/** Objects of one series: labels, keys, what selectors match. */
const SERIES_BYTES = 512;
/** Bytes in memory for one of a raw block: the bytes themselves, columns, texts of symbols. */
const RAW_FACTOR = 4;

/**
 * Label blocks of the last queries of a thread, by their bytes: a slot's series are mostly the same from day to day, and then labels, their
 * keys and what selectors match are made once for all days. Tenants share none: by the time an answer takes one could find out what another
 * one has. A tenant may have what others leave free; beyond a quarter of all it gives up its own first.
 */
export class KeptLabelBlocks {
  /** By hash and tenant. */
  readonly #blocks: TenantLru<LabelBlock>;

  constructor(bytesMax = BYTES_MAX) {
    this.#blocks = new TenantLru(bytesMax);
  }

  get bytes(): number {
    return this.#blocks.bytes;
  }

  /** @throws BytesError */
  of(tenant: string, raw: Uint8Array): LabelBlock {
    if (raw.length > RAW_BYTES_MAX) return LabelBlock.parse(raw);
    const key = `${hash('sha256', raw, 'base64')}${tenant}`;
    const known = this.#blocks.get(key);
    if (known !== undefined) return known;
    // a copy, so that nothing else of the series block stays
    const block = LabelBlock.parse(copyBytes(raw));
    this.#blocks.set(
      tenant,
      key,
      block,
      RAW_FACTOR * raw.length + SERIES_BYTES * block.count + block.labelBytesOfAll(),
    );
    return block;
  }
}
