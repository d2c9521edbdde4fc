import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../../src/lib/random.ts';
import { Pallium, tempFolder } from '../harness/pallium.ts';
import { push, writeBody } from '../harness/remote-write.ts';
import { until } from '../harness/wait.ts';

/** `RULER_KILLS=50` for the long form. */
const KILLS = Number(process.env.RULER_KILLS ?? 5);
const ALWAYS = 20;

const folder = tempFolder('ruler-kills');
after(() => rmSync(folder, { recursive: true, force: true }));

interface Posted {
  readonly labels: { readonly alertname: string; readonly name: string };
  readonly startsAt: string;
  readonly endsAt: string;
}

const GROUP = `
name: g
interval: 1s
rules:
  - { alert: Always, expr: always > 0, for: 2s }
  - { alert: Flips, expr: flips > 0 }
`;

test('kill -9 loses no alert, resolves none that fires, begins no `for` anew, and repeats each at most once', async () => {
  const random = seededRandom(7);
  const dataDir = join(folder, 'data');
  mkdirSync(dataDir);
  /** By alert and name: what was sent, in order. */
  const sent = new Map<string, { startsAt: number; isResolved: boolean }[]>();
  const target = createServer((request, response) => {
    let text = '';
    request.on('data', (part) => {
      text += part;
    });
    request.on('end', () => {
      for (const { labels, startsAt, endsAt } of JSON.parse(text) as Posted[]) {
        const key = `${labels.alertname} ${labels.name}`;
        const posts = sent.get(key) ?? [];
        posts.push({ startsAt: Date.parse(startsAt), isResolved: Date.parse(endsAt) <= Date.now() });
        sent.set(key, posts);
      }
      response.end();
    });
  });
  await new Promise<void>((done) => target.listen(0, '127.0.0.1', done));
  const url = `http://127.0.0.1:${(target.address() as AddressInfo).port}`;
  // so that all that comes sooner is a repetition
  const flags = [`-ruler.alertmanager-url=${url}`, '-ruler.resend-delay=1h'];
  const start = () => Pallium.start({ dataDir, flags });
  let server = await start();

  let flips = 0;
  let episodes = 0;
  let ended = false;
  const write = async () => {
    const names = Array.from({ length: ALWAYS }, (_, i) => `n${i}`);
    const series = [
      ...names.map((name) => ({ labels: { __name__: 'always', name }, samples: [[Date.now(), 1] as const] })),
      { labels: { __name__: 'flips', name: 'f' }, samples: [[Date.now(), flips] as const] },
    ];
    await push(`${server.url}/api/v1/push`, writeBody(series)).catch(() => {});
  };
  const writing = (async () => {
    for (; !ended; await sleep(250)) await write();
  })();
  const posts = (key: string) => sent.get(key) ?? [];
  /** Fires and resolves again and again; each must have come before the next begins. */
  const flipping = (async () => {
    for (; !ended; flips = 0) {
      flips = 1;
      const before = posts('Flips f').length;
      await until(
        'a firing alert',
        () =>
          ended ||
          posts('Flips f')
            .slice(before)
            .some((each) => !each.isResolved),
        {
          timeoutMs: 180_000,
        },
      );
      flips = 0;
      await until('its resolution', () => ended || posts('Flips f').at(-1)?.isResolved, { timeoutMs: 180_000 });
      episodes++;
    }
  })();

  try {
    const answer = await server.api().ask('/config/v1/rules/ns', { method: 'POST', body: GROUP });
    assert.equal(answer.status, 202);
    await until('all alerts', () => posts(`Always n${ALWAYS - 1}`).length > 0);
    for (let i = 0; i < KILLS; i++) {
      await sleep(200 + random() * 2500);
      await server.kill();
      server = await start();
    }
    const before = episodes;
    await until('one more episode', () => episodes > before, { timeoutMs: 180_000 });
    for (let i = 0; i < ALWAYS; i++) {
      const all = posts(`Always n${i}`);
      assert.equal(new Set(all.map(({ startsAt }) => startsAt)).size, 1, `n${i} begins once`);
      assert.ok(!all.some(({ isResolved }) => isResolved), `n${i} is never resolved`);
      assert.ok(all.length <= 1 + KILLS, `n${i} was sent ${all.length} times for ${KILLS} kills`);
    }
    assert.ok(episodes > 1, `${episodes} episodes`);
  } finally {
    ended = true;
    await Promise.allSettled([writing, flipping]);
    await server.kill();
    target.close();
  }
});
