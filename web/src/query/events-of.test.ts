import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventAnswer } from '../../../src/contract/services.ts';
import { eventsOf } from './events-of.ts';

const event = (id: string, name?: string, namespace = ''): EventAnswer => ({
  id,
  type: 'deployment',
  evidence: 'sent',
  time: 0,
  tags: [],
  ...(name === undefined ? {} : { service: { key: `/${namespace}/${name}`, cluster: '', namespace, name } }),
});

test('events of what is drawn, and those of no service', () => {
  const events = [event('all'), event('cart', 'cart'), event('other', 'other'), event('ns', 'api', 'shop')];
  const found = eventsOf(events, [{ job: 'cart' }, { job: 'shop/api' }]);
  assert.deepEqual(
    found.map(({ id }) => id),
    ['all', 'cart', 'ns'],
  );
  assert.equal(
    eventsOf(
      Array.from({ length: 300 }, (_, i) => event(`${i}`)),
      [],
    ).length,
    100,
  );
});
