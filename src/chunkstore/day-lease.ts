import { BytesError, ByteWriter } from '../lib/bytes.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { RowKey } from '../table/client.ts';
import { leaseHash, tenantsRange } from './keys.ts';
import { openRow, sealRow } from './row-value.ts';
import type { Schema, TableOfPeriod } from './schema.ts';

/** A holder that says nothing for so long has lost its lease: longer than any request to a store takes with all its tries. */
const LEASE_MS = 600_000;
const ROW_VERSION = 1;
const NONCE_BYTES = 16;

/** That somebody changes a tenant's day. */
export interface LeaseRow {
  /** Drawn anew with each change: a value that was seen before is never written again, so that comparing it tells all. */
  readonly nonce: Uint8Array;
  /** Unix ms; 0: given back. */
  readonly untilMs: number;
}

export function encodeLease({ nonce, untilMs }: LeaseRow): Uint8Array {
  const out = new ByteWriter();
  out.bytes(nonce);
  out.f64(untilMs);
  return sealRow(ROW_VERSION, out.done());
}

/** @throws BytesError */
export function decodeLease(value: Uint8Array): LeaseRow {
  const from = openRow(ROW_VERSION, value);
  const nonce = from.take(NONCE_BYTES);
  const untilMs = from.f64();
  if (!(untilMs >= 0)) throw new BytesError('a time that is none');
  from.end();
  return { nonce, untilMs };
}

/** The lease is another's by now. */
export class LeaseLostError extends Error {
  override readonly name = 'LeaseLostError';
}

/** Lets one compactor at a time change a tenant's day. */
export class DayLeases {
  readonly #schema: Schema;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(schema: Schema, clock: Clock, random: Random) {
    this.#schema = schema;
    this.#clock = clock;
    this.#random = random;
  }

  /** Undefined where another holds it. What was read before it is taken may have changed: read again. */
  async take(tenant: string, day: number, signal?: AbortSignal): Promise<DayLease | undefined> {
    const place = this.#schema.tableOf(day);
    if (place.period.tables.oneProcess) return new DayLease(undefined);
    const key = { hash: leaseHash(day), range: tenantsRange(tenant) };
    const row = new LeasedRow(place, key, this.#clock, this.#random);
    return (await row.take(signal)) ? new DayLease(row) : undefined;
  }
}

/** A lease that is held. */
export class DayLease {
  readonly #row: LeasedRow | undefined;

  constructor(row: LeasedRow | undefined) {
    this.#row = row;
  }

  /** Before rows are changed. @throws LeaseLostError */
  async keep(signal?: AbortSignal): Promise<void> {
    await this.#row?.keep(signal);
  }

  async release(): Promise<void> {
    await this.#row?.release();
  }
}

/** Nothing of it is left to guess: each change names the value that it replaces. */
class LeasedRow {
  readonly #place: TableOfPeriod;
  readonly #key: RowKey;
  readonly #clock: Clock;
  readonly #random: Random;
  #value: Uint8Array | undefined;
  #keptMs = 0;

  constructor(place: TableOfPeriod, key: RowKey, clock: Clock, random: Random) {
    this.#place = place;
    this.#key = key;
    this.#clock = clock;
    this.#random = random;
  }

  async take(signal?: AbortSignal): Promise<boolean> {
    const { period, table } = this.#place;
    const query = { table, hash: this.#key.hash, prefix: this.#key.range, limit: 1, strong: true };
    for await (const [row] of period.tables.client.query(query, signal)) {
      if (row === undefined || Buffer.compare(row.range, this.#key.range) !== 0) continue;
      const leftMs = decodeLease(row.value).untilMs - this.#clock.nowMs();
      // one that has longer than any lease is of a clock that was wrong
      if (leftMs > 0 && leftMs <= 2 * LEASE_MS) return false;
      this.#value = row.value;
    }
    return this.#put(LEASE_MS, signal);
  }

  async keep(signal?: AbortSignal): Promise<void> {
    if (this.#clock.nowMs() - this.#keptMs < LEASE_MS / 10 && this.#clock.nowMs() >= this.#keptMs) return;
    if (!(await this.#put(LEASE_MS, signal))) throw new LeaseLostError('another compactor has taken over the day');
  }

  async release(): Promise<void> {
    await this.#put(Number.NEGATIVE_INFINITY);
  }

  async #put(forMs: number, signal?: AbortSignal): Promise<boolean> {
    const { period, table } = this.#place;
    const nowMs = this.#clock.nowMs();
    const nonce = Uint8Array.from({ length: NONCE_BYTES }, () => Math.floor(this.#random() * 256));
    const next = encodeLease({ nonce, untilMs: Math.max(0, nowMs + forMs) });
    const done = await period.tables.client.compareAndSet(table, this.#key, this.#value, next, signal);
    if (done) {
      this.#value = next;
      this.#keptMs = nowMs;
    }
    return done;
  }
}
