import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../../src/lib/random.ts';
import { type Acknowledged, Load } from '../harness/acknowledged.ts';
import type { ApiClient } from '../harness/api.ts';
import { tearTails } from '../harness/log-files.ts';
import { Pallium, tempFolder } from '../harness/pallium.ts';
import { freePort } from '../harness/ports.ts';

const KILLS = Number(process.env.KILLS ?? 10);
const SEED = Number(process.env.SEED ?? Date.now() % 1e9);
const LANES = 4;
const LATE_MS = 10 * 60_000;

/** Windows of a minute, flushed as soon as they are over and let go soon after. */
const FLAGS = [
  '-ingester.window=1m',
  '-ingester.flush-delay=1s',
  '-ingester.flush-check-interval=200ms',
  `-ingester.keep-flushed=${process.env.KEEP_FLUSHED ?? '5s'}`,
  '-ingester.shards=2',
  `-ingester.out-of-order-time-window=${2 * LATE_MS}ms`,
];

/** Asks for all raw samples of a lane in from < time ≤ to, and holds them against what was acknowledged before. */
async function check(
  api: ApiClient,
  oracle: Acknowledged,
  lane: number,
  fromMs: number,
  toMs: number,
): Promise<string[]> {
  const expected = oracle.expected(lane, fromMs, toMs);
  const { result } = await api.instant(`{lane="${lane}"}[${toMs - fromMs}ms]`, toMs / 1000);
  return oracle.faults(expected, result);
}

test(`kill -9 ${KILLS} times under load: every acknowledged sample is there, once, at every moment`, async (t) => {
  t.diagnostic(`SEED=${SEED}`);
  const random = seededRandom(SEED);
  const dataDir = tempFolder('kill');
  const port = await freePort();
  // in the past, and three minutes of it a second: windows end, are flushed and let go all the time
  const startMs = Math.floor(Date.now() / 60_000) * 60_000 - 12 * 3_600_000;
  let server = await Pallium.start({ dataDir, port, flags: FLAGS });
  let serving = true;
  const load = new Load({
    url: () => `http://127.0.0.1:${port}`,
    lanes: LANES,
    seriesPerLane: 40,
    startMs,
    stepMs: 15_000,
    pauseMs: 60,
    lateMs: LATE_MS,
    seed: SEED,
  });
  const faults: string[] = [];
  let asked = 0;
  let unavailable = 0;
  const watching = new AbortController();
  const watch = (async () => {
    while (!watching.signal.aborted) {
      const lane = Math.floor(random() * LANES);
      const newest = load.newestMs[lane]!;
      const to = newest - Math.floor(random() * random() * (newest - startMs));
      const from = Math.max(startMs - 1, to - 60_000 * (1 + Math.floor(random() * 30)));
      const of = server;
      try {
        faults.push(...(await check(server.api(), load.oracle, lane, from, to)));
        asked++;
      } catch (thrown) {
        // refused while it is down or reading its log; anything else is a fault
        if (serving && server === of && of.alive) faults.push(`while serving: ${(thrown as Error).message}`);
        unavailable++;
        await sleep(20);
      }
      await sleep(20);
    }
  })();

  try {
    for (let kill = 1; kill <= KILLS && faults.length === 0; kill++) {
      await sleep(1500 + random() * 4000);
      serving = false;
      await server.kill();
      if (kill % 3 === 0) tearTails(dataDir);
      const restarted = performance.now();
      server = await Pallium.start({ dataDir, port, flags: FLAGS });
      serving = true;
      const readyMs = Math.round(performance.now() - restarted);
      for (let lane = 0; lane < LANES; lane++) {
        const found = await check(server.api(), load.oracle, lane, startMs - 1, load.newestMs[lane]!);
        faults.push(...found.map((fault) => `after kill ${kill}: ${fault}`));
      }
      t.diagnostic(`kill ${kill}: ready in ${readyMs} ms, ${load.oracle.acknowledged} samples acknowledged`);
    }
    watching.abort();
    await watch;
    await load.stop();
    assert.deepEqual(load.refusals, [], 'writes that were refused for good');
    assert.deepEqual(faults.slice(0, 10), [], `${faults.length} faults, SEED=${SEED}`);
    assert.ok(asked > KILLS, `only ${asked} queries were answered`);
    t.diagnostic(
      `${load.oracle.acknowledged} samples, ${load.retries} retries, ${asked} queries, ${unavailable} refused`,
    );

    // and all from the store: flushed, ended, started anew
    await server.flush();
    assert.deepEqual(await server.stop(), { code: 0, signal: null });
    server = await Pallium.start({ dataDir, port, flags: FLAGS });
    for (let lane = 0; lane < LANES; lane++) {
      const found = await check(server.api(), load.oracle, lane, startMs - 1, load.newestMs[lane]!);
      assert.deepEqual(found.slice(0, 10), [], `lane ${lane} after flush and restart`);
    }
  } catch (thrown) {
    console.log(server.logTail(60));
    throw thrown;
  } finally {
    watching.abort();
    await watch;
    await load.abandon();
    await server.kill();
    rmSync(dataDir, { recursive: true, force: true });
  }
});
