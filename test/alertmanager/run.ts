import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom } from '../../src/lib/random.ts';
import { Pallium } from '../harness/pallium.ts';
import { freePort } from '../harness/ports.ts';
import { configOf, PULSE, randomCase } from './random-case.ts';
import { differences, Hooks, play, type Side, warmUp } from './side-by-side.ts';

// Random configurations and alerts into Pallium and into a real Alertmanager, side by side: both tell the same.
// Cases that differ are played again, with seconds that are longer each time: an event that came after a flush because one side was late
// then comes before it, and what is another logic differs however long they are.
// CASES (200), AT_ONCE (40), SEED (1); ONLY=54,60 plays these.

const services = join(import.meta.dirname, '../services');

/** Length of a second in each play. */
const SECONDS_MS = [2000, 2000, 4000, 8000, 16_000];
/** Notifications of both sides are so near, beside what the sides were measured to be late. */
const TOLERANCE_MS = 1000;

export interface ComparisonOptions {
  readonly cases: number;
  readonly atOnce: number;
  readonly seed: number;
  readonly log: (line: string) => void;
  /** Numbers of the cases; default: all. */
  readonly only?: readonly number[];
}

/** @returns what differed each time */
export async function compareWithAlertmanager(options: ComparisonOptions): Promise<string[]> {
  const hooks = await Hooks.listen();
  await using pallium = await Pallium.start({
    flags: ['-target=alertmanager', '-alertmanager.receivers-firewall.block.private-addresses=false'],
  });
  try {
    let numbers = options.only ?? Array.from({ length: options.cases }, (_, i) => i);
    let found = new Map<string, string[]>();
    for (const [played, secondMs] of SECONDS_MS.entries()) {
      if (numbers.length === 0) break;
      found = new Map();
      for (let from = 0; from < numbers.length; from += options.atOnce) {
        const some = numbers.slice(from, from + options.atOnce);
        for (const [id, differs] of await playedOnBoth(pallium, hooks, some, { plays: played + 1, secondMs }, options))
          found.set(id, differs);
      }
      numbers = numbers.filter((number) => found.has(String(number)));
    }
    return [...found.values()].flat();
  } finally {
    hooks.close();
  }
}

async function playedOnBoth(
  pallium: Pallium,
  hooks: Hooks,
  numbers: readonly number[],
  { plays, secondMs }: { readonly plays: number; readonly secondMs: number },
  { seed, log }: ComparisonOptions,
): Promise<Map<string, string[]>> {
  const folder = mkdtempSync(join(tmpdir(), 'pallium-side-by-side-'));
  const optionsFor = (side: string) => ({ hook: `${hooks.url}/${side}`, secondMs });
  const casesFor = (side: string) =>
    numbers.map((number) => randomCase(`n${number}`, seededRandom(seed * 100_003 + number), optionsFor(side)));
  const config = join(folder, 'alertmanager.yml');
  writeFileSync(config, configOf(casesFor('alertmanager'), optionsFor('alertmanager')));
  const port = await freePort();
  const instance = `side-by-side-${process.pid}`;
  const env = {
    ...process.env,
    SERVICES_INSTANCE: instance,
    ALERTMANAGER_PORT: String(port),
    ALERTMANAGER_CONFIG: config,
  };
  const started = spawnSync(join(services, 'start-alertmanager-newest'), { env, encoding: 'utf8' });
  if (started.status !== 0) throw new Error(started.stderr);
  try {
    const cases = casesFor('pallium');
    const headers = { 'x-scope-orgid': `play-${plays}-${numbers[0]}` };
    const body = JSON.stringify({ alertmanager_config: configOf(cases, optionsFor('pallium')) });
    const put = await fetch(`${pallium.url}/config/v1/alerts`, { method: 'POST', headers, body });
    if (put.status !== 201) throw new Error(await put.text());
    const sides: Side[] = [
      { url: `${pallium.url}/alertmanager`, headers },
      { url: `http://127.0.0.1:${port}`, headers: {} },
    ];
    await warmUp(sides);
    hooks.begin(secondMs);
    const lateMs = await play(cases, sides, secondMs);
    const pulseLateMs = ['pallium', 'alertmanager'].map((side) => hooks.latenessMs(side, secondMs));
    const toleranceMs = TOLERANCE_MS + Math.max(...lateMs) + Math.max(...pulseLateMs);
    const receivers = new Set([...hooks.receivers('pallium'), ...hooks.receivers('alertmanager')]);
    receivers.delete(PULSE);
    const told = [...receivers].reduce((sum, receiver) => sum + hooks.of('alertmanager', receiver).length, 0);
    const byCase = Map.groupBy(receivers, (receiver) => /^n(\d+)-/.exec(receiver)![1]!);
    const found = [...byCase].flatMap(([id, own]) => {
      const differs = differences(hooks, own, ['pallium', 'alertmanager'], toleranceMs);
      return differs.length === 0 ? [] : [[id, differs] as const];
    });
    const shown = (ms: readonly number[]) => ms.map((each) => each.toFixed()).join(' and ');
    log(
      `play ${plays}, ${numbers.length} cases: ${told} notifications, ${found.length} cases differ; Pallium and the Alertmanager took events ${shown(lateMs)} ms late at most, and told of the pulse ${shown(pulseLateMs)} ms late`,
    );
    await (await fetch(`${pallium.url}/config/v1/alerts`, { method: 'DELETE', headers })).text();
    return new Map(found);
  } finally {
    spawnSync(join(services, 'stop'), [instance], { env });
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const { CASES = '200', AT_ONCE = '40', SEED = '1', ONLY } = process.env;
  const found = await compareWithAlertmanager({
    cases: Number(CASES),
    atOnce: Number(AT_ONCE),
    seed: Number(SEED),
    log: (line) => console.log(line),
    ...(ONLY !== undefined && { only: ONLY.split(',').map(Number) }),
  });
  for (const each of found) console.log(each);
  console.log(`${found.length} groups differ each time`);
  process.exitCode = found.length === 0 ? 0 : 1;
}
