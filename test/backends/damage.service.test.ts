import { before, test } from 'node:test';
import { damage } from './damage.ts';
import { objectServices, PREFIX, tableServices } from './e2e-stores.ts';

const s3 = objectServices.find(({ name }) => name === 'moto')!;

before(() => (s3.port === undefined ? undefined : s3.prepare?.(s3.port)));

for (const { name, port, flags } of tableServices) {
  if (port === undefined || s3.port === undefined) {
    test(`damage on ${name}: needs its port, and that of ${s3.name}`, { skip: true });
    continue;
  }
  test(`a damaged row of ${name} fails with its name, and nothing else`, () =>
    damage([...flags(port), '-schema.object-store=none', `-schema.prefix=${PREFIX}damaged_rows_`], false));
  test(`a damaged row of ${name}, or object of ${s3.name}, fails with its name, and nothing else`, () =>
    damage([...flags(port), ...s3.flags(s3.port!), `-schema.prefix=${PREFIX}damaged_`], true));
}
