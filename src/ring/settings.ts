import { ringErrors } from '../model/errors-ring.ts';

// Settings that all processes of a cluster must have alike. They are kept with the ring, by whoever comes first (docs/formats/ring.md).

export const SETTINGS_KEY = 'ring/settings';
/** Bytes of the key that series are told apart by in heads and edges. */
export const SERIES_KEY_BYTES = 16;

/** A period of the store, as far as all must agree on it. */
export interface PeriodSettings {
  /** Start of its first day, Unix ms; null: since ever. */
  readonly fromMs: number | null;
  /** Where it keeps what, as text. */
  readonly place: string;
}

export interface ClusterSettings {
  readonly windowMs: number;
  readonly replicas: number;
  readonly arcs: number;
  readonly keepFlushedMs: number;
  readonly splitMetricSeries: number;
  /** Ascending. */
  readonly periods: readonly PeriodSettings[];
}

/** Settings as they are kept. */
export interface KeptSettings extends ClusterSettings {
  /** The key of series' keys, as hexadecimal digits: drawn by whoever comes first. */
  readonly seriesKey: string;
  /** When it was drawn, Unix ms: of two that were, the earlier one is the cluster's, unless more processes know the other. Absent: before that was noted. */
  readonly drawnMs?: number;
}

/** Whether the key of series of `a` was drawn before that of `b`, which has another one; false where that cannot be told. */
export function isEarlier(a: KeptSettings, b: KeptSettings): boolean {
  if (a.drawnMs === undefined || b.drawnMs === undefined || a.seriesKey === b.seriesKey) return false;
  return a.drawnMs === b.drawnMs ? a.seriesKey < b.seriesKey : a.drawnMs < b.drawnMs;
}

/** Names that operators know the settings by. */
const FLAGS = {
  windowMs: '-ingester.window',
  replicas: '-distributor.replication-factor',
  arcs: '-ring.arcs',
  keepFlushedMs: '-ingester.keep-flushed',
  splitMetricSeries: '-ingester.split-metric-series',
} as const;

export function encodeSettings(settings: KeptSettings): Uint8Array {
  return Buffer.from(JSON.stringify(settings));
}

/** @returns undefined where it is none: whoever reads it puts its own there */
export function decodeSettings(bytes: Uint8Array): KeptSettings | undefined {
  try {
    const read = JSON.parse(Buffer.from(bytes).toString()) as Partial<KeptSettings> | null;
    const numbers = Object.keys(FLAGS).map((name) => read?.[name as keyof typeof FLAGS]);
    if (!numbers.every((each) => Number.isSafeInteger(each))) return undefined;
    if (!Array.isArray(read?.periods) || !read.periods.every(isPeriod)) return undefined;
    if (!new RegExp(`^[0-9a-f]{${2 * SERIES_KEY_BYTES}}$`).test(String(read.seriesKey))) return undefined;
    if (read.drawnMs !== undefined && !Number.isSafeInteger(read.drawnMs)) return undefined;
    return read as KeptSettings;
  } catch {
    return undefined;
  }
}

function isPeriod(value: unknown): value is PeriodSettings {
  const { fromMs, place } = (value ?? {}) as Partial<PeriodSettings>;
  return (fromMs === null || Number.isSafeInteger(fromMs)) && typeof place === 'string';
}

/** How a process' own settings stand to those of its cluster. */
export interface SettingsVerdict {
  /** Differences, as text; empty: none. */
  readonly differences: readonly string[];
  /** Periods that are to come and that the cluster does not know yet. */
  readonly isAhead: boolean;
}

/** Periods that begin later may be unknown to either side until then: processes are told of them one after the other. */
export function judgeSettings(own: ClusterSettings, cluster: ClusterSettings, nowMs: number): SettingsVerdict {
  const differences = Object.entries(FLAGS).flatMap(([name, flag]) => {
    const [here, there] = [own, cluster].map((each) => each[name as keyof typeof FLAGS]);
    return here === there ? [] : [`${flag} is ${here} here and ${there} in the cluster`];
  });
  const [here, there] = [own, cluster].map(
    ({ periods }) => new Map(periods.map(({ fromMs, place }) => [fromMs ?? Number.NEGATIVE_INFINITY, place])),
  ) as [Map<number, string>, Map<number, string>];
  let isAhead = false;
  for (const fromMs of [...new Set([...here.keys(), ...there.keys()])].sort((a, b) => a - b)) {
    const [mine, theirs] = [here.get(fromMs), there.get(fromMs)];
    if (mine === theirs) continue;
    if (fromMs > nowMs && (mine === undefined || theirs === undefined)) {
      isAhead ||= theirs === undefined;
      continue;
    }
    const from = fromMs === Number.NEGATIVE_INFINITY ? 'first' : `from ${new Date(fromMs).toISOString().slice(0, 10)}`;
    differences.push(
      `the period of -schema ${from} is ${mine ?? 'missing'} here and ${theirs ?? 'missing'} in the cluster`,
    );
  }
  return { differences, isAhead };
}

/** @throws errors.ringSettingsDiffer */
export function checkSettings(own: ClusterSettings, cluster: ClusterSettings, nowMs: number): void {
  const { differences } = judgeSettings(own, cluster, nowMs);
  if (differences.length > 0) throw ringErrors.ringSettingsDiffer({ differences });
}
