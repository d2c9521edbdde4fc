import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runRulesTool, type ToolOutcome } from '../harness/rules-tool.ts';

const folder = new URL('../../../shared/conformance/rules/', import.meta.url);
const skip = existsSync(folder) ? false : `${folder.pathname} is missing`;

interface Expected extends ToolOutcome {
  readonly kind: 'check' | 'test';
}

function expectations(kind: Expected['kind']): [path: string, expected: Expected][] {
  const all: Record<string, Expected> = JSON.parse(readFileSync(new URL('expected.json', folder), 'utf8'));
  return Object.entries(all).filter(([, expected]) => expected.kind === kind);
}

/** Without lines of promtool's log and ours, without the folder, and without what newer promtools say first. */
function comparable({ exit, stdout, stderr }: ToolOutcome, path: string): ToolOutcome {
  const named = (from: string) => from.replaceAll(fileURLToPath(new URL('.', new URL(path, folder))), '');
  return {
    exit,
    stdout: named(stdout).replace(/^Processing test file: .*\n/gm, ''),
    stderr: named(stderr).replace(/^(?:time=|warning: ).*\n/gm, ''),
  };
}

test('rule files get the verdicts of promtool', { skip }, async () => {
  for (const [path, expected] of expectations('check')) {
    const outcome = await runRulesTool('check', fileURLToPath(new URL(path, folder)));
    const { exit, stdout, stderr } = expected;
    assert.deepEqual(comparable(outcome, path), comparable({ exit, stdout, stderr }, path), path);
  }
});

test('unit tests of rules come out as in promtool', { skip }, async () => {
  for (const [path, expected] of expectations('test')) {
    const outcome = await runRulesTool('test', fileURLToPath(new URL(path, folder)));
    const { exit, stdout, stderr } = expected;
    assert.deepEqual(comparable(outcome, path), comparable({ exit, stdout, stderr }, path), path);
  }
});
