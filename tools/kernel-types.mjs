// Turns the declarations that the AssemblyScript compiler writes (`--bindings raw`) into those of the bare module, which this
// project calls without the compiler's adapter: a bool comes back as 0 or 1, a u32 or usize as a signed number.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const DECLARATION = /\/\*\*\s+\* (\S+)\/(\w+)\n([^/]*?)\*\/\s+export function \w+\(([^)]*)\): (\w+);/g;

/** @param declared text of the compiler's kernel.d.ts; @param state of the sources (kernel-sources.mjs) */
export function kernelTypes(declared, root, state) {
  const byFile = new Map();
  for (const [, module, name, tags, parameters, result] of declared.matchAll(DECLARATION)) {
    const types = [...tags.matchAll(/@param \w+ `(\w+)`/g)].map(([, type]) => type);
    const returned = tags.match(/@returns `(\w+)`/)?.[1] ?? 'void';
    const method = `  ${name}(${parameters}): ${result === 'boolean' ? 'number' : result};`;
    const doc = `  /** ${docOf(root, module, name)}(${types.join(', ')}) → ${returned} */`;
    byFile.set(module, [...(byFile.get(module) ?? []), `${doc}\n${method}`]);
  }
  const parts = [...byFile].sort(([a], [b]) => (a < b ? -1 : 1));
  const count = parts.reduce((sum, [, methods]) => sum + methods.length, 0);
  const expected = declared.match(/export function (?!instantiate)/g)?.length ?? 0;
  if (count !== expected) throw new Error(`of ${expected} functions of the kernel only ${count} were understood`);
  return `// Written by tools/build-kernel.mjs: what kernel/index.ts exports.
// Sources: ${state}

/** Pointers are byte offsets into the memory. A u32 or usize comes back as a signed number (\`>>> 0\`), a bool as 0 or 1. */
export interface KernelExports {
  readonly memory: WebAssembly.Memory;
${parts.map(([module, methods]) => `  // ---- ${module}.ts\n${methods.join('\n')}`).join('\n')}
}
`;
}

/** The comment of the function in its source, on one line. */
function docOf(root, module, name) {
  const source = readFileSync(join(root, `${module}.ts`), 'utf8');
  const at = source.search(new RegExp(`^export function ${name}\\(`, 'm'));
  const doc = source.slice(0, Math.max(at, 0)).match(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*$/)?.[1];
  if (doc === undefined) return '';
  return `${doc
    .replace(/\n\s*\*/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()} `;
}
