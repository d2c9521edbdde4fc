import { Kernel } from '../../chunk/kernel.ts';
import { Generations } from '../../chunkstore/generations.ts';
import type { Schema } from '../../chunkstore/schema.ts';
import { listTombstones } from '../../chunkstore/tombstones.ts';
import { ChunkStoreWriter } from '../../chunkstore/writer.ts';
import type { Clock } from '../../lib/clock.ts';
import { DAY_MS } from '../../lib/day.ts';
import { systemBytes } from '../../lib/random.ts';
import { DeletedSamples, type StoreBatchOptions } from './store-batch.ts';

/** A server that runs beside an import may know lists of rows from before: its answers are not cached for so long. */
const SETTLE_MS = 3_600_000;

export interface StoreImport {
  readonly options: StoreBatchOptions;
  /** To be called when everything is written. */
  done(): Promise<void>;
}

/** Begins to write old samples straight into the store: what servers have cached of the tenant counts no more. */
export async function beginStoreImport(
  schema: Schema,
  {
    tenant,
    windowMs,
    clock,
    signal,
  }: Pick<StoreBatchOptions, 'tenant' | 'windowMs' | 'signal'> & { readonly clock: Clock },
): Promise<StoreImport> {
  const generations = new Generations(schema, clock, systemBytes);
  // an import that never ends well is not cached over for a day
  await generations.moveAll(tenant, clock.nowMs() + DAY_MS, signal);
  const deleted = new DeletedSamples(await listTombstones(schema, tenant, signal));
  const writer = new ChunkStoreWriter(schema, Kernel.create(), { clock });
  return {
    options: { writer, tenant, windowMs, signal, deleted },
    done: () => generations.moveAll(tenant, clock.nowMs() + SETTLE_MS, signal),
  };
}
