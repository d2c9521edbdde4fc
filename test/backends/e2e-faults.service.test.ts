import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { TcpProxy } from '../faults/tcp-proxy.ts';
import { Pallium, tempFolder } from '../harness/pallium.ts';
import { rssBytes } from '../harness/process-cost.ts';
import { push, writeBody } from '../harness/remote-write.ts';
import { runTool } from '../harness/tool.ts';
import { until } from '../harness/wait.ts';
import { objectServices, PREFIX, QUICK, type ServiceStore, tableServices } from './e2e-stores.ts';

const BRIEF_MS = 3000;
/** How long rows and objects are away together; `npm run test:services:full` makes it ten minutes. */
const OUTAGE_MS = 1000 * Number(process.env.OUTAGE_S ?? BRIEF_MS / 1000);
/** Growth of memory meanwhile, exclusive: samples, and what each of up to a thousand windows needs for itself. */
const RSS_GROWTH_BYTES_MAX = 400 * 2 ** 20;
/** Series with long random names, so that a window's group is larger than what lies in rows. */
const SERIES = 400;
const IDS = Array.from({ length: SERIES }, () => randomBytes(64).toString('hex'));
const STEP_S = 10;
const PUSH_PAUSE_MS = 100;
/** Windows come so fast that the head is soon full. */
const FULL = { pauseMs: 5, flags: ['-ingester.head-bytes-max=3MiB', '-ingester.keep-flushed=1s'] };
const LOOK_EVERY_MS = 1000;
const NUMBERS_EVERY_MS = 1100;

const moto = objectServices.find(({ name }) => name === 'moto')!;
const inRows: ServiceStore = {
  name: 'rows',
  port: 0,
  flags: () => ['-schema.object-store=none'],
};

before(async () => {
  if (moto.port !== undefined) await moto.prepare?.(moto.port);
});

for (const service of tableServices) outage([service, inRows], BRIEF_MS);
outage([moto], BRIEF_MS);
for (const service of tableServices.filter(({ name }) => name === 'dynamodb'))
  outage([service, inRows], BRIEF_MS, FULL);
describe('rows and objects away together', { concurrency: true }, () => {
  for (const service of tableServices.filter(({ name }) => name !== 'bigtable')) outage([service, moto], OUTAGE_MS);
});

/**
 * @param services that a server uses and that go away; one without a port of its own stays
 * @param full where the head is to be too small for what comes meanwhile
 */
function outage(services: readonly ServiceStore[], awayMs: number, full?: typeof FULL): void {
  const away = services.filter(({ port }) => port !== 0);
  const name = away.map((service) => service.name).join(' and ');
  if (away.some(({ port }) => port === undefined)) {
    test(`${name} away under load: needs its port`, { skip: true });
    return;
  }
  const writes = full === undefined ? 'writes go on' : 'writes are refused when the head is full';
  const title = `${name} away for ${awayMs / 1000} s under load: ${writes}, nothing is lost, nothing twice, flushes catch up`;
  test(title, { timeout: 450_000 + 2 * awayMs }, async (t) => {
    const proxies = new Map<ServiceStore, TcpProxy>();
    for (const service of away) proxies.set(service, await TcpProxy.listen(service.port!));
    const dataDir = tempFolder('away');
    try {
      const flags = services.flatMap((service) => {
        const quick = QUICK[service === moto ? 's3' : service.name] ?? [];
        return [...service.flags(proxies.get(service)?.port ?? 0), ...quick];
      });
      const prefix = `${PREFIX}away_${away.map((service) => service.name).join('_')}${full ? '_full' : ''}_`;
      const all = [...flags, `-schema.prefix=${prefix}`];
      await new Outage(dataDir, all, [...proxies.values()], away, full).run(t, awayMs);
    } finally {
      for (const proxy of proxies.values()) await proxy.close();
      rmSync(dataDir, { recursive: true, force: true });
      rmSync(`${dataDir}.log`, { force: true });
    }
  });
}

/** Windows of a minute that are over are flushed every 200 ms; time in samples passes a hundred times as fast. */
class Outage {
  readonly #dataDir: string;
  readonly #flags: readonly string[];
  readonly #proxies: readonly TcpProxy[];
  readonly #services: readonly ServiceStore[];
  readonly #full: typeof FULL | undefined;
  #startMs = 0;
  #step = 0;
  #nextLookMs = 0;
  readonly #seen = { right: 0, failed: 0, refused: 0, longestMs: 0, rssBytes: 0 };

  constructor(
    dataDir: string,
    flags: readonly string[],
    proxies: readonly TcpProxy[],
    services: readonly ServiceStore[],
    full: typeof FULL | undefined,
  ) {
    this.#dataDir = dataDir;
    this.#flags = flags;
    this.#proxies = proxies;
    this.#services = services;
    this.#full = full;
  }

  get #pauseMs(): number {
    return this.#full?.pauseMs ?? PUSH_PAUSE_MS;
  }

  async run(t: TestContext, awayMs: number): Promise<void> {
    const stepsMax = (awayMs + 60_000) / this.#pauseMs;
    this.#startMs = Math.floor(Date.now() / 60_000) * 60_000 - 3_600_000 - stepsMax * STEP_S * 1000;
    const options = {
      dataDir: this.#dataDir,
      flags: [
        '-ingester.window=1m',
        '-ingester.flush-delay=1s',
        '-ingester.flush-spread=0s',
        '-ingester.flush-check-interval=200ms',
        // samples of hours ago mark cached answers of their day, which needs the store
        '-querier.cache-results=false',
        ...(this.#full?.flags ?? []),
        ...this.#flags,
      ],
    };
    {
      await using server = await Pallium.start(options);
      await this.#load(server, 2000);
      await until('a window flushed', () => server.log().includes('flushed to the store'));
      await this.#check(server, 'before');
      assert.equal(this.#seen.failed, 0);
      const rssBefore = rssBytes(server.pid);
      const stepBefore = this.#step;
      this.#setAway(true);
      if (this.#full !== undefined) {
        const isFull = () => this.#load(server, 500).then(() => this.#seen.refused > 0);
        await until('the head full', isFull, { timeoutMs: 180_000 });
      }
      await this.#load(server, awayMs);
      const failed = await fetch(`${server.url}/ingester/flush?wait=true`, { method: 'POST' });
      assert.ok(failed.status >= 500, `a flush with its store away answers ${failed.status}`);
      const { right, failed: unanswered, refused, longestMs, rssBytes: rssMost } = this.#seen;
      assert.ok(right + unanswered > awayMs / LOOK_EVERY_MS / 4, 'it was asked all the time');
      assert.equal(refused > 0, this.#full !== undefined, `${refused} writes were refused`);
      assert.ok(rssMost - rssBefore < RSS_GROWTH_BYTES_MAX, `from ${rssBefore} to ${rssMost} bytes`);
      const held = await windowsHeld(server);
      const samples = (this.#step - stepBefore) * SERIES;

      this.#setAway(false);
      const backMs = performance.now();
      await this.#load(server, 1000);
      await this.#lastStep(server);
      await until('queries answer again, with everything', () => this.#check(server, 'after').then(() => true), {
        timeoutMs: 120_000,
        intervalMs: 500,
      });
      const answersMs = performance.now() - backMs;
      // nobody asks for it; numbers of the head are of the last second
      await sleep(NUMBERS_EVERY_MS);
      await until('all windows flushed', async () => (await windowsHeld(server)) === 0, {
        timeoutMs: 120_000 + awayMs / 4,
        intervalMs: 200,
      });
      const caughtUpMs = performance.now() - backMs;
      await this.#check(server, 'flushed');
      await server.stop();
      t.diagnostic(
        `${samples} samples while away, ${held} windows held, ${mib(rssBefore)} before and ` +
          `${mib(rssMost)} at most; of ${right + unanswered} queries ${unanswered} failed with the store's name, the slowest ` +
          `took ${Math.round(longestMs)} ms; all answered ${Math.round(answersMs)} ms and all flushed ` +
          `${Math.round(caughtUpMs)} ms after it was back`,
      );
    }
    rmSync(join(this.#dataDir, 'ingester'), { recursive: true });
    // what the store has, before anybody asks a server for it: that tells a write that was lost from a read that failed
    const { code, stdout } = await runTool(['verify', `-data.dir=${this.#dataDir}`, ...this.#flags]);
    assert.equal(code, 0, stdout);
    assert.match(stdout, new RegExp(` ${this.#step * SERIES} samples`));
    await using server = await Pallium.start(options);
    await this.#check(server, 'from the store alone');
    await server.stop();
  }

  #setAway(refuse: boolean): void {
    for (const proxy of this.#proxies) {
      proxy.weather = { refuse };
      if (refuse) proxy.cutAll();
    }
  }

  /** A sample of each series at a time, again and again until it is acknowledged. */
  async #load(server: Pallium, ms: number): Promise<void> {
    for (const untilMs = Date.now() + ms; Date.now() < untilMs; ) {
      const step = this.#step;
      if (await this.#push(server)) {
        this.#step++;
        if (Date.now() >= this.#nextLookMs) {
          this.#nextLookMs = Date.now() + LOOK_EVERY_MS;
          await this.#look(server, step);
        }
      }
      await sleep(this.#pauseMs);
    }
  }

  /** A write that was refused may be there in part: it has to be there whole before anything is counted. */
  async #lastStep(server: Pallium): Promise<void> {
    await until('the last write acknowledged', () => this.#push(server));
    this.#step++;
  }

  /** Whether it is acknowledged, rather than to be sent again. */
  async #push(server: Pallium): Promise<boolean> {
    const timeMs = this.#startMs + this.#step * STEP_S * 1000;
    const series = IDS.map((id, k) => ({
      labels: { __name__: 'm', id },
      samples: [[timeMs + k, this.#step]] as const,
    }));
    const { status, text, retryAfter } = await push(`${server.url}/api/v1/push`, writeBody(series));
    if (status === 503 && retryAfter !== null && text.includes('while the store is behind')) {
      this.#seen.refused++;
      return false;
    }
    assert.ok(status < 300, text);
    return true;
  }

  /** The newest samples are right, or there is an error that names who is away. */
  async #look(server: Pallium, step: number): Promise<void> {
    const beganMs = performance.now();
    const time = this.#startMs / 1000 + step * STEP_S + SERIES / 1000;
    const search = new URLSearchParams({ query: 'm', time: String(time) });
    const { status, text } = await server.api().ask(`/api/v1/query?${search}`);
    const seen = this.#seen;
    seen.longestMs = Math.max(seen.longestMs, performance.now() - beganMs);
    seen.rssBytes = Math.max(seen.rssBytes, rssBytes(server.pid));
    if (status === 200) {
      const { result } = JSON.parse(text).data as { result: { value: [number, string] }[] };
      assert.deepEqual(new Set(result.map(({ value }) => value[1])), new Set([String(step)]));
      assert.equal(result.length, SERIES);
      seen.right++;
    } else {
      assert.equal(status, 503, text);
      const names = this.#services.map(({ name }) => (name === 'moto' ? 's3' : name));
      assert.ok(
        names.some((name) => text.includes(`${name} `)),
        text,
      );
      seen.failed++;
    }
  }

  /** Every series has every sample, once. */
  async #check(server: Pallium, when: string): Promise<void> {
    const step = this.#step;
    const time = this.#startMs / 1000 + step * STEP_S;
    const range = `[${step * STEP_S + 60}s]`;
    const { result: counts } = await server.api().instant(`count_over_time(m${range})`, time);
    assert.deepEqual(new Set(counts.map(({ value }) => value![1])), new Set([String(step)]), when);
    const { result: sums } = await server.api().instant(`sum_over_time(m${range})`, time);
    assert.deepEqual(new Set(sums.map(({ value }) => value![1])), new Set([String((step * (step - 1)) / 2)]), when);
    assert.equal(counts.length, SERIES, when);
  }
}

/** Windows with samples that are in no store. */
async function windowsHeld(server: Pallium): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const held = [...text.matchAll(/^pallium_ingester_windows\{.*state="(?:open|sealed)".*\} (\d+)$/gm)];
  assert.ok(held.length > 0);
  return held.reduce((sum, [, count]) => sum + Number(count), 0);
}

function mib(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}
