// Compiles kernel/index.ts (AssemblyScript) to kernel/build/kernel.wasm, and writes its signatures to kernel/build/kernel.d.ts.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';
import { kernelState } from './kernel-sources.mjs';
import { kernelTypes } from './kernel-types.mjs';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
process.chdir(root);
// Written aside and moved into place, so that a process starting meanwhile never loads half a file.
const aside = `kernel/build/.${process.pid}`;
fs.mkdirSync(aside, { recursive: true });
const state = kernelState(root);
try {
  const { error, stderr } = await asc.main(
    [
      'kernel/index.ts',
      '-o',
      `${aside}/kernel.wasm`,
      '-O3',
      '--noAssert',
      '--runtime',
      'stub',
      '--enable',
      'simd',
      '--enable',
      'bulk-memory',
      '--bindings',
      'raw',
    ],
    { stderr: process.stderr },
  );
  if (error) {
    console.error(String(stderr), error.message);
    process.exitCode = 1;
  } else {
    const declared = fs.readFileSync(`${aside}/kernel.d.ts`, 'utf8');
    fs.writeFileSync(`${aside}/kernel.d.ts`, kernelTypes(declared, root, state));
    for (const file of ['kernel.wasm', 'kernel.d.ts']) fs.renameSync(`${aside}/${file}`, `kernel/build/${file}`);
  }
} finally {
  fs.rmSync(aside, { recursive: true, force: true });
}
