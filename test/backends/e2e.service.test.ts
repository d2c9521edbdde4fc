import { before, test } from 'node:test';
import { endToEnd } from './e2e.ts';
import { objectServices, PREFIX, tableServices } from './e2e-stores.ts';

const buckets = objectServices.filter(({ port }) => port !== undefined);

before(() => Promise.all(buckets.map((service) => service.prepare?.(service.port!))));

for (const { name, port, flags } of tableServices) {
  if (port === undefined) {
    test(`end to end with ${name}: needs its port`, { skip: true });
    continue;
  }
  test(`end to end with ${name}, groups in rows`, () =>
    endToEnd([...flags(port), '-schema.object-store=none', `-schema.prefix=${PREFIX}rows_`]));
  for (const objects of buckets) {
    test(`end to end with ${name}, groups in objects of ${objects.name}`, () =>
      endToEnd([...flags(port), ...objects.flags(objects.port!), `-schema.prefix=${PREFIX}${objects.name}_`]));
  }
}
