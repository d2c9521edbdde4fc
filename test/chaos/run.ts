import { stopPeers } from '../harness/peers.ts';
import { Checker, checkAll } from './checker.ts';
import { Faults } from './faults.ts';
import { healVerdict } from './heal-verdict.ts';
import { Journal } from './journal.ts';
import { Load } from './load.ts';
import { Network } from './network.ts';
import { FULL_MINUTES, Outages } from './outages.ts';
import { Balancer, MemberProcess, type ProcessPlan, startAll } from './processes.ts';
import { RealPrometheus } from './prometheus.ts';
import { refusalVerdict } from './refusal-verdict.ts';
import { Services } from './services.ts';
import { type ChaosSettings, readSettings, type Shape } from './settings.ts';
import { Starvation } from './starvation.ts';
import { checkStore } from './stored.ts';

// A cluster of real processes under load, of which some are killed, stopped or cut off all the time: no acknowledged sample may be lost
// or doubled, and no query wrong. `MINUTES=4 RATE=2000 SEED=1 npm run chaos`; settings.ts has all settings.

/** Heals that have to be judged in the whole form. */
const HEALS_JUDGED_MIN = 3;
/** Minutes from which on a shorter form has the time to judge one. */
const JUDGING_MINUTES_MIN = 3;
/** Share of the samples that may be twice in the store where it was away and nothing else failed; none was after three minutes. */
const TWICE_SHARE_MAX = 0.02;
const FEW_THREADS = ['-ingester.shards=1', '-querier.workers=1', '-distributor.edge-workers=1'];

const FLAGS = [
  '-distributor.replication-factor=3',
  '-ring.zones-min=3',
  '-ring.heartbeat-period=1s',
  '-ring.heartbeat-timeout=10s',
  '-ring.auto-forget=1m',
  '-ring.poll-period=500ms',
  '-ingester.window=1m',
  '-ingester.flush-delay=10s',
  '-ingester.flush-spread=20s',
  '-ingester.flush-check-interval=2s',
  '-ingester.keep-flushed=1m',
  ...FEW_THREADS,
];

function plansOf(shape: Shape): ProcessPlan[] {
  const many = (letter: string, target: string, count: number, zones = 0): ProcessPlan[] =>
    Array.from({ length: count }, (_, i) => ({
      name: `${letter}${i + 1}`,
      target,
      ...(zones > 0 && { zone: `z${(i % zones) + 1}` }),
    }));
  if (shape === 'all') return many('a', 'all', 3, 3);
  return [
    ...many('i', 'ingester', 5, 3),
    ...many('d', 'distributor', 2),
    ...many('q', 'querier', 2),
    ...many('c', 'compactor', 1),
  ];
}

async function main(): Promise<void> {
  const settings = readSettings();
  const journal = new Journal();
  using starvation = new Starvation();
  journal.say(JSON.stringify(settings));
  await using services = await Services.start(settings);
  journal.say('services are there');
  const network = new Network();
  const processes = plansOf(settings.shape).map(
    (plan) => new MemberProcess(plan, [...FLAGS, ...services.flags], network, journal),
  );
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      const ends = [...processes.map((each) => each.kill()), stopPeers()];
      void Promise.allSettled(ends).finally(() => process.exit(1));
    });
  }
  try {
    const seeds: string[] = [];
    for (const process of processes) {
      const address = await process.advertise();
      if (process.isIngester) seeds.push(address);
    }
    for (const process of processes) process.flags.push(`-ring.seed-addresses=${seeds.join(',')}`);
    await startAll(processes);
    journal.say(`${processes.length} processes are ready`);
    await makeChaos({ settings, processes, services, network, journal, starvation });
  } catch (thrown) {
    journal.wasWrong((thrown as Error).stack ?? String(thrown));
  } finally {
    const isKept = journal.wrongCount > 0 && process.env.KEEP === '1';
    for (const each of processes) {
      await each.kill();
      if (isKept) journal.say(`${each.name}: ${each.folder}`);
      else each.removeFiles();
    }
    await network.close();
  }
  process.exitCode = report(settings, journal, starvation) ? 0 : 1;
}

interface Run {
  readonly settings: ChaosSettings;
  readonly processes: readonly MemberProcess[];
  readonly services: Services;
  readonly network: Network;
  readonly journal: Journal;
  readonly starvation: Starvation;
}

async function makeChaos(run: Run): Promise<void> {
  const { settings, processes, services, network, journal, starvation } = run;
  const writers = new Balancer(processes.filter(({ takesWrites }) => takesWrites));
  const readers = new Balancer(processes.filter(({ answersQueries }) => answersQueries));
  const load = new Load(settings.rate, writers, journal);
  const checker = new Checker(load.lanes, readers, journal, settings.seed);
  await using prometheus = settings.prometheus ? await RealPrometheus.start(writers) : undefined;
  load.start();
  checker.start();
  const faults = new Faults({
    processes,
    network,
    journal,
    seed: settings.seed,
    everyMs: settings.faultEveryMs,
    untilMs: Date.now() + settings.minutes * 60_000,
    kinds: settings.faults,
  });
  const { minutes, outageMs, faults: kinds } = settings;
  const hasKv = settings.kv === 'etcd';
  const told = { journal, starvation, minutes, outageMs, hasKv, kinds };
  const outages = new Outages({ processes, services, faults, checker, ...told });
  await Promise.all([faults.run(), outages.run().finally(() => faults.mayEnd())]);
  journal.say('no more faults');
  await load.stop();
  await checker.stop();
  for (const each of processes) await each.ready();
  const asked = processes.filter(({ answersQueries }) => answersQueries);
  await Promise.all(
    asked.map(async (each) => {
      const samples = await checkAll(load.lanes, each, journal);
      journal.say(`${each.name} has been asked for all ${samples} samples`);
    }),
  );
  const scraped = (await prometheus?.check(readers.pick(), journal)) ?? 0;
  const twiceShareMax = kinds.length === 1 && kinds[0] === 'store' ? TWICE_SHARE_MAX : undefined;
  await checkStore({ processes, services, journal, samples: journal.samples + scraped, twiceShareMax });
  await Promise.all([writers.close(), readers.close()]);
}

/** Prints what came of it. @returns whether all is as it must be */
function report(settings: ChaosSettings, journal: Journal, starvation: Starvation): boolean {
  const { failures, writes, samples, queries, wrongCount } = journal;
  const heals = journal.heals().map((heal) => {
    const { startMs } = heal.fault;
    return { ...heal, ...starvation.between(startMs, startMs + Math.max(heal.ms, settings.healMsMax)) };
  });
  const judgedMin = judgedHealsMin(settings);
  const isShort = judgedMin < HEALS_JUDGED_MIN;
  const { slowestMs, judged, leftOut, isWell: hasHealed } = healVerdict(heals, settings.healMsMax, judgedMin, isShort);
  const refused = refusalVerdict(journal.refusals, journal.storeOutages, settings.refusalMsMax);
  const whileAway =
    refused.storeAwayMsMax === undefined
      ? ''
      : `; ${seconds(refused.storeAwayMs)} with the store away (at most ${seconds(refused.storeAwayMsMax)})`;
  const count = (of: string) => failures.filter(({ kind }) => kind === of).length;
  const rows: [what: string, value: string, isWell: boolean][] = [
    ['faults', `${journal.faults.length}`, true],
    ['samples acknowledged', `${samples} in ${writes} writes`, samples > 0],
    ['writes retried', `${count('write')}, ${journal.throttled} of them after 429`, true],
    ['queries', `${queries}`, queries > 0],
    ['queries failed', `${count('query')}, and ${journal.storeFailures} by the store while it was away`, true],
    ['samples of Prometheus', journal.scraped ?? 'nothing', journal.scraped !== undefined || !settings.prometheus],
    ['in the store', journal.stored ?? 'not counted', journal.stored !== undefined],
    ['wrong', `${wrongCount}`, wrongCount === 0],
    [
      'longest refusal',
      `${seconds(refused.longestMs)} (at most ${seconds(settings.refusalMsMax)})${whileAway}`,
      refused.isWell,
    ],
    [
      'heals after one failure',
      `${seconds(slowestMs)} (at most ${seconds(settings.healMsMax)}; ${judged} judged of at least ${judgedMin}, ${leftOut} slower ones left out while the machine was starved)`,
      hasHealed,
    ],
  ];
  console.log();
  for (const [what, value, isWell] of rows) console.log(`${what.padEnd(24)} ${value}${isWell ? '' : '   NOT MET'}`);
  for (const { fault, ms, failedMs, why, pressure, lateMs } of heals) {
    if (ms <= settings.healMsMax && process.env.VERBOSE !== '1') continue;
    const lack = `processors wanted ${Math.round(100 * pressure)} % of the time, timers up to ${seconds(lateMs)} late`;
    console.log(`  ${fault.what}: ${seconds(ms)}${why && `: ${why} after ${seconds(failedMs)}`} (${lack})`);
  }
  const whys = new Map<string, number>();
  for (const { kind, why } of failures) {
    const text = `${kind} ${why.replaceAll(/\d+/g, 'N').slice(0, 160)}`;
    whys.set(text, (whys.get(text) ?? 0) + 1);
  }
  for (const [why, times] of [...whys].sort(([, a], [, b]) => b - a).slice(0, 15)) console.log(`  ${times} × ${why}`);
  return rows.every(([, , isWell]) => isWell);
}

/** Heals that have to be judged; none with chosen kinds of faults, which may leave no time in which nothing else fails. */
function judgedHealsMin({ minutes, faults }: ChaosSettings): number {
  if (faults.length > 0 || minutes < JUDGING_MINUTES_MIN) return 0;
  return minutes >= FULL_MINUTES ? HEALS_JUDGED_MIN : 1;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

await main();
// load and checks may still run where something was thrown
process.exit();
