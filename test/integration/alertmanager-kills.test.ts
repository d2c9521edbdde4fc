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

/** `ALERTMANAGER_KILLS=50` for the long form. */
const KILLS = Number(process.env.ALERTMANAGER_KILLS ?? 4);
const ALWAYS = 10;

const folder = tempFolder('alertmanager-kills');
after(() => rmSync(folder, { recursive: true, force: true }));

const GROUP = `
name: g
interval: 1s
rules:
  - { alert: Always, expr: always > 0 }
  - { alert: Flips, expr: flips > 0 }
`;

test('kill -9 loses no notification of rules, ends none that fires, and repeats each at most once', async () => {
  const random = seededRandom(11);
  const dataDir = join(folder, 'data');
  mkdirSync(dataDir);
  /** By alert and name: the states that were told, in order. */
  const told = new Map<string, string[]>();
  const hook = createServer((request, response) => {
    let text = '';
    request.on('data', (part) => {
      text += part;
    });
    request.on('end', () => {
      const { status, groupLabels } = JSON.parse(text) as { status: string; groupLabels: Record<string, string> };
      const key = `${groupLabels.alertname} ${groupLabels.name}`;
      told.set(key, [...(told.get(key) ?? []), status]);
      response.end();
    });
  });
  await new Promise<void>((done) => hook.listen(0, '127.0.0.1', done));
  const url = `http://127.0.0.1:${(hook.address() as AddressInfo).port}`;
  const flags = ['-alertmanager.receivers-firewall.block.private-addresses=false'];
  const start = () => Pallium.start({ dataDir, flags });
  let server = await start();

  let [flips, episodes, ended] = [0, 0, false];
  const states = (key: string) => told.get(key) ?? [];
  const writing = (async () => {
    for (; !ended; await sleep(250)) {
      const series = [
        ...Array.from({ length: ALWAYS }, (_, i) => ({
          labels: { __name__: 'always', name: `n${i}` },
          samples: [[Date.now(), 1] as const],
        })),
        { labels: { __name__: 'flips', name: 'f' }, samples: [[Date.now(), flips] as const] },
      ];
      await push(`${server.url}/api/v1/push`, writeBody(series)).catch(() => {});
    }
  })();
  /** Each state must be told before the next one comes. */
  const flipping = (async () => {
    for (; !ended; episodes++) {
      for (const [value, state] of [
        [1, 'firing'],
        [0, 'resolved'],
      ] as const) {
        flips = value;
        await until(`Flips to be ${state}`, () => ended || states('Flips f').at(-1) === state, { timeoutMs: 180_000 });
      }
    }
  })();

  try {
    const config = {
      route: {
        receiver: 'hook',
        group_by: ['alertname', 'name'],
        group_wait: '0s',
        group_interval: '1s',
        repeat_interval: '4h',
      },
      receivers: [{ name: 'hook', webhook_configs: [{ url }] }],
    };
    const post = (path: string, body: string) => server.api().ask(path, { method: 'POST', body });
    assert.equal(
      (await post('/config/v1/alerts', JSON.stringify({ alertmanager_config: JSON.stringify(config) }))).status,
      201,
    );
    assert.equal((await post('/config/v1/rules/ns', GROUP)).status, 202);
    await until('all alerts', () => states(`Always n${ALWAYS - 1}`).length > 0, { timeoutMs: 180_000 });
    for (let i = 0; i < KILLS; i++) {
      // most live long enough to tell somebody: rules are evaluated a second or two after a start
      await sleep(200 + random() * 6000);
      await server.kill();
      server = await start();
    }
    const before = episodes;
    await until('one more episode', () => episodes > before + 1, { timeoutMs: 180_000 });
    for (let i = 0; i < ALWAYS; i++) {
      const all = states(`Always n${i}`);
      assert.ok(
        all.every((state) => state === 'firing'),
        `n${i}: ${all}`,
      );
      assert.ok(all.length <= 1 + KILLS, `n${i} was told ${all.length} times for ${KILLS} kills`);
    }
    const flipped = states('Flips f');
    const repeated = flipped.filter((state, i) => state === flipped[i - 1]).length;
    assert.ok(repeated <= KILLS, `${repeated} repetitions for ${KILLS} kills: ${flipped}`);
  } finally {
    ended = true;
    await Promise.allSettled([writing, flipping]);
    await server.kill();
    hook.close();
  }
});
