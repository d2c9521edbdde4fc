import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom } from '../../src/lib/random.ts';
import { Pallium } from '../harness/pallium.ts';
import { freePort } from '../harness/ports.ts';
import { configOf, randomCase } from './random-case.ts';
import { differences, Hooks, play, type Side, warmUp } from './side-by-side.ts';

// Random configurations and alerts into Pallium and into a real Alertmanager, side by side: both tell the same.
// CASES (200), AT_ONCE (40), SEED (1).

const services = join(import.meta.dirname, '../services');

/** Cases that differ are played so often: what differs by a moment in which both were busy does so once. */
const playsMax = 3;

export interface ComparisonOptions {
  readonly cases: number;
  readonly atOnce: number;
  readonly seed: number;
  readonly log: (line: string) => void;
}

/** @returns what differed each time */
export async function compareWithAlertmanager(options: ComparisonOptions): Promise<string[]> {
  const hooks = await Hooks.listen();
  await using pallium = await Pallium.start({
    flags: ['-target=alertmanager', '-alertmanager.receivers-firewall.block.private-addresses=false'],
  });
  try {
    let numbers = Array.from({ length: options.cases }, (_, i) => i);
    let found = new Map<string, string[]>();
    for (let plays = 1; plays <= playsMax && numbers.length > 0; plays++) {
      found = new Map();
      for (let from = 0; from < numbers.length; from += options.atOnce) {
        const some = numbers.slice(from, from + options.atOnce);
        for (const [id, differs] of await playedOnBoth(pallium, hooks, some, plays, options)) found.set(id, differs);
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
  plays: number,
  { seed, log }: ComparisonOptions,
): Promise<Map<string, string[]>> {
  const folder = mkdtempSync(join(tmpdir(), 'pallium-side-by-side-'));
  const casesFor = (side: string) =>
    numbers.map((number) => randomCase(`n${number}`, seededRandom(seed * 100_003 + number), `${hooks.url}/${side}`));
  const config = join(folder, 'alertmanager.yml');
  writeFileSync(config, configOf(casesFor('alertmanager')));
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
    const body = JSON.stringify({ alertmanager_config: configOf(cases) });
    const put = await fetch(`${pallium.url}/config/v1/alerts`, { method: 'POST', headers, body });
    if (put.status !== 201) throw new Error(await put.text());
    const sides: Side[] = [
      { url: `${pallium.url}/alertmanager`, headers },
      { url: `http://127.0.0.1:${port}`, headers: {} },
    ];
    await warmUp(sides);
    hooks.begin();
    await play(cases, sides);
    const receivers = new Set([...hooks.receivers('pallium'), ...hooks.receivers('alertmanager')]);
    const told = [...receivers].reduce((sum, receiver) => sum + hooks.of('alertmanager', receiver).length, 0);
    const byCase = Map.groupBy(receivers, (receiver) => /^n(\d+)-/.exec(receiver)![1]!);
    const found = [...byCase].flatMap(([id, own]) => {
      const differs = differences(hooks, own, ['pallium', 'alertmanager']);
      return differs.length === 0 ? [] : [[id, differs] as const];
    });
    log(`play ${plays}, ${numbers.length} cases: ${told} notifications, ${found.length} cases differ`);
    await (await fetch(`${pallium.url}/config/v1/alerts`, { method: 'DELETE', headers })).text();
    return new Map(found);
  } finally {
    spawnSync(join(services, 'stop'), [instance], { env });
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const { CASES = '200', AT_ONCE = '40', SEED = '1' } = process.env;
  const found = await compareWithAlertmanager({
    cases: Number(CASES),
    atOnce: Number(AT_ONCE),
    seed: Number(SEED),
    log: (line) => console.log(line),
  });
  for (const each of found) console.log(each);
  console.log(`${found.length} groups differ each time`);
  process.exitCode = found.length === 0 ? 0 : 1;
}
