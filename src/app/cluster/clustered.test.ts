import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../../kit/config/load.ts';
import { silentLogger } from '../../kit/observe/log.ts';
import { systemClock } from '../../lib/clock.ts';
import { composeApp } from '../compose.ts';
import { sections } from '../config.ts';
import { modules, resolveTargets } from '../modules/modules.ts';
import { checkCluster, handsListener, isClustered } from './clustered.ts';

const check = (...args: string[]) => checkCluster(loadConfig(sections, { args, env: {} }).values);
const SHARED = ['-schema.store=cassandra', '-schema.object-store=none'];

test('what several holders of a sample cannot live with is refused at start, by the name of its setting', () => {
  check();
  check('-cassandra.consistency=ONE', ...SHARED);
  check('-distributor.replication-factor=3', ...SHARED);
  for (const level of ['ONE', 'LOCAL_ONE']) {
    assert.throws(
      () => check('-distributor.replication-factor=3', `-cassandra.consistency=${level}`, ...SHARED),
      new RegExp(`^Error: -cassandra.consistency ${level} is refused with -distributor.replication-factor 3:`),
    );
  }
});

test('stores in the data folder are refused where there are several processes', () => {
  assert.throws(() => check('-distributor.replication-factor=3'), /^Error: -schema.store embedded is refused/);
  assert.throws(() => check('-target=querier'), /-schema.store embedded is refused .*-target querier/);
  assert.throws(
    () => check('-target=ingester', '-schema.store=cassandra'),
    /^Error: -schema.object-store filesystem is refused/,
  );
  check('-target=ingester', ...SHARED);
  assert.throws(() => check('-target=ingester', ...SHARED, '-ring.arcs=100'), /^Error: -ring.arcs 100 is refused/);
});

test('targets of a cluster bring what they need: only an ingester has shards and a data folder', async () => {
  const routesOf = async (...targets: string[]) => {
    const args = [`-target=${targets.join(',')}`, '-distributor.replication-factor=3', '-schema.store=dynamodb'];
    const { values } = loadConfig(sections, { args: [...args, '-schema.object-store=none'], env: {} });
    const order = resolveTargets(targets, modules, isClustered(values));
    const app = await composeApp({ config: values, version: '1', order, log: silentLogger, clock: systemClock });
    return { order, routes: app.http.routes };
  };
  for (const target of ['distributor', 'querier']) {
    const { order } = await routesOf(target);
    assert.ok(!order.includes('data-folder') && !order.includes('ingester') && order.includes('ring'), order.join());
  }
  const { order } = await routesOf('distributor', 'ingester');
  assert.ok(order.indexOf('data-folder') < order.indexOf('ring'), order.join());
  // a process has one listener for others: that of the ring, where it has one
  for (const other of ['all', 'ingester', 'querier']) {
    const { order: both } = await routesOf('query-scheduler', other);
    assert.ok(both.indexOf('ring') < both.indexOf('peers'), both.join());
  }
  for (const target of ['query-frontend', 'query-scheduler']) {
    const { order: own, routes } = await routesOf(target);
    assert.ok(!own.includes('ring') && !own.includes('data-folder') && own.includes('peers'), own.join());
    const asked = routes.some(({ path }) => path.endsWith('/api/v1/query_range'));
    assert.equal(asked, target === 'query-frontend');
  }
  const { routes } = await routesOf('all');
  const paths = ['/ring', '/ingester/ring', '/ingester/drain', '/ingester/mode', '/ingester/vouch'];
  for (const path of paths) assert.equal(routes.find((route) => route.path === path)?.needs, 'admin', path);
});

test('the thread of the only shard listens where a process is an ingester and nothing else', () => {
  const hands = (shards: number, ...args: string[]) =>
    handsListener(loadConfig(sections, { args, env: {} }).values, shards);
  assert.equal(hands(1, '-target=ingester'), process.platform === 'linux');
  assert.equal(hands(2, '-target=ingester'), false);
  for (const target of ['all', 'ingester,querier', 'distributor']) assert.equal(hands(1, `-target=${target}`), false);
});
