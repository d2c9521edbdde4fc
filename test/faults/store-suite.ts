import assert from 'node:assert/strict';
import { verify } from '../../src/chunkstore/verify.ts';
import {
  compactorOn,
  counts,
  HOUR,
  kernels,
  MINUTES,
  START,
  type Stores,
  windows,
} from '../../src/compactor/test-suite.ts';
import { DAY_MS } from '../../src/lib/day.ts';
import { seededRandom } from '../../src/lib/random.ts';
import { AppError } from '../../src/model/errors.ts';
import { FaultyObjectClient } from './faulty-object.ts';
import { FaultyTableClient } from './faulty-table.ts';

/** A query is some twenty calls, and begins again at the first that fails. */
const FAULTS = { unavailable: 0.03, throttled: 0.03, lost: 0.03, repeated: 0.1 };
const TRIES_MAX = 500;

/** As a caller of a store would: again, while the error says that this may help. */
export async function persist<T>(call: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await call();
    } catch (thrown) {
      if (!(thrown instanceof AppError && thrown.facts.retry && tries < TRIES_MAX)) throw thrown;
    }
  }
}

/**
 * Windows are written, read, and merged when their day is over, through clients that fail before and after what they do, throttle, and
 * do it twice: at every point each sample is there once.
 */
export async function storeThroughFaults({ tables, objects, prefix }: Stores, seed = 11): Promise<void> {
  const client = new FaultyTableClient(tables.client, {}, seededRandom(seed));
  const faultyObjects = new FaultyObjectClient(objects, {}, seededRandom(seed + 1));
  const on = compactorOn({
    tables: { client, admin: tables.admin, limits: tables.limits },
    objects: faultyObjects,
    ...(prefix === undefined ? {} : { prefix }),
  });
  client.source.faults = FAULTS;
  faultyObjects.source.faults = FAULTS;
  const tenants = ['a', 'b'];
  const check = async (when: string) => {
    for (const tenant of tenants) {
      assert.deepEqual(
        await persist(() => counts(on.reader, tenant)),
        [MINUTES, MINUTES, MINUTES],
        `${tenant} ${when}`,
      );
    }
  };
  const all = tenants.map((tenant) => [...windows(tenant, START)]);
  for (const [i, first] of all[0]!.entries()) await persist(() => on.writer.write([first, all[1]![i]!]));
  await check('written');
  on.clock.set(START + DAY_MS + HOUR);
  let failures = 0;
  for (let runs = 1; ; runs++) {
    assert.ok(runs < TRIES_MAX, 'the compactor comes to its end');
    const report = await on.run({ sweep: 'force' });
    assert.deepEqual(report.damaged, []);
    if (report.failures.length === 0) break;
    failures += report.failures.length;
    await check(`after run ${runs} of the compactor`);
  }
  await check('merged');
  assert.ok(client.source.injected > 20 && failures > 0, `${client.source.injected} faults, ${failures} failures`);
  client.source.faults = {};
  faultyObjects.source.faults = {};
  await on.run({ sweep: 'force' });
  const report = await verify(on.schema, kernels.read);
  assert.deepEqual([report.problems, report.unreferenced, report.samples], [[], [], 6 * MINUTES]);
}
