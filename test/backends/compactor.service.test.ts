import { before, test } from 'node:test';
import { compactorSuite } from '../../src/compactor/test-suite.ts';
import { objectServices, openStores, PREFIX, tableServices } from './e2e-stores.ts';

const s3 = objectServices.find(({ name }) => name === 'moto')!;

before(() => (s3.port === undefined ? undefined : s3.prepare?.(s3.port)));

for (const { name, port, flags } of tableServices) {
  if (port === undefined || s3.port === undefined) {
    test(`the compactor on ${name}: needs its port, and that of ${s3.name}`, { skip: true });
    continue;
  }
  let made = 0;
  // each has tables and objects of its own, that go with the service
  compactorSuite(`${name} and ${s3.name}`, { killStep: 4 }, async (t) => {
    const prefix = `${PREFIX}${name}${made++}_`;
    const { schema, close } = await openStores([...flags(port), ...s3.flags(s3.port!), `-schema.prefix=${prefix}`]);
    t.after(close);
    const { tables, objects } = schema.periods[0]!;
    return { tables, objects: objects!, prefix };
  });
}
