import { existsSync } from 'node:fs';
import { getOrMake } from '../../../lib/map.ts';
import { BlockFile } from './block-file.ts';

const MAGIC = 0x0130ba30;
const VERSION = 1;
const HEAD_BYTES = 5;
const CRC_BYTES = 4;
const BYTES_MAX = 1 << 28;

export interface DeletedRange {
  readonly minMs: number;
  /** Included. */
  readonly maxMs: number;
}

/** Deleted time ranges of a block's series, by their ids. A block without the file has nothing deleted. @throws BlockDamaged */
export function readTombstones(path: string): ReadonlyMap<number, readonly DeletedRange[]> {
  const found = new Map<number, DeletedRange[]>();
  if (!existsSync(path)) return found;
  const file = BlockFile.open(path, MAGIC, VERSION);
  try {
    if (file.bytes > BYTES_MAX) file.fail(0, `${file.bytes} bytes, at most ${BYTES_MAX} are read`);
    const body = file.readChecked(HEAD_BYTES, file.bytes - HEAD_BYTES - CRC_BYTES);
    file.parse(HEAD_BYTES, body, (from) => {
      while (from.left > 0) {
        const ranges = getOrMake(found, from.uvarint(), () => [] as DeletedRange[]);
        ranges.push({ minMs: from.varint(), maxMs: from.varint() });
      }
    });
    return found;
  } finally {
    file.close();
  }
}
