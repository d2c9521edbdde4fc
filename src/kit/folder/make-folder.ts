import { mkdirSync, statSync } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

// Node's own recursive mkdir tries for ever where a parent is there and takes no folder, as in /proc.

/** Makes a folder and those above it. @throws the system's error, with the folder that could not be made */
export async function makeFolder(folder: string): Promise<void> {
  for (const path of toMake(folder)) {
    try {
      await mkdir(path);
    } catch (thrown) {
      if (
        !(await stat(path).then(
          (found) => found.isDirectory(),
          () => false,
        ))
      )
        throw nameless(thrown, path);
    }
  }
}

export function makeFolderSync(folder: string): void {
  for (const path of toMake(folder)) {
    try {
      mkdirSync(path);
    } catch (thrown) {
      if (!(statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false)) throw nameless(thrown, path);
    }
  }
}

/** The folder and all above it that are not there, the uppermost first. */
function toMake(folder: string): string[] {
  const missing: string[] = [];
  for (let path = resolve(folder); ; path = dirname(path)) {
    if (isThere(path)) break;
    missing.unshift(path);
    if (dirname(path) === path) break;
  }
  return missing;
}

function isThere(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch {
    return false; // below something that is no folder: making it says so
  }
}

function nameless(thrown: unknown, path: string): Error {
  const { code, message } = thrown as NodeJS.ErrnoException;
  return Object.assign(new Error(`${path}: ${message}`, { cause: thrown }), { code });
}
