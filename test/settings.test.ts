import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sections } from '../src/app/config.ts';
import { backupTool, restoreTool } from '../src/app/tools/backup.ts';
import { exportTool } from '../src/app/tools/export.ts';
import { importTool } from '../src/app/tools/import.ts';
import { inspectTool } from '../src/app/tools/inspect.ts';
import { rulesTool } from '../src/app/tools/rules.ts';
import { verifyTool } from '../src/app/tools/verify.ts';
import { commandLine } from '../src/kit/config/load.ts';
import { type Section, settingsOf } from '../src/kit/config/section.ts';

const sourceFolder = join(import.meta.dirname, '..', 'src');

/** The code without comments and without what only hands on a limit under its own name. */
const code = readdirSync(sourceFolder, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  .map((name) =>
    readFileSync(join(sourceFolder, name), 'utf8')
      .replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
      .replace(/\b(\w+): limits\.\1\b/g, ''),
  );

/** Names read from something, `limits.name`, or taken out of it, `const { name } = limits`. */
const read = new Set(
  code.flatMap((text) => [
    ...Array.from(text.matchAll(/\.(\w+)\b/g), ([, name]) => name!),
    ...Array.from(
      text.matchAll(/\{([^{}]*)\}\s*(?:=(?![>=])|:)/g),
      ([, names]) => names!.match(/\b\w+\b/g) ?? [],
    ).flat(),
  ]),
);

const tools = { backupTool, restoreTool, exportTool, importTool, inspectTool, rulesTool, verifyTool };
const ofTools = Object.entries(tools).map(([name, { options }]): [string, Section] => [name, options]);
const settings = settingsOf({ commandLine, ...sections, ...Object.fromEntries(ofTools) });

test('each setting is read by something, or refused as not in this version', () => {
  const wrong = settings.flatMap(({ path, name, field }) =>
    read.has(name) === !field.planned
      ? []
      : [field.planned ? `${path} is read, and still planned` : `${path} is read by nothing`],
  );
  assert.deepEqual(wrong, []);
});
