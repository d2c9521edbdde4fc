import type { Clock } from '../lib/clock.ts';
import { DAY_MS, dateOf } from '../lib/day.ts';
import { textHash } from '../lib/text-hash.ts';
import { eventErrors } from '../model/errors-event.ts';
import type { TenantEvent } from './event.ts';

/** A row of events, as it was read. */
export interface EventHead {
  readonly name: string;
  readonly pages: readonly string[];
  readonly body: Uint8Array;
  readonly value: Uint8Array;
}

export interface EventKey {
  readonly tenant: string;
  readonly kind: string;
  readonly name: string;
}

/** The table that events lie in. */
export interface EventRows {
  get(key: EventKey, signal?: AbortSignal): Promise<EventHead | undefined>;
  list(tenant: string, kind: string, signal?: AbortSignal): AsyncIterable<EventHead>;
  /** @returns undefined where another one was there, and nothing changed */
  compareAndSet(
    key: EventKey,
    expected: EventHead | undefined,
    next: { readonly pages: readonly string[]; readonly body: Uint8Array },
    signal?: AbortSignal,
  ): Promise<EventHead | undefined>;
  remove(key: EventKey, signal?: AbortSignal): Promise<void>;
}

const KIND = 'events';
export const EVENTS_KEPT_MS = 365 * DAY_MS;
export const EVENTS_MAX = 100_000;
/** Rows of one day: a row holds some 128 KiB. */
const PARTS = 8;
const ROW_BYTES_MAX = 120 << 10;
const TRIES_MAX = 10;
/** Events of a tenant are read again after this time: others may have written. */
const CACHED_MS = 10_000;
const CACHES_MAX = 100;

interface Cached {
  readonly readMs: number;
  readonly events: readonly TenantEvent[];
}

export interface EventQuery {
  readonly startMs: number;
  readonly endMs: number;
}

/** The events of tenants: some rows for each day, each changed by compare-and-set. What is written twice is there once. */
export class EventBook {
  readonly #rows: EventRows;
  readonly #clock: Clock;
  /** By tenant, the one used last at the end. */
  readonly #cached = new Map<string, Cached>();

  constructor(rows: EventRows, clock: Clock) {
    this.#rows = rows;
    this.#clock = clock;
  }

  /** Events that touch a range, by time. */
  async list(tenant: string, { startMs, endMs }: EventQuery, signal?: AbortSignal): Promise<TenantEvent[]> {
    const events = await this.#all(tenant, signal);
    return events.filter((event) => event.timeMs <= endMs && (event.endMs ?? event.timeMs) >= startMs);
  }

  /**
   * Writes events; those of an id that is there take its place. Rows that stay the same are not written.
   *
   * @throws AppError where a tenant has too many
   */
  async put(tenant: string, events: readonly TenantEvent[], signal?: AbortSignal): Promise<void> {
    const byRow = Map.groupBy(events, rowOf);
    for (const [name, own] of byRow) await this.#putRow({ tenant, kind: KIND, name }, own, signal);
  }

  async #putRow(key: EventKey, events: readonly TenantEvent[], signal?: AbortSignal): Promise<void> {
    for (let i = 0; i < TRIES_MAX; i++) {
      const head = await this.#rows.get(key, signal);
      const known = new Map((head === undefined ? [] : eventsIn(head)).map((event) => [event.id, event]));
      const before = known.size;
      for (const event of events) known.set(event.id, event);
      const body = new TextEncoder().encode(JSON.stringify([...known.values()]));
      if (head !== undefined && Buffer.compare(body, head.body) === 0) return;
      if (body.length > ROW_BYTES_MAX)
        throw eventErrors.tooManyEventsOfDay({ bytes: body.length, limit: ROW_BYTES_MAX });
      if (known.size > before) await this.#checkCount(key.tenant, known.size - before, signal);
      if ((await this.#rows.compareAndSet(key, head, { pages: [], body }, signal)) !== undefined) {
        this.#cached.delete(key.tenant);
        return;
      }
    }
    throw eventErrors.eventsContended({ tries: TRIES_MAX });
  }

  async #checkCount(tenant: string, added: number, signal?: AbortSignal): Promise<void> {
    const count = (await this.#all(tenant, signal)).length + added;
    if (count > EVENTS_MAX) throw eventErrors.tooManyEvents({ count, limit: EVENTS_MAX });
  }

  /** Removes the days that are past their time. */
  async trim(tenant: string, signal?: AbortSignal): Promise<void> {
    const firstDay = dateOf(this.#clock.nowMs() - EVENTS_KEPT_MS);
    const old: string[] = [];
    for await (const { name } of this.#rows.list(tenant, KIND, signal))
      if (name.slice(0, 10) < firstDay) old.push(name);
    for (const name of old) await this.#rows.remove({ tenant, kind: KIND, name }, signal);
    if (old.length > 0) this.#cached.delete(tenant);
  }

  async #all(tenant: string, signal?: AbortSignal): Promise<readonly TenantEvent[]> {
    const nowMs = this.#clock.monotonicMs();
    const cached = this.#cached.get(tenant);
    if (cached !== undefined && nowMs - cached.readMs < CACHED_MS) return cached.events;
    const events: TenantEvent[] = [];
    for await (const head of this.#rows.list(tenant, KIND, signal)) events.push(...eventsIn(head));
    events.sort((a, b) => a.timeMs - b.timeMs || (a.id < b.id ? -1 : 1));
    this.#cached.delete(tenant);
    this.#cached.set(tenant, { readMs: nowMs, events });
    if (this.#cached.size > CACHES_MAX) this.#cached.delete(this.#cached.keys().next().value!);
    return events;
  }
}

function rowOf({ id, timeMs }: TenantEvent): string {
  return `${dateOf(timeMs)}/${textHash(id) % PARTS}`;
}

function eventsIn({ body }: EventHead): TenantEvent[] {
  return JSON.parse(new TextDecoder().decode(body));
}
