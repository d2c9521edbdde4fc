// Settings of `npm run chaos`, by environment. What is not set makes the full form of it.

export type Shape = 'all' | 'cluster';

export interface ChaosSettings {
  /** Three processes of `-target=all`, or each target in processes of its own. */
  readonly shape: Shape;
  /** How long faults are made, not counting the start and the last look. */
  readonly minutes: number;
  /** Samples a second. */
  readonly rate: number;
  /** Kinds, victims and times of faults follow from it. */
  readonly seed: number;
  /** Whether the ring lies in etcd, or beside the index. */
  readonly kv: 'etcd' | 'index-store';
  /** Where samples are kept. */
  readonly store: 'cassandra' | 'dynamodb';
  /** A server of objects, or none: they lie in the database then. */
  readonly objects: 's3' | 'moto' | 'none';
  /** How long each outage lasts; undefined: two or three minutes, shortened as the run is. */
  readonly outageMs: number | undefined;
  /** Time from one fault to the next. */
  readonly faultEveryMs: number;
  /** Kinds of faults; all: every one that the shape can have. */
  readonly faults: readonly string[];
  /** Whether a Prometheus writes, too. */
  readonly prometheus: boolean;
  /** How long any write may be refused. */
  readonly refusalMsMax: number;
  /** Time from one process's failure after which all writes and queries succeed. */
  readonly healMsMax: number;
}

export function readSettings(env: NodeJS.ProcessEnv = process.env): ChaosSettings {
  const shape = choice(env, 'SHAPE', ['cluster', 'all']);
  const store = choice(env, 'STORE', ['cassandra', 'dynamodb']);
  return {
    shape,
    minutes: number(env, 'MINUTES', 15),
    rate: number(env, 'RATE', 50_000),
    seed: number(env, 'SEED', Date.now() % 1_000_000),
    kv: choice(env, 'KV', ['etcd', 'index-store']),
    store,
    objects: choice(env, 'OBJECTS', ['s3', 'moto', 'none']),
    outageMs: env.OUTAGE_MIN ? number(env, 'OUTAGE_MIN', 0) * 60_000 : undefined,
    faultEveryMs: number(env, 'FAULT_EVERY_S', 20) * 1000,
    faults: env.FAULTS?.split(',') ?? [],
    prometheus: env.PROMETHEUS !== 'no',
    refusalMsMax: number(env, 'REFUSAL_S', 60) * 1000,
    healMsMax: number(env, 'HEAL_S', 10) * 1000,
  };
}

/** The first value is the default. `KV=cassandra` is the ring beside the index, in whatever database that is. */
function choice<T extends string>(env: NodeJS.ProcessEnv, name: string, values: readonly T[]): T {
  const text = env[name] || values[0]!;
  const value = name === 'KV' && ['cassandra', 'dynamodb'].includes(text) ? 'index-store' : text;
  if (!values.includes(value as T)) throw new Error(`${name}=${text}: one of ${values.join(', ')} is wanted`);
  return value as T;
}

function number(env: NodeJS.ProcessEnv, name: string, byDefault: number): number {
  const value = Number(env[name] || byDefault);
  if (!(value >= 0)) throw new Error(`${name}=${env[name]}: a number is wanted`);
  return value;
}
