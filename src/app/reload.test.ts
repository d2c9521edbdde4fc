import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { connect } from 'node:tls';
import { Agent, request as send } from 'undici';
import { loadConfig } from '../kit/config/load.ts';
import { silentLogger } from '../kit/observe/log.ts';
import { systemClock } from '../lib/clock.ts';
import { composeApp } from './compose.ts';
import { sections } from './config.ts';
import { modules } from './modules/modules.ts';
import { reload } from './reload.ts';

const folder = mkdtempSync(join(tmpdir(), 'pallium-reload-'));
after(() => rmSync(folder, { recursive: true }));
const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

const file = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

/** The main thread, and several. */
const FRONTS = [1, 2];

async function run(t: TestContext, fronts: number, flags: readonly string[], log = silentLogger) {
  const args = [
    '-server.http-listen-port=0',
    `-data.dir=${join(folder, 'data')}`,
    `-server.front-threads=${fronts}`,
    ...flags,
  ];
  const readConfig = () => loadConfig(sections, { args, env: {} }).values;
  const config = readConfig();
  const order = ['observer', 'limits', 'server'];
  const app = await composeApp({ config, readConfig, version: '1', order, log, clock: systemClock, modules });
  await app.services.start();
  t.after(() => app.services.stop(1000));
  return app;
}

/** The status of a page that only users see, over TLS. */
async function statusOf(url: string, pair: string): Promise<number> {
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });
  try {
    const { statusCode, body } = await send(`${url}/config`, { headers: basic(pair), dispatcher });
    await body.dump();
    return statusCode;
  } finally {
    await dispatcher.close();
  }
}

const basic = (pair: string) => ({ authorization: `Basic ${Buffer.from(pair).toString('base64')}` });

for (const fronts of FRONTS) {
  test(`${fronts} listening: limits and users are read again, each as far as it is right`, async (t) => {
    const users = file('users.yaml', 'users: [{name: ann, password: first}]');
    const limits = file('limits.yaml', 'overrides: {a: {max_series_per_user: 1}}');
    const app = await run(t, fronts, [
      `-auth.users-file=${users}`,
      `-runtime-config.file=${limits}`,
      '-runtime-config.reload-period=1h',
    ]);
    const ask = async (pair: string, path = '/config', method = 'GET') => {
      const answer = await fetch(app.http.url + path, { method, headers: basic(pair) });
      return [answer.status, await answer.text()] as const;
    };
    assert.equal((await ask('ann:first'))[0], 200);
    file('users.yaml', 'users: [{name: ann, password: second}]');
    file('limits.yaml', 'overrides: {a: {max_series_per_user: 22}}');
    assert.equal((await ask('ann:first'))[0], 200, 'not before it is asked for');
    assert.deepEqual(await ask('ann:first', '/-/reload', 'POST'), [200, '']);
    assert.equal((await ask('ann:first'))[0], 401);
    assert.equal((await ask('ann:second'))[0], 200);
    assert.equal(app.limits.of('a').maxSeriesPerUser, 22);

    // users that are wrong, an empty list among them, never open the process
    file('limits.yaml', 'overrides: {a: {max_series_per_user: 333}}');
    for (const wrong of ['users: []', '', 'nothing']) {
      file('users.yaml', wrong);
      const [status, text] = await ask('ann:second', '/-/reload', 'POST');
      assert.equal(status, 500);
      assert.match(text, /^failed to reload config: .*users\.yaml/);
      assert.equal((await fetch(`${app.http.url}/config`)).status, 401);
    }
    assert.equal(app.limits.of('a').maxSeriesPerUser, 333);
    file('limits.yaml', 'overrides: {a: {max_serie_per_user: 4444}}');
    file('users.yaml', 'users: [{name: bob, password: third}]');
    assert.match((await reload(app)).join(), /max_serie_per_user/);
    assert.equal(app.limits.of('a').maxSeriesPerUser, 333);
    assert.equal((await ask('bob:third'))[0], 200);
  });

  test(`${fronts} listening: limits in the configuration file are read again, other settings wait for the next start`, async (t) => {
    const config = file('config.yaml', 'limits: {max_exemplars: 5, ingestion_rate: 1}');
    const limits = file('own.yaml', 'overrides: {a: {ingestion_rate: 3}}');
    const warnings: unknown[] = [];
    const log = Object.assign(Object.create(silentLogger), { warn: (fields: unknown) => warnings.push(fields) });
    const flags = [`-config.file=${config}`, `-runtime-config.file=${limits}`, '-runtime-config.reload-period=1h'];
    const app = await run(t, fronts, flags, log);
    const inForce = () =>
      ['a', 'b'].map((tenant) => [app.limits.of(tenant).maxExemplars, app.limits.of(tenant).ingestionRate]);
    assert.deepEqual(inForce(), [
      [5, 3],
      [5, 1],
    ]);
    file('config.yaml', 'limits: {max_exemplars: 6}\nquerier: {timeout: 1m}');
    assert.deepEqual(await reload(app), []);
    assert.deepEqual(inForce(), [
      [6, 3],
      [6, 0],
    ]);
    assert.match(await (await fetch(`${app.http.url}/config?mode=diff`)).text(), /max_exemplars: 6/);
    assert.deepEqual(warnings, [{ settings: 'querier.timeout' }]);
    file('config.yaml', 'limits: {max_exemplar: 7}');
    assert.match((await reload(app)).join(), /config\.yaml:1:10: unknown key "limits\.max_exemplar"/);
    assert.equal(app.limits.of('b').maxExemplars, 6);
  });

  test(`${fronts} listening: certificates are read again`, {
    skip: !hasOpenssl && 'openssl is not installed',
  }, async (t) => {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const make = (name: string) =>
      execFileSync(
        'openssl',
        ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'].concat([
          '-keyout',
          key,
          '-out',
          cert,
          '-subj',
          `/CN=${name}`,
        ]),
        { stdio: 'ignore' },
      );
    make('first');
    const users = file('tls-users.yaml', 'users: [{name: ann, password: first}]');
    const app = await run(t, fronts, [
      `-server.http-tls-cert-path=${cert}`,
      `-server.http-tls-key-path=${key}`,
      '-server.admin-address=127.0.0.1:0',
      `-auth.users-file=${users}`,
    ]);
    const shown = () =>
      new Promise<unknown>((done, fail) => {
        const socket = connect({ port: Number(new URL(app.http.url).port), rejectUnauthorized: false }, () => {
          done(socket.getPeerCertificate().subject.CN);
          socket.destroy();
        });
        socket.once('error', fail);
      });
    assert.equal(await shown(), 'first');
    make('second');
    assert.deepEqual(await reload(app), []);
    assert.equal(await shown(), 'second');
    writeFileSync(key, 'no key');
    // a user that is gone is gone, whatever certificates are like
    file('tls-users.yaml', 'users: [{name: ann, password: second}]');
    assert.match((await reload(app)).join(), /-server\.http-tls-key-path/);
    assert.equal(await shown(), 'second');
    const statuses = await Promise.all(
      ['first', 'second'].map((password) => statusOf(app.http.url, `ann:${password}`)),
    );
    assert.deepEqual(statuses, [401, 200]);
  });
}
