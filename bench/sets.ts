import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const home = process.env.BENCH_HOME ?? join(homedir(), '.cache/pallium-bench');

/** Bodies of remote write in a file, made once: what `workload.mjs` writes. */
export interface WorkloadSet {
  readonly name: string;
  readonly file: string;
  readonly series: number;
  readonly samples: number;
  readonly startMs: number;
  readonly endMs: number;
}

/** Many series for a quarter of an hour, and fewer for six hours; the small ones are for a look in passing. */
export const SETS = ['46x60', '12x1440', '4x40', '2x240'] as const;

/** @param name instances × steps of 15 s */
export async function workloadSet(name: string): Promise<WorkloadSet> {
  const [instances, steps] = name.split('x').map(Number);
  if (!instances || !steps) throw new Error(`${name}: a set is instances x steps, like ${SETS[0]}`);
  mkdirSync(home, { recursive: true });
  const file = join(home, `set-${name}`);
  const about = `${file}.json`;
  if (!existsSync(about)) {
    console.error(`making ${file}`);
    const draft = `${file}.${process.pid}`;
    // a fixed day, on the edge of a window: every run sees the same bytes
    const args = ['--instances', `${instances}`, '--steps', `${steps}`, '--start-ms', `${Date.UTC(2026, 9, 1)}`];
    const { stdout } = await run(process.execPath, [join(import.meta.dirname, 'workload.mjs'), draft, ...args]);
    renameSync(draft, file);
    writeFileSync(about, stdout);
  }
  return { name, file, ...(JSON.parse(readFileSync(about, 'utf8')) as Omit<WorkloadSet, 'name' | 'file'>) };
}

export interface ReplayResult {
  readonly samples: number;
  readonly failed: number;
  readonly retried: number;
  readonly wallS: number;
  readonly samplesPerS: number;
  readonly firstError: string;
}

export interface ReplayOptions {
  readonly concurrency?: number;
  readonly tenant?: string;
  /** Samples a second; absent: as fast as they are taken. */
  readonly rate?: number;
  /** Ends after that time, whether or not all is sent. */
  readonly seconds?: number;
}

/** Sends a set from a process of its own, so that the sender's pauses are not the server's. */
export async function replay(set: WorkloadSet, url: string, options: ReplayOptions = {}): Promise<ReplayResult> {
  const script = join(import.meta.dirname, 'replay.mjs');
  const args = [script, set.file, url];
  for (const [name, value] of Object.entries({ concurrency: 2, ...options })) args.push(`--${name}`, String(value));
  const { stdout } = await run(process.execPath, args);
  const result = JSON.parse(stdout) as ReplayResult;
  if (result.failed > 0) throw new Error(`${url}: ${result.failed} requests failed: ${result.firstError}`);
  return result;
}
