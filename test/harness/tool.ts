import { spawn } from 'node:child_process';
import { join } from 'node:path';

const launcher = join(import.meta.dirname, '../../bin/pallium.js');

export interface ToolRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `pallium NAME …` to its end. */
export async function runTool(args: readonly string[], input = ''): Promise<ToolRun> {
  const child = spawn(process.execPath, [launcher, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (part: string) => {
      text[name] += part;
    });
  }
  child.stdin.on('error', () => {}); // a tool need not read
  child.stdin.end(input);
  const code = await new Promise<number | null>((done, fail) => {
    child.once('error', fail);
    child.once('close', done);
  });
  return { code, ...text };
}
