// Cost of the wire between processes: CPU of both sides for each request and each MB, by size and by how it is protected, beside
// HTTP; what columns of samples cost; and what it costs to hand a body to another thread. Two processes on loopback.
// node bench/rpc.ts [--seconds 2] [--sizes 1024,65536,262144] [--inflight 8]

import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { silentLogger } from '../src/kit/observe/log.ts';
import { RpcClient } from '../src/kit/rpc/client.ts';
import type { PeerSecurity } from '../src/kit/rpc/security.ts';
import { RpcServer } from '../src/kit/rpc/server.ts';
import { systemClock } from '../src/lib/clock.ts';
import { seededRandom } from '../src/lib/random.ts';
import { FrameDecoder, FrameEncoder } from '../src/wire/frame-columns.ts';
import { keyedFrames } from './keyed-frames.ts';
import { benchOptions, list } from './options.ts';

const KINDS = ['framed', 'key', 'tls', 'http'] as const;
type Kind = (typeof KINDS)[number];

const ANSWER = Buffer.alloc(64, 1);
const WARM_MS = 500;

function securityOf(kind: Kind, dir: string): PeerSecurity {
  if (kind === 'key') return { keys: [new TextEncoder().encode('a key that both of them know of')] };
  if (kind !== 'tls') return {};
  const read = (name: string) => readFileSync(join(dir, name), 'utf8');
  return { tls: { cert: read('cert.pem'), key: read('key.pem'), ca: read('cert.pem') } };
}

/** The other process: answers each body with 64 bytes. */
async function serve(kind: Kind, dir: string): Promise<void> {
  let port: number;
  if (kind === 'http') {
    const server = createServer(async (asked, answer) => {
      const parts: Buffer[] = [];
      for await (const part of asked) parts.push(part as Buffer);
      touch(Buffer.concat(parts));
      answer.writeHead(200, { 'content-length': ANSWER.length });
      answer.end(ANSWER);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
  } else {
    const server = new RpcServer({
      host: '127.0.0.1',
      port: 0,
      self: { name: 'server', cluster: {} },
      security: () => securityOf(kind, dir),
      role: {
        push: async ({ body }) => {
          touch(body);
          return { body: ANSWER };
        },
      },
      clock: systemClock,
      log: silentLogger,
    });
    await server.start();
    port = server.port;
  }
  process.on('message', () => process.send!(process.cpuUsage()));
  process.send!(port);
}

function touch(body: Uint8Array): void {
  if (body[0]! + body[body.length - 1]! < 0) throw new Error('bytes are not negative');
}

/** Sends a body and resolves with its answer. */
function sender(kind: Kind, port: number, dir: string): { send(body: Uint8Array): Promise<unknown>; close(): void } {
  if (kind === 'http') {
    const agent = new Agent({ keepAlive: true });
    const send = (body: Uint8Array) =>
      new Promise((resolve, reject) => {
        const headers = { 'content-length': body.length };
        const asked = request({ port, host: '127.0.0.1', method: 'POST', path: '/push', agent, headers }, (answer) => {
          answer.on('data', () => {});
          answer.on('end', resolve);
        });
        asked.on('error', reject);
        asked.end(body);
      });
    return { send, close: () => agent.destroy() };
  }
  const client = new RpcClient({
    address: `127.0.0.1:${port}`,
    self: { name: 'client', cluster: {} },
    security: () => securityOf(kind, dir),
    clock: systemClock,
  });
  return { send: (body) => client.call('push', null, body), close: () => client.close() };
}

const micros = ({ user, system }: NodeJS.CpuUsage) => user + system;

async function transport(kind: Kind, bytes: number, inflight: number, ms: number, dir: string) {
  const child = fork(process.argv[1]!, ['serve', kind, dir], { stdio: 'inherit' });
  const [port] = (await once(child, 'message')) as [number];
  const { send, close } = sender(kind, port, dir);
  const random = seededRandom(bytes);
  const body = Buffer.from(Array.from({ length: bytes }, () => random() * 256));
  const run = async (forMs: number) => {
    let count = 0;
    const untilMs = performance.now() + forMs;
    const lane = async () => {
      for (; performance.now() < untilMs; count++) await send(body);
    };
    await Promise.all(Array.from({ length: inflight }, lane));
    return count;
  };
  const childCpu = async () => {
    child.send('cpu');
    const [cpu] = (await once(child, 'message')) as [NodeJS.CpuUsage];
    return micros(cpu);
  };
  await run(WARM_MS);
  const before = { own: micros(process.cpuUsage()), child: await childCpu() };
  const count = await run(ms);
  const caller = (micros(process.cpuUsage()) - before.own) / count;
  const listener = ((await childCpu()) - before.child) / count;
  close();
  child.kill();
  await once(child, 'exit');
  return {
    kind,
    KiB: bytes / 1024,
    'caller µs': Math.round(caller * 10) / 10,
    'listener µs': Math.round(listener * 10) / 10,
    'MB per CPU-second': Math.round(bytes / (caller + listener)),
  };
}

/** A scrape of known series as an edge makes it. */
function scrape(series: number): Buffer {
  const random = seededRandom(1);
  const value = (i: number) => (i % 2 === 0 ? random() : Math.floor(random() * 1e6));
  return keyedFrames(random, series, 1_790_000_000_000, value);
}

function columns(ms: number) {
  const frames = scrape(2000);
  const encoder = new FrameEncoder();
  const decoder = new FrameDecoder();
  let sent = encoder.encode(frames);
  const nanosEach = (work: () => void) => {
    for (let i = 0; i < 200; i++) work();
    const cpu = process.cpuUsage();
    let count = 0;
    for (const untilMs = performance.now() + ms / 4; performance.now() < untilMs; count++) work();
    return Math.round((micros(process.cpuUsage(cpu)) * 1000) / count / 2000);
  };
  const encode = nanosEach(() => {
    sent = encoder.encode(frames);
  });
  const decode = nanosEach(() => decoder.decode(sent));
  return {
    'bytes a sample': sent.length / 2000,
    'encode, ns a sample': encode,
    'decode and check, ns a sample': decode,
  };
}

/** A buffer to another thread and back: CPU of both. */
async function hop(bytes: number, inflight: number, ms: number) {
  const worker = new Worker(new URL(import.meta.url));
  const waiting: ((buffer: ArrayBuffer) => void)[] = [];
  worker.on('message', (buffer: ArrayBuffer) => waiting.shift()!(buffer));
  const run = async (forMs: number) => {
    let count = 0;
    const untilMs = performance.now() + forMs;
    const lane = async () => {
      for (let buffer = new ArrayBuffer(bytes); performance.now() < untilMs; count++) {
        buffer = await new Promise<ArrayBuffer>((resolve) => {
          waiting.push(resolve);
          worker.postMessage(buffer, [buffer]);
        });
      }
    };
    await Promise.all(Array.from({ length: inflight }, lane));
    return count;
  };
  await run(WARM_MS / 2);
  const cpu = process.cpuUsage();
  const count = await run(ms / 2);
  const each = micros(process.cpuUsage(cpu)) / count;
  await worker.terminate();
  return { KiB: bytes / 1024, inflight, 'µs there and back': Math.round(each * 10) / 10 };
}

async function main(): Promise<void> {
  const options = benchOptions({ seconds: '2', sizes: '1024,65536,262144', inflight: '8' });
  const ms = 1000 * Number(options.seconds);
  const dir = mkdtempSync(join(tmpdir(), 'pallium-rpc-'));
  const form = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const out = ['-keyout', join(dir, 'key.pem'), '-out', join(dir, 'cert.pem')];
  execFileSync('openssl', ['req', '-x509', ...form, ...name, ...out], { stdio: 'ignore' });
  const rows: object[] = [];
  for (const bytes of list(options.sizes).map(Number)) {
    for (const kind of KINDS) rows.push(await transport(kind, bytes, Number(options.inflight), ms, dir));
  }
  console.table(rows);
  console.table([columns(ms)]);
  console.table([await hop(1024, 1, ms), await hop(65_536, 1, ms), await hop(65_536, 8, ms)]);
  rmSync(dir, { recursive: true });
}

if (!isMainThread) parentPort!.on('message', (buffer: ArrayBuffer) => parentPort!.postMessage(buffer, [buffer]));
else if (process.argv[2] === 'serve') await serve(process.argv[3] as Kind, process.argv[4]!);
else await main();
