import type { Clock } from '../../lib/clock.ts';
import { Pacer } from '../../lib/pacer.ts';
import { RECORD_BYTES_AIMED } from '../../wire/record-layout.ts';
import type { Head } from '../head/head.ts';
import { noteParts } from '../log/log-note.ts';
import { CHECKPOINT_SLICE_MS, type Checkpoints } from './checkpoints.ts';
import type { GroupCommit } from './group-commit.ts';

/** How often series without samples are looked for, beside those that go with a window. */
const INTERVAL_MS = 600_000;
const REFS_AT_ONCE = 65_536;
/** Metadata of a tenant that told none for so long is forgotten. Senders tell it every few minutes; series may lie on other shards. */
const METADATA_QUIET_MS = 86_400_000;
/** Tenants forgotten in a turn: a few milliseconds of the shard's thread. */
const FORGOTTEN_AT_ONCE_MAX = 4_096;

export interface SweepOptions {
  readonly windowMs: number;
  readonly clock: Clock;
  readonly head: Head;
  readonly commit: GroupCommit;
  readonly checkpoints: Checkpoints;
}

/** Takes out of a head what nobody uses any more: windows that the store has, series without samples, tenants without series. */
export class Sweep {
  readonly #options: SweepOptions;
  /** When idle series were looked for last, Unix ms. */
  #sweptMs = 0;

  constructor(options: SweepOptions) {
    this.#options = options;
  }

  /** When series without samples are dropped, and tenants without series forgotten. */
  get #idleBeforeMs(): number {
    return this.#options.clock.nowMs() - 2 * this.#options.windowMs;
  }

  /** Whether it is time to look for idle series again. */
  get isDue(): boolean {
    return this.#options.clock.nowMs() - this.#sweptMs >= INTERVAL_MS;
  }

  /** Drops series that were left over when their last window went, and metadata that nobody told for long. */
  async dropIdle(): Promise<void> {
    this.#sweptMs = this.#options.clock.nowMs();
    await this.dropEmpty();
    this.#options.head.metadata.forgetQuiet(this.#sweptMs - METADATA_QUIET_MS);
  }

  /** Drops series that no window has samples of any more, some at a time: a million of them take a second. */
  async dropEmpty(): Promise<void> {
    const { clock, head, commit, checkpoints } = this.#options;
    const pacer = new Pacer(clock, { sliceMs: CHECKPOINT_SLICE_MS });
    for (let from = 0; from < head.kernel.exports.seriesTop(); from += REFS_AT_ONCE) {
      checkpoints.noteDropped(head.dropIdle(from, from + REFS_AT_ONCE, this.#idleBeforeMs, () => commit.now()));
      await pacer.step();
    }
  }

  /** Forgets tenants that have nothing and ask for nothing, some at a time. @throws logUnavailable */
  forgetQuiet(): void {
    const { head, commit } = this.#options;
    const quiet = head.quietTenants(this.#idleBeforeMs, FORGOTTEN_AT_ONCE_MAX);
    if (quiet.length === 0) return;
    // operations that name their series stand before
    commit.now();
    for (const part of noteParts(quiet, RECORD_BYTES_AIMED, ({ id }) => id.length + 16)) {
      commit.note({ forgotten: part.map(({ index, id }) => [index, id] as const) });
      for (const tenant of part) head.forgetTenant(tenant);
    }
  }

  /** Forgets all that a tenant has. @throws logUnavailable where only a part went: the same call again takes the rest */
  deleteTenant(tenantId: string): void {
    const { head, commit, checkpoints } = this.#options;
    commit.now();
    const tenant = head.tenant(tenantId);
    if (tenant === undefined) return;
    const dropped: number[] = [];
    try {
      head.dropTenant(tenant, dropped, () => commit.now());
    } finally {
      checkpoints.noteDropped(dropped);
    }
    commit.now();
    commit.note({ gone: tenantId });
    forgetRest(head, tenantId);
  }
}

/** Forgets what a head has of a tenant beside its series. */
export function forgetRest(head: Head, tenantId: string): void {
  const tenant = head.tenant(tenantId);
  if (tenant !== undefined) head.forgetRest(tenant);
  else head.metadata.forget(tenantId);
}
