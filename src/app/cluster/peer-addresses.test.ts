import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../kit/observe/log.ts';
import { Loops } from '../../kit/service/loops.ts';
import { ManualClock } from '../../lib/manual-clock.ts';
import { PeerAddresses } from './peer-addresses.ts';

function addressesOf(names: readonly string[], lookUp: (host: string) => Promise<readonly string[]>) {
  const clock = new ManualClock(1_000_000);
  const loops = new Loops(clock);
  const callbacks = { added: () => {}, removed: () => {} };
  const addresses = new PeerAddresses({
    ...{ names, periodMs: 10_000, lookUp, loops, clock, log: silentLogger },
    ...callbacks,
  });
  /** Time goes on, and what it set off is through. */
  const pass = async (ms: number) => {
    await clock.advance(ms);
    for (let turns = 0; turns < 20; turns++) await clock.turn();
  };
  return { pass, loops, addresses };
}

test('look-ups of names are told among the loops, with what failed', async () => {
  let found: readonly string[] | undefined = ['10.0.0.1', '10.0.0.2'];
  const { pass, loops, addresses } = addressesOf(['scheduler:9095'], async () => {
    if (found === undefined) throw new Error('no such host');
    return found;
  });
  addresses.start();
  await pass(1);
  assert.deepEqual([...addresses.all], ['10.0.0.1:9095', '10.0.0.2:9095']);
  const state = () => loops.states.find(({ name }) => name === 'peer-names')!;
  assert.deepEqual([state().rounds, state().error, state().intervalMs], [1, undefined, 10_000]);
  found = undefined;
  await pass(10_000);
  assert.deepEqual([state().rounds, state().failures, state().error], [2, 1, 'no such host']);
  // the addresses stay
  assert.equal(addresses.all.size, 2);
  await addresses.stop();
});

test('addresses in the settings are looked up once, and are no loop', async () => {
  const { pass, loops, addresses } = addressesOf(['10.0.0.1:9095'], () => assert.fail('it is an address'));
  addresses.start();
  await pass(30_000);
  assert.deepEqual([...addresses.all], ['10.0.0.1:9095']);
  assert.deepEqual(loops.states, []);
  await addresses.stop();
});
