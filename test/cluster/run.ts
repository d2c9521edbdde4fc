import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { KEPT_SEEDS } from './kept-seeds.ts';
import { OPEN_SEEDS } from './open-seeds.ts';
import { storePlainly } from './plain-zstd.ts';
import type { Rule } from './rules.ts';
import { SCENARIOS, type ScenarioName, type SimulationResult, simulate } from './simulation.ts';

// Simulated clusters, many seeds: `npm run test:cluster`.
//   SEEDS=1000      so many of each scenario, beside those that failed once (default 20)
//   FROM=1          the first
//   SCENARIO=name   of one scenario only; without, some have fewer seeds (`every`)
//   BROKEN=rule     without a rule (rules.ts)
//   SEED=17         this one alone (with SCENARIO), with the end of its trace; TRACE=1: all of it
// Seeds of open-seeds.ts fail; what they say is told.
//   MINUTES=4       begins no seed after so long

interface Task {
  readonly scenario: ScenarioName;
  readonly seed: number;
  readonly broken?: Rule;
}

type Told = Pick<SimulationResult, 'digest' | 'events' | 'counts' | 'acked' | 'checked'> & {
  readonly failure: string | undefined;
  readonly trace: readonly string[];
  readonly cpuMs: number;
};

/**
 * Options of workers. Memory of kernels counts as part of the heap, which begins large: told apart, each 64 MB more of it made the
 * garbage collector mark everything, ten times a seed, and throw away compiled code that was not in use; a quarter of the CPU.
 */
const WORKER_OPTIONS = [
  '--external-memory-accounted-in-global-limit',
  '--initial-old-space-size=512',
  '--min-semi-space-size=64',
  '--max-semi-space-size=64',
  '--no-flush-bytecode',
  '--stack-trace-limit=0',
];
const TRACE_LINES = 60;
const PROGRESS_MS = 10_000;

async function told(task: Task, onTrace?: (line: string) => void): Promise<Told> {
  const before = process.cpuUsage();
  const { failure, trace, ...rest } = await simulate(onTrace === undefined ? task : { ...task, onTrace });
  const { user, system } = process.cpuUsage(before);
  return { ...rest, failure: failure?.message, trace: trace.slice(-TRACE_LINES), cpuMs: (user + system) / 1000 };
}

/** Runs tasks for its parent. */
function serve(): void {
  process.on('message', (task: Task) => void told(task).then((result) => process.send?.(result)));
}

async function one(task: Task): Promise<void> {
  const all = process.env.TRACE !== undefined;
  const result = await told(task, all ? (line) => console.log(line) : undefined);
  if (!all) console.log(result.trace.join('\n'));
  const { trace: _, ...summary } = result;
  console.log(summary);
  if (result.failure !== undefined) process.exitCode = 1;
}

/** Known to fail: told, and no failure of the run. */
function isOpen({ scenario, seed, broken }: Task): boolean {
  return broken === undefined && OPEN_SEEDS.some((open) => open.scenario === scenario && open.seed === seed);
}

async function many(tasks: readonly Task[], untilMs: number): Promise<void> {
  const startedMs = Date.now();
  const failed: { readonly task: Task; readonly result: Told }[] = [];
  let next = 0;
  let done = 0;
  let cpuMs = 0;
  let checked = 0;
  const progress = setInterval(
    () => console.log(`${done} of ${tasks.length} seeds, ${failed.length} failed`),
    PROGRESS_MS,
  );
  const worker = () =>
    new Promise<void>((resolve, reject) => {
      const child = fork(import.meta.filename, ['worker'], { execArgv: WORKER_OPTIONS });
      let task: Task | undefined;
      const give = () => {
        task = Date.now() < untilMs ? tasks[next++] : undefined;
        if (task === undefined) child.disconnect();
        else child.send(task);
      };
      child.on('message', (result: Told) => {
        done++;
        cpuMs += result.cpuMs;
        checked += result.checked;
        if (isOpen(task!)) {
          const { scenario, seed } = task!;
          console.log(
            `open: SCENARIO=${scenario} SEED=${seed}: ${result.failure ?? 'passes now: take it off open-seeds.ts'}`,
          );
        } else if (result.failure !== undefined) {
          failed.push({ task: task!, result });
          console.log(
            `\n${result.trace.join('\n')}\nFAILED SCENARIO=${task!.scenario} SEED=${task!.seed}: ${result.failure}\n`,
          );
        }
        give();
      });
      child.on('exit', (code) => {
        if (code === 0) resolve();
        else reject(new Error(`the process of SCENARIO=${task?.scenario} SEED=${task?.seed} ended with ${code}`));
      });
      give();
    });
  try {
    await Promise.all(Array.from({ length: Math.min(availableParallelism(), tasks.length) }, worker));
  } finally {
    clearInterval(progress);
  }
  const tookS = Math.round((Date.now() - startedMs) / 1000);
  console.log(
    `${done} of ${tasks.length} seeds in ${tookS} s, ${(cpuMs / done / 1000).toFixed(2)} s of CPU each, ${checked} samples seen, ${failed.length} failed`,
  );
  for (const { task, result } of failed) console.log(`SCENARIO=${task.scenario} SEED=${task.seed}: ${result.failure}`);
  if (failed.length > 0) process.exitCode = 1;
}

storePlainly();
const { SEED, SEEDS = '20', FROM = '1', SCENARIO, MINUTES, BROKEN } = process.env;
const rule = BROKEN === undefined ? {} : { broken: BROKEN as Rule };
const names = Object.keys(SCENARIOS).filter((name) => SCENARIO === undefined || name === SCENARIO) as ScenarioName[];
if (process.argv[2] === 'worker') serve();
else if (SEED !== undefined) await one({ scenario: names[0]!, seed: Number(SEED), ...rule });
else {
  const kept = BROKEN === undefined ? KEPT_SEEDS.filter(({ scenario }) => names.includes(scenario)) : [];
  const isDue = (name: ScenarioName, i: number) => SCENARIO !== undefined || i % SCENARIOS[name].every === 0;
  const fresh = Array.from({ length: Number(SEEDS) }, (_, i) =>
    names.filter((name) => isDue(name, i)).map((scenario) => ({ scenario, seed: Number(FROM) + i, ...rule })),
  );
  const untilMs = MINUTES === undefined ? Number.POSITIVE_INFINITY : Date.now() + Number(MINUTES) * 60_000;
  await many([...kept, ...fresh.flat()], untilMs);
}
