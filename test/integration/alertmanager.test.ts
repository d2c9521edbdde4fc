import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { compareWithAlertmanager } from '../alertmanager/run.ts';

// The short form of `npm run test:alertmanager`.

const home = process.env.SERVICES_HOME ?? join(homedir(), '.cache/pallium-services');
const isInstalled = existsSync(join(home, 'apps/alertmanager-newest-0.35.0/.installed'));
const skip = isInstalled ? false : 'run test/services/start-alertmanager-newest once: it builds the Alertmanager';

test('random configurations and alerts tell the same here and in the Alertmanager', { skip }, async (t) => {
  const seed = Number(process.env.SEED ?? 7);
  const found = await compareWithAlertmanager({ cases: 30, atOnce: 30, seed, log: (line) => t.diagnostic(line) });
  assert.deepEqual(found, []);
});
