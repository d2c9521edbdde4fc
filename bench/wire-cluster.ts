// Writes through the wire: an edge in this process, three ingesters of two shards each in processes of their own, RF 3. CPU for each
// sample of the distributor and of all ingesters together, with a shared key and with certificates. Logs lie in memory.
// node bench/wire-cluster.ts [--scrapes 640] [--series 2000]

import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SECRET, security, startPeerIngester } from '../src/app/test-peer-ingester.ts';
import { Edge } from '../src/distributor/edge.ts';
import type { PeerSecurity } from '../src/kit/rpc/security.ts';
import { systemClock } from '../src/lib/clock.ts';
import { seededRandom } from '../src/lib/random.ts';
import { DEFAULT_LIMITS } from '../src/limits/limits.ts';
import { RemoteMembers } from '../src/peer/remote-members.ts';
import { TestRing } from '../src/querier/test-replicas.ts';
import { memberOf, ringOf } from '../src/ring/test-ring.ts';
import { encodeRemoteWrite1 } from '../src/wire/remote-write-encode.ts';
import { deflateSnappy } from '../src/wire/snappy.ts';
import { WriteSamples } from '../src/wire/write-request.ts';
import { benchOptions } from './options.ts';

const HEADERS = { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' };
const TARGETS = 20;
/** Scrapes of each target before anything is counted. */
const WARM_SCRAPES = 8;
/** Writes under way. */
const LANES = 4;

const micros = ({ user, system }: NodeJS.CpuUsage) => user + system;

function securityOf(dir: string): () => PeerSecurity {
  if (dir === '') return security;
  const read = (name: string) => readFileSync(join(dir, name), 'utf8');
  const secured = { tls: { cert: read('cert.pem'), key: read('key.pem'), ca: read('cert.pem') } };
  return () => secured;
}

function ringAt(ports: readonly number[]) {
  const members = ports.map((port, i) => ({ ...memberOf(i, 3), address: `127.0.0.1:${port}` }));
  return ringOf(members, 64, 3);
}

async function ingester(name: string, dir: string): Promise<void> {
  const ring = new TestRing();
  const { port } = await startPeerIngester(ring, name, 0, securityOf(dir));
  process.on('message', (asked: readonly number[] | 'cpu') => {
    if (asked === 'cpu') process.send!(process.cpuUsage());
    else {
      ring.set([ringAt(asked)]);
      process.send!('ready');
    }
  });
  process.send!(port);
}

/** A scrape of a target: eight series of each metric, counters and fractions. */
function scrape(target: number, series: number, timeMs: number, random: () => number): Uint8Array<ArrayBuffer> {
  const body = encodeRemoteWrite1({
    series: Array.from({ length: series }, (_, i) => ({
      pairs: ['__name__', `node_metric_${i >> 3}`, 'cpu', `${i % 8}`, 'instance', `host-${target}:9100`, 'job', 'node'],
      labelsFault: undefined,
      samples: WriteSamples.of([{ timeMs, value: i % 3 === 0 ? random() : Math.floor(random() * 1e6) }]),
      histograms: [],
      exemplars: [],
    })),
    metadata: [],
  });
  return deflateSnappy(body).slice();
}

async function measure(kind: string, dir: string, scrapes: number, series: number) {
  const processes = await Promise.all(
    [0, 1, 2].map(async (i) => {
      const child = fork(process.argv[1]!, ['ingester', `ingester-${i}`, dir]);
      const [port] = (await once(child, 'message')) as [number];
      return { child, port };
    }),
  );
  const ports = processes.map(({ port }) => port);
  for (const { child } of processes) {
    child.send(ports);
    await once(child, 'message');
  }
  const ring = new TestRing();
  ring.set([ringAt(ports)]);
  const remote = new RemoteMembers({
    self: { name: 'distributor', cluster: {} },
    security: securityOf(dir),
    clock: systemClock,
  });
  const targets = { source: ring, member: (id: string) => remote.of(ring, id), learn: async () => {} };
  const edge = new Edge({ clock: systemClock, rawBytesMax: 1 << 22, seriesSecret: SECRET, ring: targets });
  const startMs = systemClock.nowMs();
  const random = seededRandom(1);
  const warm = WARM_SCRAPES * TARGETS;
  const bodies = Array.from({ length: warm + scrapes }, (_, i) =>
    scrape(i % TARGETS, series, startMs + 1000 * Math.floor(i / TARGETS), random),
  );
  let at = 0;
  const run = async (to: number) => {
    const lane = async () => {
      while (at < to) {
        const request = { tenant: 't', headers: HEADERS, body: bodies[at++]!, limits: DEFAULT_LIMITS };
        const { response } = await edge.push(request);
        if (response.status !== 204) throw new Error(`${response.status}: ${response.text}`);
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
  };
  const cpuOfAll = async () => {
    let sum = 0;
    for (const { child } of processes) {
      child.send('cpu');
      const [cpu] = (await once(child, 'message')) as [NodeJS.CpuUsage];
      sum += micros(cpu);
    }
    return sum;
  };
  const sent = () => [...remote.clients()].reduce((sum, { sentBytes }) => sum + sentBytes, 0);
  await run(warm);
  const before = { ingesters: await cpuOfAll(), own: micros(process.cpuUsage()), sent: sent() };
  await run(bodies.length);
  const own = micros(process.cpuUsage()) - before.own;
  const ingesters = (await cpuOfAll()) - before.ingesters;
  const bytes = sent() - before.sent;
  remote.close();
  for (const { child } of processes) child.kill();
  const samples = scrapes * series;
  const each = (micros: number) => Math.round((1000 * micros) / samples) / 1000;
  return {
    kind,
    'distributor, µs a sample': each(own),
    'ingesters together, µs': each(ingesters),
    'bytes a sample and replica': Math.round((10 * bytes) / samples / 3) / 10,
  };
}

async function main(): Promise<void> {
  const options = benchOptions({ scrapes: '640', series: '2000' });
  const dir = mkdtempSync(join(tmpdir(), 'pallium-wire-'));
  const form = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const out = ['-keyout', join(dir, 'key.pem'), '-out', join(dir, 'cert.pem')];
  execFileSync('openssl', ['req', '-x509', ...form, ...name, ...out], { stdio: 'ignore' });
  const rows: object[] = [];
  for (const [kind, where] of [['key', ''] as const, ['certificates', dir] as const]) {
    rows.push(await measure(kind, where, Number(options.scrapes), Number(options.series)));
  }
  console.table(rows);
  rmSync(dir, { recursive: true });
}

if (process.argv[2] === 'ingester') await ingester(process.argv[3]!, process.argv[4]!);
else {
  await main();
  process.exit();
}
