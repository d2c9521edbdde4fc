import { BytesError, ByteWriter } from '../lib/bytes.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { RowKey } from '../table/client.ts';
import { leaseHash, tenantsRange } from './keys.ts';
import { openRow, sealRow } from './row-value.ts';
import type { Schema, TableOfPeriod } from './schema.ts';

/** A holder that says nothing for so long has lost its lease: longer than any request to a store takes with all its tries. */
const LEASE_MS = 600_000;
/** Where a lease was kept so lately, nothing is written to keep it. */
const KEPT_MS = LEASE_MS / 10;
/** Time for which a lease is held at least once it was kept. */
export const LEASE_HOLDS_MS = LEASE_MS - KEPT_MS;
const ROW_VERSION = 1;
const NONCE_BYTES = 16;
/** Tries of a change of which the answer was lost. */
const PUT_TRIES_MAX = 3;
/** Leases of which an owner remembers changes that it had no answer to; beyond, the oldest go. */
const UNSURE_MAX = 10_000;

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
  /** By tenant and day: values that may have been written, without an answer. Who finds one of them finds its own lease. */
  readonly #unsure = new Map<string, readonly Uint8Array[]>();

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
    const name = `${day} ${tenant}`;
    const row = new LeasedRow(place, key, this.#clock, this.#random, {
      values: this.#unsure.get(name) ?? [],
      keep: (values) => this.#remember(name, values),
    });
    return (await row.take(signal)) ? new DayLease(row) : undefined;
  }

  #remember(name: string, values: readonly Uint8Array[]): void {
    this.#unsure.delete(name);
    if (values.length === 0) return;
    if (this.#unsure.size >= UNSURE_MAX) this.#unsure.delete(this.#unsure.keys().next().value!);
    this.#unsure.set(name, values);
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

/** Own values whose fate is not known. */
interface UnsureValues {
  readonly values: readonly Uint8Array[];
  keep(values: readonly Uint8Array[]): void;
}

/** Nothing of it is left to guess: each change names the value that it replaces. */
class LeasedRow {
  readonly #place: TableOfPeriod;
  readonly #key: RowKey;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #unsure: UnsureValues;
  #tried: readonly Uint8Array[];
  #value: Uint8Array | undefined;
  #keptMs = 0;

  constructor(place: TableOfPeriod, key: RowKey, clock: Clock, random: Random, unsure: UnsureValues) {
    this.#place = place;
    this.#key = key;
    this.#clock = clock;
    this.#random = random;
    this.#unsure = unsure;
    this.#tried = unsure.values;
  }

  async take(signal?: AbortSignal): Promise<boolean> {
    const held = await this.#stored(signal);
    if (held !== undefined && !this.#isOwn(held)) {
      const leftMs = decodeLease(held).untilMs - this.#clock.nowMs();
      // one that has longer than any lease is of a clock that was wrong
      if (leftMs > 0 && leftMs <= 2 * LEASE_MS) return false;
    }
    this.#value = held;
    return this.#put(LEASE_MS, signal);
  }

  async #stored(signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
    const { period, table } = this.#place;
    const query = { table, hash: this.#key.hash, prefix: this.#key.range, limit: 1, strong: true };
    for await (const rows of period.tables.client.query(query, signal)) {
      const row = rows.find(({ range }) => Buffer.compare(range, this.#key.range) === 0);
      if (row !== undefined) return row.value;
    }
    return undefined;
  }

  #isOwn(value: Uint8Array): boolean {
    return this.#tried.some((each) => Buffer.compare(each, value) === 0);
  }

  async keep(signal?: AbortSignal): Promise<void> {
    if (this.#clock.nowMs() - this.#keptMs < KEPT_MS && this.#clock.nowMs() >= this.#keptMs) return;
    if (!(await this.#put(LEASE_MS, signal))) throw new LeaseLostError('another compactor has taken over the day');
  }

  async release(): Promise<void> {
    await this.#put(Number.NEGATIVE_INFINITY);
  }

  /**
   * One change. A store that fails may have made it all the same, and a client that asks twice hears of the second time that the value
   * is another: the row is read, and a value that only this holder can have written is the answer.
   */
  async #put(forMs: number, signal?: AbortSignal): Promise<boolean> {
    const { client } = this.#place.period.tables;
    for (let tries = 1; ; tries++) {
      const nowMs = this.#clock.nowMs();
      const nonce = Uint8Array.from({ length: NONCE_BYTES }, () => Math.floor(this.#random() * 256));
      const next = encodeLease({ nonce, untilMs: Math.max(0, nowMs + forMs) });
      let lost: { readonly error: unknown } | undefined;
      this.#try(next);
      try {
        const done = await client.compareAndSet(this.#place.table, this.#key, this.#value, next, signal);
        if (done) return this.#hold(next, nowMs);
      } catch (error) {
        if (signal?.aborted === true) throw error;
        lost = { error };
      }
      const stored = await this.#stored(signal);
      if (!isSame(stored, this.#value)) {
        return stored !== undefined && this.#isOwn(stored) && this.#hold(stored, nowMs);
      }
      if (tries < PUT_TRIES_MAX) continue;
      // it may come about yet
      if (lost !== undefined) throw lost.error;
      return false;
    }
  }

  #try(value: Uint8Array): void {
    this.#tried = [...this.#tried.slice(1 - 2 * PUT_TRIES_MAX), value];
    this.#unsure.keep(this.#tried);
  }

  #hold(value: Uint8Array, nowMs: number): true {
    this.#value = value;
    this.#keptMs = nowMs;
    // what a change that fails does not take the place of stays this holder's
    this.#tried = [value];
    this.#unsure.keep([]);
    return true;
  }
}

function isSame(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;
}
