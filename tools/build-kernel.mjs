// Compiles kernel/index.ts (AssemblyScript) to kernel/build/kernel.wasm.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
process.chdir(root);
fs.mkdirSync('kernel/build', { recursive: true });
// Written aside and moved into place, so that a process starting meanwhile never loads half a file.
const aside = `kernel/build/kernel.${process.pid}.wasm`;
const { error, stderr } = await asc.main(
  [
    'kernel/index.ts',
    '-o',
    aside,
    '-O3',
    '--noAssert',
    '--runtime',
    'stub',
    '--enable',
    'simd',
    '--enable',
    'bulk-memory',
  ],
  { stderr: process.stderr },
);
if (error) {
  console.error(String(stderr), error.message);
  process.exit(1);
}
fs.renameSync(aside, 'kernel/build/kernel.wasm');
