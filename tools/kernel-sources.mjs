// The files that the kernel is compiled from: those of kernel/, and what they import of src/.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export function kernelSources(root) {
  const files = readdirSync(join(root, 'kernel'))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `kernel/${name}`);
  const shared = new Set();
  for (const file of files) {
    for (const [, path] of readFileSync(join(root, file), 'utf8').matchAll(/ from '\.\.\/(src\/[^']+)';/g))
      shared.add(`${path}.ts`);
  }
  return [...files, ...shared].sort();
}

/** Stands in what is generated from the sources, so that an old build is noticed. */
export function kernelState(root) {
  const hash = createHash('sha256');
  for (const file of kernelSources(root)) hash.update(`${file}\n`).update(readFileSync(join(root, file)));
  return hash.digest('hex').slice(0, 16);
}
