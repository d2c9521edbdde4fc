import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pallium } from '../harness/pallium.ts';
import { push, writeBody } from '../harness/remote-write.ts';
import { until } from '../harness/wait.ts';
import { withVictim } from './victim.ts';

// Requests that are built to hurt others than their sender, before what they ask for is looked at.

/** Another client than the victim's. */
const ATTACKER_ADDRESS = '127.0.0.2';
const WRITE_TIMEOUT_MS = 2_000;
/** Timeouts are looked at every 2 s. */
const ALL_CLOSED_MS = 20_000;

let server: Pallium;
before(async () => {
  server = await Pallium.start({
    flags: [
      // the victim's writes overtake each other where they are slow
      '-ingester.out-of-order-time-window=1m',
      '-server.http-header-timeout=2s',
      '-server.http-read-timeout=4s',
      `-server.http-write-timeout=${WRITE_TIMEOUT_MS}ms`,
      '-server.inflight-answer-bytes-max=64MiB',
      '-server.inflight-body-bytes-max=64MiB',
    ],
  });
});
after(() => server[Symbol.asyncDispose]());

const HEAD = 'Host: 127.0.0.1\r\nX-Scope-OrgID: attacker\r\n';

interface Connection {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  /** The first line of what came back. */
  status(): string;
}

function open(first: string | Buffer): Connection {
  const socket = connect({ port: server.port, host: '127.0.0.1', localAddress: ATTACKER_ADDRESS });
  socket.on('error', () => {});
  if (first.length > 0) socket.write(first);
  let seen = '';
  socket.on('data', (data) => {
    if (seen.length < 1000) seen += data.toString('latin1');
  });
  return {
    socket,
    closed: new Promise((resolve) => socket.once('close', () => resolve())),
    status: () => /^HTTP\/1\.1 (\d+)/.exec(seen)?.[1] ?? '',
  };
}

async function allClosed(connections: readonly Connection[]): Promise<void> {
  const late = new AbortController();
  const first = await Promise.race([
    Promise.all(connections.map(({ closed }) => closed)).then(() => 'closed'),
    sleep(ALL_CLOSED_MS, 'late', { signal: late.signal }),
  ]);
  late.abort();
  for (const { socket } of connections) socket.destroy();
  assert.equal(first, 'closed', 'every connection ends by itself');
}

async function post(path: string, body: string, type = 'application/x-www-form-urlencoded') {
  const answer = await fetch(server.url + path, {
    method: 'POST',
    body,
    headers: { 'content-type': type, 'x-scope-orgid': 'attacker' },
  });
  return { status: answer.status, text: await answer.text() };
}

const MIB = 1 << 20;
const FORMS: readonly (readonly [what: string, unit: string])[] = [
  ['parameters', '&a'],
  ['parameters with values', '&match[]=a'],
  ['separators', '&'],
  ['equals signs', '='],
  ['escapes that are no UTF-8', '%ff'],
  ['escapes of one character', '%41'],
  ['broken escapes', '%'],
  ['blanks', '+'],
  ['digits', '1'],
  ['letters', 'a'],
  ['signs', '-'],
  ['quotes', '"'],
];

for (const [what, unit] of FORMS) {
  test(`forms of 9 MiB of ${what}`, async () => {
    await withVictim(server, async () => {
      for (const [path, name] of [
        ['/api/v1/query', 'query'],
        ['/api/v1/query_range', 'step'],
        ['/api/v1/series', 'match[]'],
      ] as const) {
        const body = `${name}=1${unit.repeat((9 * MIB) / unit.length)}`;
        const answers = await Promise.all(Array.from({ length: 3 }, () => post(path, body)));
        for (const { status, text } of answers) {
          assert.ok(status < 500, `${path}: ${status}`);
          assert.ok(text.length < 10_000, `${path}: a text of ${text.length} characters`);
        }
      }
    });
  });
}

test('multipart forms of many parts, and of nearly a boundary', async () => {
  await withVictim(server, async () => {
    for (const unit of [
      '--X\r\n\r\n\r\n',
      '\r\n--',
      '--X\r\nContent-Disposition: form-data; name="match[]"\r\n\r\na\r\n',
    ]) {
      const body = unit.repeat((9 * MIB) / unit.length);
      const answers = await Promise.all(
        Array.from({ length: 4 }, () => post('/api/v1/series', body, 'multipart/form-data; boundary=X')),
      );
      for (const { status } of answers) assert.equal(status, 400);
    }
  });
});

test('addresses and headers as large as they may be, and larger', async () => {
  await withVictim(server, async () => {
    const targets = ['&a', '%ff', '=', '//', '/%2F', '/a'].flatMap((unit) =>
      [60_000, 2 * MIB].flatMap((size) => [
        `/api/v1/query?query=1${unit.repeat(size / unit.length)}`,
        `/api/v1/label/${unit.repeat(size / unit.length)}/values`,
      ]),
    );
    for (const target of targets) {
      const connections = Array.from({ length: 10 }, () =>
        open(`GET ${target} HTTP/1.1\r\n${HEAD}Connection: close\r\n\r\n`),
      );
      await allClosed(connections);
      for (const connection of connections) assert.match(connection.status(), /^(200|307|4\d\d)$/, target.slice(0, 40));
    }
  });
});

test('bodies that are announced and do not come', async () => {
  const announced = `POST /api/v1/push HTTP/1.1\r\n${HEAD}Content-Type: application/x-protobuf\r\nContent-Length: 33554432\r\n\r\n`;
  await withVictim(server, () => allClosed(Array.from({ length: 100 }, () => open(`${announced}abc`))));
});

test('bodies that come as far as there is room, and no further', async () => {
  const announced = Buffer.from(
    `POST /api/v1/push HTTP/1.1\r\n${HEAD}Content-Type: application/x-protobuf\r\nContent-Length: 33554432\r\n\r\n`,
  );
  const most = Buffer.concat([announced, Buffer.alloc(30 * MIB, 1)]);
  await withVictim(server, async () => {
    const connections = Array.from({ length: 6 }, () => open(most));
    await allClosed(connections);
    assert.ok(
      connections.some((connection) => connection.status() === '503'),
      'its share has an end',
    );
  });
});

test('senders that are slow, or stop', async () => {
  const post = `POST /api/v1/push HTTP/1.1\r\n${HEAD}Content-Type: application/x-protobuf\r\n`;
  const slow: readonly (readonly [first: string, drip?: string])[] = [
    [''],
    ['GET / HT'],
    ['GET / HTTP/1.1\r\n', 'X-A: b\r\n'],
    [`${post}Content-Length: 1000\r\n\r\n`],
    [`${post}Content-Length: 100000\r\n\r\n`, 'a'],
    [`${post}Transfer-Encoding: chunked\r\n\r\n`, '1\r\na\r\n'],
  ];
  await withVictim(server, async () => {
    const connections = slow.flatMap(([first, drip]) =>
      Array.from({ length: 100 }, () => {
        const connection = open(first);
        if (drip !== undefined) {
          const timer = setInterval(() => connection.socket.write(drip), 200);
          void connection.closed.then(() => clearInterval(timer));
        }
        return connection;
      }),
    );
    await allClosed(connections);
  });
});

test('answers that nobody reads', async () => {
  const series = Array.from({ length: 20_000 }, (_, i) => ({
    labels: {
      __name__: 'attacker_metric',
      instance: `a-rather-long-name-of-a-host-${i % 100}`,
      i: `${i}`.padStart(40, '0'),
    },
    samples: [[Date.now(), i] as const],
  }));
  const { status } = await push(`${server.url}/api/v1/push`, writeBody(series), { 'x-scope-orgid': 'attacker' });
  assert.equal(status, 204);
  await withVictim(server, async () => {
    const connections = Array.from({ length: 20 }, () => {
      const connection = open(`GET /api/v1/series?match[]=attacker_metric HTTP/1.1\r\n${HEAD}\r\n`);
      connection.socket.pause();
      return connection;
    });
    // a connection that is not read learns of its end when it writes
    const probe = setInterval(() => {
      for (const { socket } of connections) if (socket.writable) socket.write('GET / HTTP/1.1\r\n');
    }, 500);
    await sleep(2 * WRITE_TIMEOUT_MS);
    for (const { socket } of connections) socket.resume();
    clearInterval(probe);
    await allClosed(connections);
  });
});

test('more connections than a client has', async () => {
  await withVictim(server, async () => {
    const connections: Connection[] = [];
    for (let i = 0; i < 12; i++) {
      for (let j = 0; j < 200; j++) connections.push(open(''));
      await sleep(50);
    }
    await until(
      'no more than a client may have',
      () => connections.filter(({ socket }) => !socket.destroyed).length <= 2_000,
      {
        timeoutMs: 10_000,
      },
    );
    await allClosed(connections);
  });
});

test('more queries than there are workers', async () => {
  // some milliseconds each, and all at once
  const query = encodeURIComponent('sum_over_time(vector(1)[2h:1s])');
  await withVictim(server, async () => {
    const statuses = new Map<number, number>();
    for (let round = 0; round < 2; round++) {
      const answers = await Promise.all(
        Array.from({ length: 140 }, () =>
          fetch(`${server.url}/api/v1/query?query=${query}`, { headers: { 'x-scope-orgid': 'attacker' } }),
        ),
      );
      for (const answer of answers) {
        const text = await answer.text();
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        if (answer.status === 429) assert.match(text, /too many outstanding requests: 100 .*max_outstanding_requests/);
      }
    }
    assert.deepEqual([...statuses.keys()].sort(), [200, 429]);
  });
});

test('what is no HTTP', async () => {
  await withVictim(server, async () => {
    const garbage = [
      '\0',
      'GET',
      '\x16\x03\x01\x02\0\x01\0',
      'GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n',
      'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nz',
    ];
    await allClosed(garbage.flatMap((unit) => Array.from({ length: 50 }, () => open(unit.repeat(200)))));
  });
});
