// The state of the sources: equal as long as no file of them was changed, added or taken away. Read by the launcher, whatever Node
// runs it.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Files of src/ that a build has. */
export function isShipped(file) {
  return (
    file.endsWith('.ts') &&
    !file.endsWith('.test.ts') &&
    !file.endsWith('.d.ts') &&
    !/(^|[/\\])test-[^/\\]*$/.test(file)
  );
}

/** Files that it has besides, at the same place as in the checkout. */
export const COPIED = ['package.json', 'kernel/build/kernel.wasm', 'kernel/build/kernel-shared.wasm'];

/** A hash of names, sizes and times: some 400 files in a few milliseconds. @throws where the kernel was not compiled yet */
export function sourceState(root) {
  const hash = createHash('sha256');
  for (const file of readdirSync(join(root, 'src'), { recursive: true }).filter(isShipped).sort()) {
    const { size, mtimeMs } = statSync(join(root, 'src', file));
    hash.update(`${file} ${size} ${mtimeMs}\n`);
  }
  // compiling the kernel anew does not make it another
  for (const file of [...COPIED, 'tools/build-dist.mjs']) hash.update(readFileSync(join(root, file)));
  return hash.digest('hex').slice(0, 16);
}
