import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';

const script = join(import.meta.dirname, '../../deploy/image/pre-stop.mjs');

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

async function listen(t: TestContext, answer: Answer): Promise<number> {
  const server = createServer(answer);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

interface Given {
  readonly pod: string;
  /** The answer of Kubernetes: status and StatefulSet. */
  readonly status?: number;
  readonly replicas?: number;
  readonly deleted?: boolean;
  /** Looks at the ingester until it has drained. */
  readonly looks?: number;
  readonly refuses?: boolean;
}

/** Runs it as Kubernetes would. @returns requests that the ingester got, in order */
async function run(t: TestContext, given: Given): Promise<{ asked: string[]; code: number | null; output: string }> {
  const asked: string[] = [];
  let looks = 0;
  const kubernetes = await listen(t, (request, response) => {
    assert.equal(request.url, '/apis/apps/v1/namespaces/metrics/statefulsets/pallium-ingester-zone-a');
    assert.equal(request.headers.authorization, 'Bearer of the account');
    const metadata = given.deleted === true ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {};
    response.statusCode = given.status ?? 200;
    response.end(JSON.stringify({ metadata, spec: { replicas: given.replicas } }));
  });
  const ingester = await listen(t, (request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers.authorization}`);
    if (request.method === 'POST') response.statusCode = given.refuses === true ? 409 : 202;
    else looks++;
    response.end(JSON.stringify({ drained: looks >= (given.looks ?? 1) }));
  });
  const folder = mkdtempSync(join(tmpdir(), 'pallium-pre-stop-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'token'), 'of the account\n');
  writeFileSync(join(folder, 'admin'), 'of the admin\n');
  const child = spawn(process.execPath, [script], {
    env: {
      POD_NAME: given.pod,
      POD_NAMESPACE: 'metrics',
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: String(kubernetes),
      KUBERNETES_SCHEME: 'http',
      SERVICE_ACCOUNT_DIR: folder,
      PALLIUM_URL: `http://127.0.0.1:${ingester}`,
      PALLIUM_TOKEN_FILE: join(folder, 'admin'),
    },
  });
  let output = '';
  child.stderr.on('data', (part) => {
    output += part;
  });
  const code = await new Promise<number | null>((done) => child.once('exit', done));
  return { asked, code, output };
}

const POD = 'pallium-ingester-zone-a-2';
const [POST, GET] = ['POST', 'GET'].map((method) => `${method} /ingester/drain Bearer of the admin`);

test('a pod that its StatefulSet has no room for drains, and ends when the store has all', async (t) => {
  const { asked, code } = await run(t, { pod: POD, replicas: 2, looks: 2 });
  assert.deepEqual(asked, [POST, GET, GET]);
  assert.equal(code, 0);
  assert.deepEqual((await run(t, { pod: POD, replicas: 3, deleted: true })).asked, [POST, GET]);
  assert.deepEqual((await run(t, { pod: POD, status: 404 })).asked, [POST, GET]);
});

test('a pod that is restarted does not drain', async (t) => {
  assert.deepEqual(await run(t, { pod: POD, replicas: 3 }), { asked: [], code: 0, output: '' });
});

test('what goes wrong before the end of a pod is told, and holds nothing up', async (t) => {
  const refused = await run(t, { pod: POD, status: 403, replicas: 0 });
  assert.deepEqual([refused.asked, refused.code], [[], 0]);
  assert.match(refused.output, /^pre-stop: the StatefulSet pallium-ingester-zone-a was not told: 403/);
  assert.match((await run(t, { pod: 'odd' })).output, /POD_NAME is to be a name of a StatefulSet's pod: "odd"/);
  const undrainable = await run(t, { pod: POD, replicas: 1, refuses: true });
  assert.deepEqual([undrainable.asked, undrainable.code], [[POST], 0]);
  assert.match(undrainable.output, /draining was refused: 409/);
});
