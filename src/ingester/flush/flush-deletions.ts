import type { Schema } from '../../chunkstore/schema.ts';
import { copySample } from '../../chunkstore/series-set.ts';
import type { Tombstone } from '../../chunkstore/tombstone-row.ts';
import { dueMsOf, forgottenMsOf, listTombstones, tombstoneTenants } from '../../chunkstore/tombstones.ts';
import { DELETIONS_MAX, type KnownDeletion } from '../../contract/ingest.ts';
import type { Channel } from '../../kit/thread/channel.ts';
import type { Clock } from '../../lib/clock.ts';
import { getOrMake } from '../../lib/map.ts';
import { forEachAtOnce } from '../../lib/semaphore.ts';
import { decodeLabels } from '../../model/canonical.ts';
import { SampleColumns } from '../../storage/columns.ts';
import { allTenants, type ShardRole } from '../shard/shard-messages.ts';
import type { DeletionsRequest } from './flush-contract.ts';

/** Clocks of who cancels requests and of who applies them differ. */
const CLOCKS_MS = 600_000;
/** A request that is there is refused for as long as this at least: until it is looked for again. */
const TOLD_MS = 2 * 3_600_000;
const READS_AT_ONCE = 8;

export interface FlushDeletionsOptions {
  readonly schema: Schema;
  readonly shards: readonly Channel<ShardRole>[];
  readonly clock: Clock;
  readonly cancelPeriodMs: number;
  readonly walAgeMaxMs: number;
}

/** Delete requests that are through, as a flush leaves out what they cover and as shards refuse it. Each is read strongly. */
export class FlushDeletions {
  readonly #options: FlushDeletionsOptions;
  /** By tenant: what shards were told last, as ids, and until when they refuse all of it. */
  readonly #told = new Map<string, { readonly ids: string; readonly untilMs: number }>();
  /** By tenant, during one flush. */
  readonly #read = new Map<string, Promise<readonly Tombstone[]>>();

  constructor(options: FlushDeletionsOptions) {
    this.#options = options;
  }

  /** A flush begins: nothing that was read before holds. */
  begin(): void {
    this.#read.clear();
  }

  /** Those of a tenant, read once a flush; shards are told. */
  of(tenant: string): Promise<readonly Tombstone[]> {
    return getOrMake(this.#read, tenant, () => this.#readOf(tenant));
  }

  /** Reads those of all tenants that the shards have, or may have next, and tells the shards when that was. */
  async readAll({ everyTenant }: DeletionsRequest): Promise<void> {
    const { schema, shards, clock } = this.#options;
    const atMs = clock.nowMs();
    this.begin();
    const tenants = new Set<string>([...this.#told.keys(), ...(everyTenant ? await tombstoneTenants(schema) : [])]);
    for (const shard of shards) for await (const { tenant } of allTenants(shard)) tenants.add(tenant);
    await forEachAtOnce([...tenants], READS_AT_ONCE, async (tenant) => {
      await this.#readOf(tenant);
    });
    for (const shard of shards) await shard.call('deletionsRead', { atMs });
  }

  async #readOf(tenant: string): Promise<readonly Tombstone[]> {
    const { schema, shards, clock, cancelPeriodMs, walAgeMaxMs } = this.#options;
    const nowMs = clock.nowMs();
    const all = await listTombstones(schema, tenant);
    // what can still be cancelled must not be gone then
    const waitMs = cancelPeriodMs === 0 ? 0 : cancelPeriodMs + CLOCKS_MS;
    const found = all.filter((each) => each.state === 'processed' || dueMsOf(each, waitMs) <= nowMs);
    const ids = found
      .map(({ id, endMs }) => `${id} ${endMs}`)
      .sort()
      .join();
    const told = this.#told.get(tenant);
    // a request may be kept for longer than it must be
    if (ids !== (told?.ids ?? '') || (told !== undefined && told.untilMs < nowMs + TOLD_MS)) {
      const known = found.map(({ matchers, startMs, endMs, ...each }): KnownDeletion => {
        const forgottenMs = forgottenMsOf({ matchers, startMs, endMs, ...each }, cancelPeriodMs, walAgeMaxMs);
        const untilMs = Math.max(forgottenMs, nowMs + TOLD_MS);
        return { matchers: matchers.map(({ name, op, value }) => ({ name, op, value })), startMs, endMs, untilMs };
      });
      // of more than a shard takes, those that are forgotten last
      const deletions = known.sort((a, b) => b.untilMs - a.untilMs).slice(0, DELETIONS_MAX);
      for (const shard of shards) await shard.call('setDeletions', { tenant, deletions });
      if (ids === '') this.#told.delete(tenant);
      else this.#told.set(tenant, { ids, untilMs: Math.min(...known.map(({ untilMs }) => untilMs)) });
    }
    return found;
  }
}

/** The samples of a window's series that no request deletes. */
export class UndeletedSamples {
  readonly #deletions: readonly Tombstone[];
  readonly #kept = new SampleColumns();

  /** @param endMs of the window, exclusive */
  constructor(deletions: readonly Tombstone[], startMs: number, endMs: number) {
    this.#deletions = deletions.filter((each) => each.startMs < endMs && each.endMs >= startMs);
  }

  /** Whether no request reaches into the window. */
  get areAll(): boolean {
    return this.#deletions.length === 0;
  }

  /** The columns themselves where nothing of them is deleted, else others that hold until the next call. */
  of(canonicalLabels: Uint8Array, columns: SampleColumns): SampleColumns {
    if (this.#deletions.length === 0) return columns;
    const labels = decodeLabels(canonicalLabels, 0, canonicalLabels.length);
    const covering = this.#deletions.filter(({ matchers }) =>
      matchers.every((each) => each.matches(labels.get(each.name))),
    );
    if (covering.length === 0) return columns;
    const kept = this.#kept;
    kept.clear();
    for (let i = 0; i < columns.count; i++) {
      const timeMs = columns.times[i]!;
      if (!covering.some(({ startMs, endMs }) => startMs <= timeMs && timeMs <= endMs)) copySample(columns, i, kept);
    }
    return kept;
  }
}
