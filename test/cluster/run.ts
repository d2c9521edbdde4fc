import { fork } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { getOrMake } from '../../src/lib/map.ts';
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
//   RECORD=file     adds a line for each seed that is done, and leaves out those that it has: a run that was stopped goes on. What a seed
//                   does changes with the code: one file for one state of it

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
/** Seeds between two lines of progress. */
const PROGRESS_SEEDS = 100;

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

/** Counts of a scenario's seeds. */
interface Sum {
  done: number;
  failed: number;
  cpuMs: number;
}

/** Outcomes of seeds, by scenario, and in a file that outlives the run. */
class Outcomes {
  readonly #file: string | undefined;
  readonly #sums = new Map<string, Sum>();
  readonly #known = new Set<string>();

  /** @param file lines of: scenario, seed, CPU in ms, why it failed */
  constructor(file: string | undefined) {
    this.#file = file;
    const text = file !== undefined && existsSync(file) ? readFileSync(file, 'utf8') : '';
    // the last line may have been cut off
    if (file !== undefined && text !== '' && !text.endsWith('\n')) appendFileSync(file, '\n');
    for (const line of text.split('\n')) {
      const [scenario = '', seed, cpuMs, failure] = line.split('\t');
      if (failure === undefined) continue;
      if (failure !== '') console.log(`known: SCENARIO=${scenario} SEED=${seed}: ${failure}`);
      this.#known.add(`${scenario} ${seed}`);
      this.#add(scenario, Number(cpuMs), failure !== '');
    }
  }

  has({ scenario, seed }: Task): boolean {
    return this.#known.has(`${scenario} ${seed}`);
  }

  add({ scenario, seed }: Task, { cpuMs, failure }: Told): void {
    this.#add(scenario, cpuMs, failure !== undefined);
    if (this.#file === undefined) return;
    const text = (failure ?? '').replaceAll(/\s/g, ' ');
    appendFileSync(this.#file, `${scenario}\t${seed}\t${Math.round(cpuMs)}\t${text}\n`);
  }

  #add(scenario: string, cpuMs: number, isFailed: boolean): void {
    const sum = getOrMake(this.#sums, scenario, (): Sum => ({ done: 0, failed: 0, cpuMs: 0 }));
    sum.done++;
    sum.cpuMs += cpuMs;
    if (isFailed) sum.failed++;
  }

  get text(): string {
    const texts = [...this.#sums].map(([name, { done, failed, cpuMs }]) => {
      const each = `${(cpuMs / done / 1000).toFixed(2)} s of CPU each`;
      return `${name} ${done}, ${each}${failed > 0 ? `, ${failed} failed` : ''}`;
    });
    return texts.join('; ');
  }
}

async function many(all: readonly Task[], untilMs: number, outcomes: Outcomes): Promise<void> {
  const startedMs = Date.now();
  const tasks = all.filter((task) => !outcomes.has(task));
  const failed: { readonly task: Task; readonly result: Told }[] = [];
  let next = 0;
  let done = 0;
  let cpuMs = 0;
  let checked = 0;
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
        outcomes.add(task!, result);
        if (done % PROGRESS_SEEDS === 0) console.log(`${done} of ${tasks.length} seeds: ${outcomes.text}`);
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
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), tasks.length) }, worker));
  const tookS = Math.round((Date.now() - startedMs) / 1000);
  console.log(
    `${done} of ${tasks.length} seeds in ${tookS} s, ${(cpuMs / Math.max(1, done) / 1000).toFixed(2)} s of CPU each, ${checked} samples seen, ${failed.length} failed`,
  );
  for (const { task, result } of failed) console.log(`SCENARIO=${task.scenario} SEED=${task.seed}: ${result.failure}`);
  if (failed.length > 0) process.exitCode = 1;
}

storePlainly();
const { SEED, SEEDS = '20', FROM = '1', SCENARIO, MINUTES, BROKEN, RECORD } = process.env;
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
  await many([...kept, ...fresh.flat()], untilMs, new Outcomes(RECORD));
}
