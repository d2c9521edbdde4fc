import { test } from 'node:test';
import { defaultsOf } from '../../src/kit/config/section.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { bigtableConfig } from '../../src/table/bigtable/config.ts';
import { openBigtable } from '../../src/table/bigtable/store.ts';
import { kvSuite, tableKv } from './kv-suite.ts';
import { tableSuite } from './table-suite.ts';

const { BIGTABLE_PORT: port } = process.env;

if (port === undefined) test('bigtable: needs BIGTABLE_PORT', { skip: true });
else {
  const config = {
    ...defaultsOf(bigtableConfig),
    project: 'test',
    instance: 'test',
    emulatorHost: `127.0.0.1:${port}`,
  };
  tableSuite({ name: 'bigtable', open: () => openBigtable(config, { clock: systemClock }) });
  kvSuite({ name: 'keys in bigtable', open: () => tableKv(() => openBigtable(config, { clock: systemClock })) });
}
