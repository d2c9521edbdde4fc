import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { compareWithAlertmanager } from '../alertmanager/run.ts';
import { Pallium } from '../harness/pallium.ts';

// The short form of `npm run test:alertmanager`.

const home = process.env.SERVICES_HOME ?? join(homedir(), '.cache/pallium-services');
const isInstalled = existsSync(join(home, 'apps/alertmanager-newest-0.35.0/.installed'));
const skip = isInstalled ? false : 'run test/services/start-alertmanager-newest once: it builds the Alertmanager';

test('random configurations and alerts tell the same here and in the Alertmanager', { skip }, async (t) => {
  const seed = Number(process.env.SEED ?? 7);
  const found = await compareWithAlertmanager({ cases: 30, atOnce: 30, seed, log: (line) => t.diagnostic(line) });
  assert.deepEqual(found, []);
});

test('amtool works', { skip }, async () => {
  const amtool = join(home, 'apps/alertmanager-newest-0.35.0/amtool');
  await using pallium = await Pallium.start({ flags: ['-target=alertmanager'] });
  const config = `route: { receiver: a, routes: [{ matchers: ['team="x"'], receiver: b }] }\nreceivers: [{ name: a }, { name: b }]\n`;
  const put = await fetch(`${pallium.url}/config/v1/alerts`, {
    method: 'POST',
    body: JSON.stringify({ alertmanager_config: config }),
  });
  assert.equal(put.status, 201);
  const run = (...args: string[]) => {
    const { stdout, stderr, status } = spawnSync(amtool, [`--alertmanager.url=${pallium.url}/alertmanager`, ...args], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, `${args.join(' ')}: ${stdout}${stderr}`);
    return stdout;
  };
  run('alert', 'add', 'alertname=foo', 'team=x', '--annotation=summary=hi');
  assert.match(run('alert', 'query', 'team=x'), /^foo .* hi +active/m);
  const id = run('silence', 'add', 'alertname=foo', '--author=me', '--comment=why', '--duration=1h').trim();
  assert.match(run('silence', 'query'), new RegExp(`^${id} .*alertname="foo"`, 'm'));
  assert.match(run('silence', 'update', id, '--duration=2h'), new RegExp(id));
  assert.match(run('alert', 'query', '--silenced'), /suppressed/);
  run('silence', 'expire', id);
  assert.equal(run('silence', 'query', '--expired', '-q').trim(), id);
  assert.match(run('config', 'show'), /receivers:/);
  const file = join(pallium.dataDir, 'alertmanager.yml');
  writeFileSync(file, config);
  assert.match(run('check-config', file), /SUCCESS[\s\S]* - 2 receivers/);
  assert.equal(run('config', 'routes', 'test', 'team=x').trim(), 'b');
  assert.match(run('cluster', 'show'), /Cluster Status: +disabled/);
});
