// Compiles kernel/index.ts (AssemblyScript) to kernel/build/kernel.wasm, the same for a memory that threads share to kernel-shared.wasm,
// and writes their signatures to kernel/build/kernel.d.ts.
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
  await compile('kernel', ['--bindings', 'raw']);
  // memory that was never used is zero in every thread
  const shared = ['--importMemory', '--sharedMemory', '--zeroFilledMemory', '--enable', 'threads'];
  await compile('kernel-shared', [...shared, '--maximumMemory', '65536']);
  const declared = fs.readFileSync(`${aside}/kernel.d.ts`, 'utf8');
  fs.writeFileSync(`${aside}/kernel.d.ts`, kernelTypes(declared, root, state));
  for (const file of ['kernel.wasm', 'kernel-shared.wasm', 'kernel.d.ts'])
    fs.renameSync(`${aside}/${file}`, `kernel/build/${file}`);
} finally {
  fs.rmSync(aside, { recursive: true, force: true });
}

async function compile(name, flags) {
  const usual = ['-O3', '--noAssert', '--runtime', 'stub', '--enable', 'simd', '--enable', 'bulk-memory'];
  const { error } = await asc.main(['kernel/index.ts', '-o', `${aside}/${name}.wasm`, ...usual, ...flags], {
    stderr: process.stderr,
  });
  if (error) throw error;
}
