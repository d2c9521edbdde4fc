import { bytes, choice, duration, records, text } from '../kit/config/field.ts';
import { section } from '../kit/config/section.ts';
import { storeSection } from '../kit/store/section.ts';
import { DAY_MS } from '../lib/day.ts';

/** Stores that rows can lie in, and objects. */
export const INDEX_STORES = ['embedded', 'cassandra', 'dynamodb', 'bigtable'] as const;
export const OBJECT_STORES = ['filesystem', 's3', 'gcs', 'azure', 'none'] as const;

export type IndexStore = (typeof INDEX_STORES)[number];
export type ObjectStore = (typeof OBJECT_STORES)[number];

/** Where the days from `fromMs` on are kept, as the configuration says it. */
export interface PeriodConfig {
  readonly fromMs: number;
  readonly store: IndexStore;
  readonly objectStore: ObjectStore;
  readonly prefix: string;
  readonly periodMs: number;
}

const PREFIX = /^[a-z][a-z0-9_]{0,40}$/;

export const schemaConfig = section('schema', 'Long-term store', {
  store: choice({
    default: 'embedded',
    values: INDEX_STORES,
    help: 'Where rows lie: in the data folder, or in a database.',
  }),
  objectStore: choice({
    default: 'filesystem',
    values: OBJECT_STORES,
    help: 'Where large groups of chunks lie: in the data folder, in object storage, or with the rows.',
  }),
  prefix: text({ default: 'pallium_', help: 'First part of the names of tables and objects.', check: checkPrefix }),
  tablePeriodMs: duration({
    default: '7d',
    min: '1d',
    help: 'Time that one table is for, whole days. Retention drops whole tables.',
  }),
  configs: records<PeriodConfig>({
    help: 'Instead of the settings above, several periods: a list of {from: 2026-01-01, store, object_store, prefix, period}. Each holds from its day until the next begins, so that a store can be changed without moving data.',
    read: readPeriod,
    print: ({ fromMs, store, objectStore, prefix, periodMs }) => ({
      from: new Date(fromMs).toISOString().slice(0, 10),
      store,
      object_store: objectStore,
      prefix,
      period: `${periodMs / DAY_MS}d`,
    }),
  }),
});

export const chunkStoreConfig = storeSection('chunk_store', 'chunk-store', 'Reading from the long-term store', {
  cacheBackend: choice({
    default: 'memory',
    values: ['memory', 'memcached', 'redis'],
    help: 'Where parts of chunk groups are cached.',
  }),
  cacheSize: bytes({
    default: '32MiB',
    help: 'Memory of each query worker for parts of chunk groups, with the cache in memory; of those in files the system has a cache of its own. 0: none.',
  }),
  rowCacheSize: bytes({
    default: '32MiB',
    help: 'Memory of each query worker for lists of rows. They expire before -ingester.keep-flushed.',
  }),
});

export type ChunkStoreConfig = typeof chunkStoreConfig.type;
export type SchemaConfig = typeof schemaConfig.type;

function checkPrefix(prefix: string): void {
  if (!PREFIX.test(prefix)) throw new RangeError(`${prefix} is not a prefix of small letters, digits and underscores`);
}

function readPeriod(record: Readonly<Record<string, string>>): PeriodConfig {
  const known = ['from', 'store', 'object_store', 'prefix', 'period'];
  for (const key of Object.keys(record)) {
    if (!known.includes(key)) throw new RangeError(`${key} is none of ${known.join(', ')}`);
  }
  const {
    from = '',
    store = 'embedded',
    object_store: objectStore = 'filesystem',
    prefix = 'pallium_',
    period = '7d',
  } = record;
  const fromMs = Date.parse(`${from}T00:00:00Z`);
  if (!/^\d{4}-\d{2}-\d{2}$/.test(from) || Number.isNaN(fromMs)) {
    throw new RangeError(`from: ${from} is not a day, like 2026-01-31`);
  }
  checkPrefix(prefix);
  const days = /^(\d+)d$/.exec(period)?.[1] ?? /^(\d+)h$/.exec(period)?.[1];
  const periodMs = period.endsWith('h') ? Number(days) * 3_600_000 : Number(days) * DAY_MS;
  if (days === undefined || periodMs < DAY_MS || periodMs % DAY_MS !== 0) {
    throw new RangeError(`period: ${period} is not a number of whole days, like 7d or 168h`);
  }
  return {
    fromMs,
    store: oneOf('store', store, INDEX_STORES),
    objectStore: oneOf('object_store', objectStore, OBJECT_STORES),
    prefix,
    periodMs,
  };
}

function oneOf<T extends string>(key: string, value: string, values: readonly T[]): T {
  if (!(values as readonly string[]).includes(value))
    throw new RangeError(`${key}: ${value} is none of ${values.join(', ')}`);
  return value as T;
}

/** The periods that a configuration means, ascending; the first has no beginning. */
export function periodsOf(config: SchemaConfig): PeriodConfig[] {
  const { store, objectStore, prefix, tablePeriodMs, configs } = config;
  if (configs.length === 0) {
    const periodMs = Math.ceil(tablePeriodMs / DAY_MS) * DAY_MS;
    return [{ fromMs: Number.NEGATIVE_INFINITY, store, objectStore, prefix, periodMs }];
  }
  const sorted = [...configs].sort((a, b) => a.fromMs - b.fromMs);
  return [{ ...sorted[0]!, fromMs: Number.NEGATIVE_INFINITY }, ...sorted.slice(1)];
}
