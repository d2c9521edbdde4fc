import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../harness/ports.ts';
import { until } from '../harness/wait.ts';
import {
  answerTo,
  BASE,
  EXTERNAL_URL,
  type PostedAlert,
  RECEIVERS,
  type ReceiverVector,
  type RecordedRequest,
} from './receivers.ts';

// Records what a real Alertmanager 0.35 sends by each kind of receiver, once when alerts fire and once when they are resolved:
// `node test/alertmanager/record-receivers.ts` writes test/conformance/data/receivers.json. What has a fixed address is sent through a
// proxy of our own.

const home = process.env.SERVICES_HOME ?? join(homedir(), '.cache/pallium-services');
const program = join(home, 'apps/alertmanager-newest-0.35.0/alertmanager');
const output = join(import.meta.dirname, '../conformance/data/receivers.json');
/** Headers that say nothing of a receiver. */
const LEFT_OUT = new Set([
  'host',
  'user-agent',
  'content-length',
  'accept-encoding',
  'connection',
  'transfer-encoding',
]);

const folder = mkdtempSync(join(tmpdir(), 'pallium-receivers-'));
let [kind, isResolved] = ['', false];
let requests: RecordedRequest[] = [];

async function record(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await text(request);
  const url = new URL(request.url!, 'http://x');
  const path = url.pathname + url.search;
  const headers = Object.fromEntries(
    Object.entries(request.headers).flatMap(([name, value]) => (LEFT_OUT.has(name) ? [] : [[name, String(value)]])),
  );
  requests.push({ method: request.method!, path, headers, body });
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(answerTo(kind, request.method!, path, isResolved)));
}

const service = createServer(record);
execFileSync('openssl', [
  ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'],
  ...['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')],
]);
const tls = createTlsServer(
  { key: readFileSync(join(folder, 'key.pem')), cert: readFileSync(join(folder, 'cert.pem')) },
  record,
);
const proxy = createServer();
proxy.on('connect', (_, socket, head) => {
  const inside = connect((tls.address() as AddressInfo).port, '127.0.0.1', () => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    inside.write(head);
    inside.pipe(socket).pipe(inside);
  });
});
for (const server of [service, tls, proxy]) await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
const portOf = (server: { address(): unknown }) => (server.address() as AddressInfo).port;
const base = `http://127.0.0.1:${portOf(service)}`;

/** The requests of one notification, once no more come; none where there is no notification. */
async function settled(): Promise<RecordedRequest[]> {
  await until('a request', () => requests.length > 0, { timeoutMs: 6_000 }).catch(() => {});
  for (let count = -1; count !== requests.length; ) {
    count = requests.length;
    await sleep(700);
  }
  const all = requests;
  requests = [];
  return all.map((each) => ({ ...each, body: each.body.replaceAll(base, BASE) }));
}

const vectors: ReceiverVector[] = [];
try {
  for (const [each, fields] of Object.entries(RECEIVERS)) {
    [kind, isResolved, requests] = [each, false, []];
    const own = fields.replaceAll(BASE, base);
    const proxied = `, http_config: { proxy_url: 'http://127.0.0.1:${portOf(proxy)}', tls_config: { insecure_skip_verify: true } }`;
    const config = join(folder, `${kind}.yml`);
    const route = 'receiver: r, group_by: [alertname], group_wait: 1s, group_interval: 1s';
    const receiver = `{ name: r, ${kind}_configs: [{ ${own}${own.includes(base) ? '' : proxied} }] }`;
    writeFileSync(config, `route: { ${route} }\nreceivers: [${receiver}]\n`);
    const port = await freePort();
    const flags = [
      `--config.file=${config}`,
      `--storage.path=${join(folder, kind)}`,
      `--web.listen-address=127.0.0.1:${port}`,
      `--web.external-url=${EXTERNAL_URL}`,
      '--web.route-prefix=/',
      '--cluster.listen-address=',
      '--log.level=warn',
    ];
    const process_ = spawn(program, flags, { stdio: ['ignore', 'inherit', 'inherit'] });
    try {
      const api = `http://127.0.0.1:${port}/api/v2/alerts`;
      await until(
        'the Alertmanager',
        () =>
          fetch(api).then(
            ({ ok }) => ok,
            () => false,
          ),
        { timeoutMs: 20_000 },
      );
      // of now: one that is older than the wait is told at once, without the others
      const startsAt = new Date().toISOString();
      const alert = (instance: string, endsAt: string): PostedAlert => ({
        labels: { alertname: 'Down', instance, severity: 'page' },
        annotations: { summary: `<${instance}> is "down" & out` },
        startsAt,
        endsAt,
        generatorURL: 'http://prom/graph?g0.expr=up+%3D%3D+0&g0.tab=1',
      });
      const post = async (alerts: readonly PostedAlert[]) => {
        const headers = { 'content-type': 'application/json' };
        const { status } = await fetch(api, { method: 'POST', headers, body: JSON.stringify(alerts) });
        if (status !== 200) throw new Error(`alerts: ${status}`);
      };
      const firing = ['a', 'b'].map((instance) => alert(instance, '2099-01-01T00:00:00.000Z'));
      await post(firing);
      vectors.push({ kind, alerts: firing, reason: 'first notification', requests: await settled() });
      isResolved = true;
      const resolved = ['a', 'b'].map((instance) => alert(instance, new Date(Date.now() - 1000).toISOString()));
      await post(resolved);
      vectors.push({ kind, alerts: resolved, reason: 'all alerts resolved', requests: await settled() });
      console.log(
        kind,
        vectors.slice(-2).map((vector) => vector.requests.length),
      );
    } finally {
      process_.kill('SIGKILL');
    }
  }
  writeFileSync(output, `${JSON.stringify(vectors, undefined, 1)}\n`);
} finally {
  for (const server of [service, tls, proxy]) {
    server.closeAllConnections();
    server.close();
  }
  rmSync(folder, { recursive: true });
}
