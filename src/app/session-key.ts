import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { makeFolderSync } from '../kit/folder/make-folder.ts';
import { systemBytes } from '../lib/random.ts';

const KEY_FILE = 'session-key';
export const SESSION_KEY_BYTES = 32;

/** The key that signs sessions, from the data folder; made when it is first asked for. @throws where the folder cannot be read or written */
export function sessionKeyIn(dir: string): () => Uint8Array {
  let key: Uint8Array | undefined;
  return () => {
    key ??= readOrMake(path.join(dir, KEY_FILE));
    return key;
  };
}

function readOrMake(file: string): Uint8Array {
  try {
    return checked(file);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw thrown;
  }
  makeFolderSync(path.dirname(file));
  try {
    writeFileSync(file, Buffer.from(systemBytes(SESSION_KEY_BYTES)).toString('hex'), { mode: 0o600, flag: 'wx' });
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw thrown;
  }
  return checked(file);
}

function checked(file: string): Uint8Array {
  const key = Buffer.from(readFileSync(file, 'utf8').trim(), 'hex');
  if (key.length !== SESSION_KEY_BYTES)
    throw new Error(`${file}: ${SESSION_KEY_BYTES} bytes in hexadecimal digits are wanted`);
  return key;
}
