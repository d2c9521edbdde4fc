import fs from 'node:fs';
import path from 'node:path';

/** A file of the log is longer: its first bytes say what it is. */
const FILE_TEXT_BYTES = 16;
/** A process with more shards than processors gains nothing; a folder of a higher number is not one that Pallium made. */
export const SHARDS_MAX = 256;
/** Numbers of segments and checkpoints have ten digits, and each start takes the next one. */
const SEQUENCE_MAX = 9_900_000_000;

/**
 * The shards that have a folder in `dir`, ascending, each with files that can be what their names say.
 * @throws with the name of the first that is not
 */
export function shardFolders(dir: string): number[] {
  const numbers: number[] = [];
  for (const name of namesIn(dir)) {
    const digits = /^shard-(.*)$/.exec(name)?.[1];
    if (digits === undefined) continue;
    const folder = path.join(dir, name);
    const number = Number(digits);
    if (!/^(0|[1-9]\d*)$/.test(digits) || number >= SHARDS_MAX) {
      throw odd(folder, `shards are numbered from 0 to ${SHARDS_MAX - 1}`);
    }
    checkShardFolder(folder);
    numbers.push(number);
  }
  return numbers.sort((a, b) => a - b);
}

function checkShardFolder(folder: string): void {
  let newest = '';
  for (const name of namesIn(folder)) {
    const sequence = /^(?:checkpoint-)?(\d+)\.(?:wal|ckp)$/.exec(name)?.[1];
    if (sequence === undefined) continue;
    const file = path.join(folder, name);
    if (!(fs.statSync(file, { throwIfNoEntry: false })?.isFile() ?? true)) throw odd(file, 'it is no file');
    if (sequence.length !== 10 || Number(sequence) > SEQUENCE_MAX) {
      throw odd(file, `numbers have ten digits, up to ${SEQUENCE_MAX}`);
    }
    if (name.endsWith('.ckp') && name > newest) newest = name;
  }
  if (newest === '') return;
  const checkpoint = path.join(folder, newest);
  // one is only named so when all of it is on the disk
  if (fs.statSync(checkpoint).size <= FILE_TEXT_BYTES) {
    throw new Error(
      `the checkpoint ${checkpoint} is empty, and what it held is not in the log any more: restore it from a backup, or delete it and lose what was not yet flushed to the store`,
    );
  }
}

function namesIn(folder: string): string[] {
  try {
    return fs.readdirSync(folder);
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code === 'ENOENT') return [];
    if (code === 'ENOTDIR') throw odd(folder, 'it is no folder');
    throw thrown;
  }
}

function odd(file: string, why: string): Error {
  return new Error(`${file} is not one of the data folder's files: ${why}; move it away`);
}
