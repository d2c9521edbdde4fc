import type { ApiAsker } from '../contract/api.ts';
import type { Loop } from '../kit/service/loops.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import { DAY_MS, dateOf } from '../lib/day.ts';
import { getOrMake } from '../lib/map.ts';
import { textHash } from '../lib/text-hash.ts';

/** How often a metric was asked for. */
export interface MetricUse {
  readonly rule: number;
  readonly dashboard: number;
  readonly api: number;
  /** Unix ms. */
  readonly lastMs: number;
  /** The user that asked last. */
  readonly user: string;
}

/** A row of use, as it was read. */
export interface UseHead {
  readonly name: string;
  readonly pages: readonly string[];
  readonly body: Uint8Array;
  readonly value: Uint8Array;
}

interface UseKey {
  readonly tenant: string;
  readonly kind: string;
  readonly name: string;
}

/** The table that counts lie in. */
export interface UseRows {
  get(key: UseKey, signal?: AbortSignal): Promise<UseHead | undefined>;
  list(tenant: string, kind: string, signal?: AbortSignal): AsyncIterable<UseHead>;
  /** @returns undefined where another one was there, and nothing changed */
  compareAndSet(
    key: UseKey,
    expected: UseHead | undefined,
    next: { readonly pages: readonly string[]; readonly body: Uint8Array },
    signal?: AbortSignal,
  ): Promise<UseHead | undefined>;
  remove(key: UseKey, signal?: AbortSignal): Promise<void>;
}

/** A row: since when it counts, and its metrics. */
interface UseDay {
  readonly sinceMs: number;
  readonly metrics: Readonly<Record<string, MetricUse>>;
}

export interface MetricUseOptions {
  readonly rows: UseRows;
  readonly clock: Clock;
  /** Told what could not be written. */
  readonly onFailure: (error: Error) => void;
  /** Told of each write. */
  readonly loop?: Loop;
}

const KIND = 'metric-use';
export const USE_DAYS_KEPT = 30;
export const SAVE_INTERVAL_MS = 60_000;
/** Rows of one tenant's day. */
const PARTS = 8;
const ROW_BYTES_MAX = 120 << 10;
/** Metrics of all tenants that are counted between two writes; what is beyond is not. */
const UNSAVED_MAX = 50_000;
const NAME_CHARS_MAX = 1_024;
const USER_CHARS_MAX = 200;
const TRIES_MAX = 10;

/**
 * Counts of how often metrics are asked for, by whom: by tenant and day, added up in the store once a minute, so that several processes
 * count together. Where a row has no room, the metrics asked for least make it.
 */
export class MetricUseBook {
  readonly #options: MetricUseOptions;
  /** By tenant, then by row, then by metric. */
  #unsaved = new Map<string, Map<string, Map<string, MetricUse>>>();
  #unsavedCount = 0;
  readonly #trimmed = new Map<string, string>();
  #timer: Timer | undefined;
  #saving: Promise<void> | undefined;

  constructor(options: MetricUseOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = this.#options.clock.every(SAVE_INTERVAL_MS, () => {
      const { loop } = this.#options;
      void (loop === undefined ? this.save() : loop.run(() => this.save()));
    });
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    await this.#saving;
    await this.save();
  }

  /** Counts so many more for each metric. */
  note(tenant: string, metrics: readonly string[], { user, source }: ApiAsker, times = 1): void {
    const lastMs = this.#options.clock.nowMs();
    const one = { ...UNUSED, [source]: times, lastMs, user: user.slice(0, USER_CHARS_MAX) };
    for (const metric of metrics) {
      if (metric.length > NAME_CHARS_MAX || this.#unsavedCount >= UNSAVED_MAX) continue;
      this.#add(tenant, rowOf(metric, lastMs), metric, one);
    }
  }

  #add(tenant: string, row: string, metric: string, use: MetricUse): void {
    const rows = getOrMake(this.#unsaved, tenant, () => new Map<string, Map<string, MetricUse>>());
    const own = getOrMake(rows, row, () => new Map<string, MetricUse>());
    const known = own.get(metric);
    if (known === undefined) this.#unsavedCount++;
    own.set(metric, known === undefined ? use : added(known, use));
  }

  /** Writes what is not written yet, after the write that is under way. Never rejects. */
  save(): Promise<void> {
    this.#saving ??= this.#save().finally(() => {
      this.#saving = undefined;
    });
    return this.#saving;
  }

  async #save(): Promise<void> {
    const all = this.#unsaved;
    this.#unsaved = new Map();
    this.#unsavedCount = 0;
    for (const [tenant, rows] of all) {
      for (const [row, metrics] of rows) {
        try {
          await this.#addTo({ tenant, kind: KIND, name: row }, metrics);
          await this.#trim(tenant);
        } catch (thrown) {
          this.#options.onFailure(thrown as Error);
          this.#options.loop?.failed(thrown);
          // counted with the next ones
          for (const [metric, use] of metrics) {
            if (this.#unsavedCount < UNSAVED_MAX) this.#add(tenant, row, metric, use);
          }
        }
      }
    }
  }

  async #addTo(key: UseKey, metrics: ReadonlyMap<string, MetricUse>): Promise<void> {
    const { rows, clock } = this.#options;
    for (let i = 0; i < TRIES_MAX; i++) {
      const head = await rows.get(key);
      const before: UseDay = head === undefined ? { sinceMs: clock.nowMs(), metrics: {} } : dayIn(head);
      const all = new Map(Object.entries(before.metrics));
      for (const [metric, use] of metrics) all.set(metric, added(all.get(metric) ?? UNUSED, use));
      const body = bodyOf(before.sinceMs, all);
      if ((await rows.compareAndSet(key, head, { pages: [], body })) !== undefined) return;
    }
    throw new Error(`${KIND} ${key.name} of ${key.tenant} was changed by others ${TRIES_MAX} times`);
  }

  /** Removes the days that are past their time, once a day. */
  async #trim(tenant: string): Promise<void> {
    const { rows, clock } = this.#options;
    const today = dateOf(clock.nowMs());
    if (this.#trimmed.get(tenant) === today) return;
    this.#trimmed.set(tenant, today);
    const first = dateOf(clock.nowMs() - USE_DAYS_KEPT * DAY_MS);
    const old: string[] = [];
    for await (const { name } of rows.list(tenant, KIND)) if (name.slice(0, 10) < first) old.push(name);
    for (const name of old) await rows.remove({ tenant, kind: KIND, name });
  }

  /** Use since the first of so many days, by metric; of this process also what is not written yet. */
  async of(
    tenant: string,
    days: number,
    signal: AbortSignal,
  ): Promise<{ readonly sinceMs: number | undefined; readonly metrics: ReadonlyMap<string, MetricUse> }> {
    const { rows, clock } = this.#options;
    const first = dateOf(clock.nowMs() - (days - 1) * DAY_MS);
    const metrics = new Map<string, MetricUse>();
    let sinceMs: number | undefined;
    const add = (metric: string, use: MetricUse) => metrics.set(metric, added(metrics.get(metric) ?? UNUSED, use));
    for await (const head of rows.list(tenant, KIND, signal)) {
      if (head.name.slice(0, 10) < first) continue;
      const day = dayIn(head);
      sinceMs = Math.min(sinceMs ?? day.sinceMs, day.sinceMs);
      for (const [metric, use] of Object.entries(day.metrics)) add(metric, use);
    }
    for (const [row, own] of this.#unsaved.get(tenant) ?? []) {
      if (row.slice(0, 10) < first) continue;
      for (const [metric, use] of own) add(metric, use);
    }
    return { sinceMs, metrics };
  }
}

const UNUSED: MetricUse = { rule: 0, dashboard: 0, api: 0, lastMs: 0, user: '' };

function added(a: MetricUse, b: MetricUse): MetricUse {
  const later = b.lastMs >= a.lastMs ? b : a;
  return {
    rule: a.rule + b.rule,
    dashboard: a.dashboard + b.dashboard,
    api: a.api + b.api,
    lastMs: later.lastMs,
    user: later.user,
  };
}

export function timesAsked({ rule, dashboard, api }: MetricUse): number {
  return rule + dashboard + api;
}

/** The row's content, without the metrics that were asked for least where it is too long. */
function bodyOf(sinceMs: number, all: ReadonlyMap<string, MetricUse>): Uint8Array {
  let kept = [...all];
  for (;;) {
    const day: UseDay = { sinceMs, metrics: Object.fromEntries(kept) };
    const body = new TextEncoder().encode(JSON.stringify(day));
    if (body.length <= ROW_BYTES_MAX) return body;
    kept.sort(([, a], [, b]) => timesAsked(b) - timesAsked(a) || b.lastMs - a.lastMs);
    kept = kept.slice(0, Math.floor(kept.length * 0.9 * Math.min(1, ROW_BYTES_MAX / body.length)));
  }
}

function dayIn({ body }: UseHead): UseDay {
  return JSON.parse(new TextDecoder().decode(body));
}

function rowOf(metric: string, timeMs: number): string {
  return `${dateOf(timeMs)}/${textHash(metric) % PARTS}`;
}
