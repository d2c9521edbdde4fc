import { Schema } from '../../src/chunkstore/schema.ts';
import { DAY_MS } from '../../src/lib/day.ts';
import { MemoryObjectClient } from '../../src/object/memory.ts';
import { MemoryTableStore } from '../../src/table/memory.ts';
import type { Faults } from '../faults/faults.ts';
import { FaultyObjectClient } from '../faults/faulty-object.ts';
import { FaultyTableClient } from '../faults/faulty-table.ts';
import type { SimProcess } from './process.ts';
import type { World } from './world.ts';

/** How long a call to the store takes at most, ms. */
const DELAY_MS = 20;

/** The store of a cluster: rows and objects in memory, and what goes wrong with them, for all processes alike. */
export class SimStore {
  readonly tables = new MemoryTableStore();
  readonly objects: MemoryObjectClient;
  /** Changed while a run goes on. */
  readonly faults: Faults = { delayMs: DELAY_MS };

  constructor(world: World) {
    // objects have the time of the store
    this.objects = new MemoryObjectClient({
      nowMs: () => Math.floor(world.nowMs),
      monotonicMs: () => world.atMs,
      sleep: () => Promise.reject(new Error('bug: a store waits for nothing')),
      every: () => ({ cancel() {} }),
      turn: () => Promise.resolve(),
    });
  }

  /** The schema as a process uses it. */
  of({ random, clock }: SimProcess): Schema {
    const client = new FaultyTableClient(this.tables, this.faults, random, clock);
    return new Schema([
      {
        fromMs: Number.NEGATIVE_INFINITY,
        tables: { client, admin: this.tables, limits: this.tables.limits },
        objects: new FaultyObjectClient(this.objects, this.faults, random, clock),
        tablePrefix: 't_',
        tableMs: 7 * DAY_MS,
      },
    ]);
  }

  /** The schema without faults, for the end of a run. */
  get plain(): Schema {
    return new Schema([
      {
        fromMs: Number.NEGATIVE_INFINITY,
        tables: this.tables,
        objects: this.objects,
        tablePrefix: 't_',
        tableMs: 7 * DAY_MS,
      },
    ]);
  }
}
