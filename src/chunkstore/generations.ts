import { createHash } from 'node:crypto';
import { BytesError, ByteWriter } from '../lib/bytes.ts';
import type { Clock } from '../lib/clock.ts';
import { dayOf } from '../lib/day.ts';
import type { RandomBytes } from '../lib/random.ts';
import { dayOfRange, generationHash, generationRange } from './keys.ts';
import { openRow, sealRow } from './row-value.ts';
import type { Schema } from './schema.ts';
import { listTombstones } from './tombstones.ts';

const ROW_VERSION = 1;
const ID_BYTES = 16;
const HOLDER_BYTES = 8;
/** A change of more days than this is one of all of them. */
const DAYS_MAX = 31;
/** Stands for all days of a tenant: before any that has data. */
const ALL_DAYS = -(2 ** 31);

/** A day's generation: another one whenever samples came, or went, that answers of before did not know. */
export interface Generation {
  readonly id: Uint8Array;
  /** Unix ms from which on every reader knows of what changed. */
  readonly settledMs: number;
}

/** A day may have several: that of all, and those of holders. */
type DayGeneration = readonly [day: number, generation: Generation];

/** Generations of a tenant's days as one read found them, for who caches answers. */
export class DayGenerations {
  /** In order of their rows. */
  readonly #all: readonly DayGeneration[];
  readonly #deletions: string;

  constructor(all: readonly DayGeneration[], deletions: string) {
    this.#all = all;
    this.#deletions = deletions;
  }

  /** A text that is another one once anything changed in the days of these times, Unix ms, both inclusive. */
  token(fromMs: number, toMs: number): string {
    const parts = [this.#deletions];
    for (const [day, { id }] of this.#within(fromMs, toMs)) parts.push(`${day}:${Buffer.from(id).toString('base64')}`);
    return parts.join(' ');
  }

  /** Whether every reader knows of all that changed in these days. */
  isSettled(fromMs: number, toMs: number, nowMs: number): boolean {
    return this.#within(fromMs, toMs).every(([, { settledMs }]) => settledMs <= nowMs);
  }

  #within(fromMs: number, toMs: number): DayGeneration[] {
    const from = dayOf(fromMs);
    const to = dayOf(toMs);
    return this.#all.filter(([day]) => day === ALL_DAYS || (day >= from && day <= to)).toSorted(([a], [b]) => a - b);
  }
}

interface HowMoved {
  readonly settledMs: number;
  readonly holder: Uint8Array | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Generations of tenants' days, rows that are written where samples come late and read before answers are taken from a cache. */
export class Generations {
  readonly #schema: Schema;
  readonly #clock: Clock;
  readonly #randomBytes: RandomBytes;
  readonly #made = new Set<string>();

  constructor(schema: Schema, clock: Clock, randomBytes: RandomBytes) {
    this.#schema = schema;
    this.#clock = clock;
    this.#randomBytes = randomBytes;
  }

  /**
   * Moves the days of these times on, both inclusive, Unix ms: what was answered of them before is no longer served from caches by any query
   * that begins when this has returned. Called once the change can be seen, and before it is acknowledged.
   *
   * @param settledMs Unix ms until which there may be readers that do not see the change yet; 0: there are none
   */
  async move(tenant: string, fromMs: number, toMs: number, settledMs = 0, signal?: AbortSignal): Promise<void> {
    await this.#write(tenant, fromMs, toMs, { settledMs, holder: undefined, signal });
  }

  /**
   * Moves days on, as `move` does, in rows that the holder alone writes: until `settledMs`, Unix ms, no query keeps what it answered of
   * them, so that as long as the holder is sure of that it need not move them again for what else changes.
   * @param holder told apart by its name
   */
  async hold(tenant: string, fromMs: number, toMs: number, settledMs: number, holder: string): Promise<void> {
    const id = createHash('sha256').update(holder).digest().subarray(0, HOLDER_BYTES);
    await this.#write(tenant, fromMs, toMs, { settledMs, holder: id, signal: undefined });
  }

  async #write(tenant: string, fromMs: number, toMs: number, { settledMs, holder, signal }: HowMoved): Promise<void> {
    const [first, last] = [dayOf(fromMs), dayOf(toMs)];
    const isMany = !(last - first < DAYS_MAX);
    const days = isMany ? [ALL_DAYS] : Array.from({ length: last - first + 1 }, (_, i) => first + i);
    const period = this.#schema.periodOf(dayOf(this.#clock.nowMs()));
    const table = this.#schema.tenantsTable(period);
    if (!this.#made.has(table)) {
      await period.tables.admin.create(table);
      this.#made.add(table);
    }
    const value = encode({ id: this.#randomBytes(ID_BYTES), settledMs });
    const hash = generationHash(tenant);
    const rows = days.map((day) => ({ hash, range: generationRange(day, holder), value }));
    await period.tables.client.write(table, rows, signal);
  }

  /** Moves all days of a tenant on, as `move` does. */
  moveAll(tenant: string, settledMs = 0, signal?: AbortSignal): Promise<void> {
    return this.move(tenant, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, settledMs, signal);
  }

  /** Everything that was moved before this began, delete requests included. */
  async of(tenant: string, signal?: AbortSignal): Promise<DayGenerations> {
    const periods = await Promise.all(
      this.#schema.periods.map(async (period) => {
        const found: DayGeneration[] = [];
        const query = { table: this.#schema.tenantsTable(period), hash: generationHash(tenant), strong: true };
        for await (const page of period.tables.client.query(query, signal)) {
          for (const { range, value } of page) found.push([dayOfRange(range), decodeGeneration(value)]);
        }
        return found;
      }),
    );
    // Days are moved before a request is cancelled: whoever has seen the move sees here whether the request is still there. The other way
    // round an answer that leaves samples out could be kept as one of no request and the days as they will be.
    const tombstones = await listTombstones(this.#schema, tenant, signal);
    const deletions = tombstones.map(({ id, endMs }) => `${id}:${endMs}`).sort();
    return new DayGenerations(periods.flat(), deletions.join(','));
  }
}

function encode({ id, settledMs }: Generation): Uint8Array {
  const out = new ByteWriter();
  out.bytes(id);
  out.f64(settledMs);
  return sealRow(ROW_VERSION, out.done());
}

/** @throws BytesError */
export function decodeGeneration(value: Uint8Array): Generation {
  const from = openRow(ROW_VERSION, value);
  const id = from.take(ID_BYTES).slice();
  const settledMs = from.f64();
  if (Number.isNaN(settledMs)) throw new BytesError('no time');
  from.end();
  return { id, settledMs };
}
