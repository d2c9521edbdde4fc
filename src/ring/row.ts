import type { TenantSize } from '../model/slot-sizes.ts';

// Keys of the ring in the key-value store, and the small values under them (docs/formats/ring.md). All are JSON, except versions.

export const RING_PREFIX = 'ring/';
export const NEWEST_KEY = 'ring/newest';
const MEMBER_PREFIX = 'ring/member/';
const SIZES_PREFIX = 'ring/sizes/';

export const versionKey = (hash: string) => `ring/version/${hash}`;
export const rowKey = (id: string) => `${MEMBER_PREFIX}${id}`;
export const sizesKey = (id: string) => `${SIZES_PREFIX}${id}`;
export const secretKey = (cluster: string) => `ring/secret/${cluster}`;

/** A member's row: written by that member alone, by compare-and-set. */
export interface MemberRow {
  readonly id: string;
  readonly zone: string;
  readonly address: string;
  /** A number of its own for each start of the process: no two writers write equal rows. */
  readonly boot: string;
  /** Heartbeats: it rises with each write, restarts included. */
  readonly beat: number;
  /** Its wish to the others: to own arcs, to own none, to be no member any more. */
  readonly wants: 'join' | 'nothing' | 'drain' | 'leave';
  /** Whether its log is read, and the store has what it still had of windows that lost something. */
  readonly complete: boolean;
  /** Whether it knows of losses for good: others cannot rely on it alone. */
  readonly lost: boolean;
  /** The store lost what was written to it, and it is not sure yet that no newer version was lost with it. */
  readonly settling: boolean;
  /** Newest version that it confirmed; 0 and empty: none. */
  readonly version: number;
  readonly hash: string;
  /** Newest version that it knows to count: whoever starts need not find out from the rows of all, of which some may be lost. */
  readonly counts: number;
  /** Version up to which the store has all that it held. */
  readonly word: number;
}

export interface NewestRow {
  readonly number: number;
  readonly hash: string;
}

/** Metrics that a member reports of a tenant: those that may be split soon. */
export const SIZE_METRICS_MAX = 256;

export function encodeRow(row: MemberRow | NewestRow): Uint8Array {
  return Buffer.from(JSON.stringify(row));
}

type Beat = Pick<MemberRow, 'beat' | 'boot'>;

/** The heartbeat where there is no row: older than any. */
export const NO_BEAT: Beat = { beat: -1, boot: '' };

/** A row's heartbeat, and whose it is; `NO_BEAT` where the bytes are no row. */
export function beatOf(bytes: Uint8Array): Beat {
  const { beat, boot } = (parsed(bytes) ?? {}) as Partial<MemberRow>;
  return Number.isSafeInteger(beat) && typeof boot === 'string' ? { beat: beat!, boot } : NO_BEAT;
}

const ID_CHARS_MAX = 256;

/** A row that its member hands over by itself. @returns undefined where it is none */
export function decodeHandedRow(bytes: Uint8Array): MemberRow | undefined {
  const { id } = (parsed(bytes) ?? {}) as Partial<MemberRow>;
  return typeof id === 'string' && id.length <= ID_CHARS_MAX ? decodeRow(rowKey(id), bytes) : undefined;
}

/** @returns undefined where it is no row: whoever reads it goes on without */
export function decodeRow(key: string, bytes: Uint8Array): MemberRow | undefined {
  const row = parsed(bytes) as Partial<MemberRow> | undefined;
  if (row === undefined || key !== rowKey(String(row.id))) return undefined;
  const counts = [row.beat, row.version, row.counts, row.word];
  const texts = [row.zone, row.address, row.boot, row.hash];
  const flags = [row.complete, row.lost, row.settling];
  if (!counts.every((each) => Number.isSafeInteger(each) && each! >= 0)) return undefined;
  if (!texts.every((each) => typeof each === 'string' && each.length <= 256)) return undefined;
  if (!flags.every((each) => typeof each === 'boolean')) return undefined;
  if (!['join', 'nothing', 'drain', 'leave'].includes(String(row.wants))) return undefined;
  return row as MemberRow;
}

export function decodeNewest(bytes: Uint8Array): NewestRow | undefined {
  const row = parsed(bytes) as Partial<NewestRow> | undefined;
  if (!Number.isSafeInteger(row?.number) || !/^[0-9a-f]{64}$/.test(String(row?.hash))) return undefined;
  return row as NewestRow;
}

/** Series that members hold, by tenant. */
export type Sizes = ReadonlyMap<string, TenantSize>;

export function encodeSizes(sizes: Sizes): Uint8Array {
  return Buffer.from(JSON.stringify([...sizes].map(([tenant, { series, metrics }]) => [tenant, series, [...metrics]])));
}

export function decodeSizes(bytes: Uint8Array): Sizes {
  const sizes = new Map<string, TenantSize>();
  const rows = parsed(bytes);
  if (!Array.isArray(rows)) return sizes;
  for (const row of rows) {
    if (!Array.isArray(row)) continue;
    const [tenant, series, metrics] = row;
    if (typeof tenant !== 'string' || !isCount(series) || !Array.isArray(metrics)) continue;
    const entries = metrics.filter((each) => Array.isArray(each) && typeof each[0] === 'string' && isCount(each[1]));
    sizes.set(tenant, { series, metrics: new Map(entries.slice(0, SIZE_METRICS_MAX)) });
  }
  return sizes;
}

export const isRowKey = (key: string) => key.startsWith(MEMBER_PREFIX);
export const isSizesKey = (key: string) => key.startsWith(SIZES_PREFIX);
export const idOfSizesKey = (key: string) => key.slice(SIZES_PREFIX.length);

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function parsed(bytes: Uint8Array): unknown {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString());
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
