import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../../kit/config/load.ts';
import { sections } from '../config.ts';
import { checkCluster } from './clustered.ts';

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
