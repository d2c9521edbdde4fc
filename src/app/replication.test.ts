import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../kit/config/load.ts';
import { sections } from './config.ts';
import { checkReplication } from './replication.ts';

const check = (...args: string[]) => checkReplication(loadConfig(sections, { args, env: {} }).values);

test('what several holders of a sample cannot live with is refused at start, by the name of its setting', () => {
  check();
  check('-cassandra.consistency=ONE', '-schema.store=cassandra');
  for (const level of ['ONE', 'LOCAL_ONE']) {
    const args = ['-distributor.replication-factor=3', `-cassandra.consistency=${level}`];
    assert.throws(
      () => check(...args, '-schema.store=cassandra'),
      new RegExp(`^Error: -cassandra.consistency ${level} is refused with -distributor.replication-factor 3:`),
    );
    assert.throws(() => check(...args), /^Error: -distributor.replication-factor 3 is refused: it needs as many/);
  }
});
