import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { SavedSlots, SlotsFile } from '../distributor/local-slots.ts';
import type { Disk } from '../ingester/log/disk.ts';
import type { Logger } from '../kit/observe/log.ts';

/** Version of the file, which is JSON. */
const VERSION = 1;

/** Slots of a process without a ring in a file of its data folder. What cannot be read or written is logged: then series may lie in two shards for a while. */
export function slotsFile(disk: Pick<Disk, 'writeWhole'>, file: string, log: Logger): SlotsFile {
  return {
    load() {
      try {
        const read = JSON.parse(readFileSync(file, 'utf8')) as Partial<SavedSlots> & { readonly version?: number };
        if (read.version === VERSION && isSaved(read)) return read;
        throw new Error(`it is not of version ${VERSION}`);
      } catch (thrown) {
        const { code, message: error } = thrown as NodeJS.ErrnoException;
        if (code !== 'ENOENT') log.warn({ file, error }, 'the slots of tenants could not be read');
        return hasLogs(path.dirname(file)) ? { shards: 0, tenants: [] } : undefined;
      }
    },
    save(slots) {
      try {
        disk.writeWhole(file, Buffer.from(`${JSON.stringify({ version: VERSION, ...slots })}\n`));
      } catch (thrown) {
        log.warn({ file, error: (thrown as Error).message }, 'the slots of tenants could not be written');
      }
    },
  };
}

/** The first file of a shard's log: one that has another is of an earlier run. */
const FIRST_SEGMENT = '0000000001.wal';

function hasLogs(dir: string): boolean {
  const shards = namesIn(dir).filter((name) => name.startsWith('shard-'));
  return shards.some((shard) =>
    namesIn(path.join(dir, shard)).some((name) => /\d\.(wal|ckp)$/.test(name) && name !== FIRST_SEGMENT),
  );
}

/** Shards make their folders when they start, maybe only now. */
function namesIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw thrown;
  }
}

function isSaved(read: Partial<SavedSlots>): read is SavedSlots {
  const { shards, tenants } = read;
  return (
    Number.isSafeInteger(shards) &&
    Array.isArray(tenants) &&
    tenants.every(
      ({ tenant, buckets, changedMs, series }) =>
        typeof tenant === 'string' && [1, 16, 256].includes(buckets) && isNumber(changedMs) && isNumber(series),
    )
  );
}

function isNumber(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value);
}
