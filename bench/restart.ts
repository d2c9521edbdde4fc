// How soon a server that was killed takes writes and answers queries again, with much in its head.
//   npm run bench:restart -- [--series 1000000] [--minutes 60] [--step-s 60]
// Small: --series 20000 --minutes 10. Goals: first write within 2 s, all queries within 20 s of the start of the process.
import { rmSync } from 'node:fs';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeRemoteWrite1 } from '../src/wire/remote-write-encode.ts';
import { WriteSamples } from '../src/wire/write-request.ts';
import { Pallium, tempFolder } from '../test/harness/pallium.ts';
import { freePort } from '../test/harness/ports.ts';
import { rssBytes } from '../test/harness/process-cost.ts';
import { WRITE_HEADERS } from '../test/harness/remote-write.ts';
import { benchOptions } from './options.ts';

const options = benchOptions({ series: '1000000', minutes: '60', 'step-s': '60', flags: '' });
const SERIES = Number(options.series);
const STEP_MS = Number(options['step-s']) * 1000;
const STEPS = Math.floor((Number(options.minutes) * 60_000) / STEP_MS);
const SERIES_PER_REQUEST = 1000;
const CONCURRENCY = 2;
/** Within one window, so that all of it stays in the head. */
const START_MS = Math.floor(Date.now() / 7_200_000) * 7_200_000 - 7_200_000;
const MARK_MS = 1_577_836_800_000;
const FLAGS = ['-ingester.flush-delay=24h', ...options.flags.split(' ').filter((flag) => flag !== '')];

/** A body whose values and times are put in anew for every step; as a snappy block of literals, to cost no time to make. */
interface Template {
  readonly block: Buffer;
  /** Positions of the values; the time follows 9 bytes later. */
  readonly at: readonly number[];
}

function template(from: number, count: number): Template {
  const message = encodeRemoteWrite1({
    metadata: [],
    series: Array.from({ length: count }, (_, k) => {
      const i = from + k;
      return {
        pairs: [
          '__name__',
          `restart_metric_${i % 200}`,
          'instance',
          `host-${Math.floor(i / 200)}:9100`,
          'job',
          'restart',
        ],
        labelsFault: undefined,
        samples: WriteSamples.of([{ timeMs: MARK_MS, value: 1 }]),
        histograms: [],
        exemplars: [],
      };
    }),
  });
  const length = message.length - 1;
  // one literal, whose length takes three bytes
  const head = [...varint(message.length), 62 << 2, length & 255, (length >> 8) & 255, length >> 16];
  const block = Buffer.concat([Uint8Array.from(head), message]);
  // a value of 1 and the tag of the time after it
  const mark = Buffer.from([0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10]);
  const at: number[] = [];
  for (let found = block.indexOf(mark); found >= 0; found = block.indexOf(mark, found + 1)) at.push(found + 1);
  return { block, at };
}

function varint(value: number): number[] {
  const out: number[] = [];
  for (let n = value; ; n = Math.floor(n / 128)) {
    out.push(n > 127 ? (n % 128) | 128 : n);
    if (n <= 127) return out;
  }
}

function fill({ block, at }: Template, timeMs: number, value: number): void {
  const time = varint(timeMs);
  for (const [k, position] of at.entries()) {
    block.writeDoubleLE(value + k * 3, position);
    for (let i = 0; i < time.length; i++) block[position + 9 + i] = time[i]!;
  }
}

const agent = new http.Agent({ keepAlive: true, maxSockets: CONCURRENCY });

function post(port: number, body: Uint8Array): Promise<number> {
  return new Promise((done, fail) => {
    const headers = { ...WRITE_HEADERS, 'content-length': String(body.length) };
    const request = http.request({ port, host: '127.0.0.1', path: '/api/v1/push', method: 'POST', headers, agent });
    request.once('response', (answer) => {
      answer.resume();
      answer.once('end', () => done(answer.statusCode!));
    });
    request.once('error', fail);
    request.end(body);
  });
}

const dataDir = tempFolder('restart');
const port = await freePort();
let server = await Pallium.start({ dataDir, port, flags: FLAGS });
const templates = Array.from({ length: Math.ceil(SERIES / SERIES_PER_REQUEST) }, (_, i) =>
  template(i * SERIES_PER_REQUEST, Math.min(SERIES_PER_REQUEST, SERIES - i * SERIES_PER_REQUEST)),
);
const loadFrom = performance.now();
let samples = 0;
for (let step = 0; step < STEPS; step++) {
  let next = 0;
  const lane = async () => {
    while (next < templates.length) {
      const each = templates[next++]!;
      fill(each, START_MS + step * STEP_MS, step * 1000);
      for (let status = 0; status !== 204; ) {
        status = await post(port, each.block);
        if (status === 503) await sleep(50);
        else if (status !== 204) throw new Error(`a write was answered ${status}`);
      }
      samples += each.at.length;
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, lane));
}
const loadS = (performance.now() - loadFrom) / 1000;
const rssLoaded = rssBytes(server.pid);
await server.kill();

const killed = performance.now();
server = await Pallium.start({ dataDir, port, flags: FLAGS, waitReady: false });
const probe = template(SERIES, 1);
fill(probe, START_MS + STEPS * STEP_MS, 7);
let firstWriteMs: number | undefined;
while (firstWriteMs === undefined) {
  if (!server.alive) throw new Error(`the server ended:\n${server.logTail()}`);
  if ((await post(port, probe.block).catch(() => 0)) === 204) firstWriteMs = performance.now() - killed;
  else await sleep(10);
}
await server.ready(600_000);
const readyMs = performance.now() - killed;
const end = (START_MS + (STEPS - 1) * STEP_MS) / 1000;
const api = server.api();
const counted = async (query: string, time: number) => Number((await api.instant(query, time)).result[0]?.value?.[1]);
const countFrom = performance.now();
// a query that fails is no reason to keep the other figures back
let failure = '';
const series = await counted('count({job="restart"})', end).catch((error: Error) => {
  failure = error.message;
  return 0;
});
const countMs = performance.now() - countFrom;
const oneFrom = performance.now();
await api.range('sum(restart_metric_7)', end - 1800, end, 60);
const oneMs = performance.now() - oneFrom;
const answeredMs = performance.now() - killed;
console.table([
  {
    series: SERIES,
    samples,
    'load s': Math.round(loadS),
    'RSS loaded MB': Math.round(rssLoaded / 1e6),
    'first write ms': Math.round(firstWriteMs),
    'ready ms': Math.round(readyMs),
    'all answered ms': Math.round(answeredMs),
    'count of all ms': Math.round(countMs),
    'sum of one metric ms': Math.round(oneMs),
    'RSS after MB': Math.round(rssBytes(server.pid) / 1e6),
  },
]);
if (failure !== '') console.log(`FAILED: ${failure}`);
else if (series !== SERIES) console.log(`WRONG: ${series} series are there, ${SERIES} were acknowledged`);
await server.kill();
rmSync(dataDir, { recursive: true, force: true });
rmSync(`${dataDir}.log`, { force: true });
process.exit(series === SERIES ? 0 : 1);
