import xxhash from 'xxhash-wasm';
import { labelParts, metricOf } from '../chunk/group/series.ts';
import { ByteReader, BytesError, ByteWriter } from '../lib/bytes.ts';
import { type SeriesShard, shardTouches } from '../model/series-shard.ts';
import type { SlotSizes } from '../model/slot-sizes.ts';
import { openRow, putText, sealRow, takeText } from './row-value.ts';

const { h64Raw } = await xxhash();

/** How a tenant's series were spread over slots for a while. */
export interface Placement extends SlotSizes {
  /** When it began to hold, in Unix ms; of several of a day all may have been written by. */
  readonly version: number;
}

export const PLACEMENT_DEFAULT: Placement = { version: 0, buckets: 1, splits: new Map() };

/** A slot's bytes: what of a tenant's series sits together, as the end of a group row's hash key. */
export type Slot = Uint8Array;

const SLOT_BUCKET = 0;
const SLOT_PART = 1;

export function bucketSlot(buckets: number, bucket: number): Slot {
  const out = new ByteWriter();
  out.u8(SLOT_BUCKET);
  out.uvarint(buckets);
  out.uvarint(bucket);
  return out.done();
}

/** A part of a metric that is split. */
export function partSlot(metric: string, parts: number, part: number): Slot {
  const out = new ByteWriter();
  out.u8(SLOT_PART);
  out.uvarint(parts);
  out.uvarint(part);
  // XXH64 rather than the name keeps keys short; two metrics in one slot do no harm
  out.bytes(hashBytes(Buffer.from(metric)));
  return out.done();
}

/** A slot's parts. @throws BytesError */
export type SlotParts =
  | { readonly kind: 'bucket'; readonly count: number; readonly index: number }
  /** `metricHash`: the low half of XXH64 of the metric's name. */
  | { readonly kind: 'part'; readonly count: number; readonly index: number; readonly metricHash: number };

export function slotParts(slot: Slot): SlotParts {
  const from = new ByteReader(slot);
  const kind = from.u8();
  const count = from.uvarint(SLOTS_MAX);
  const index = from.uvarint(count);
  if (kind === SLOT_BUCKET) return { kind: 'bucket', count, index };
  const hash = from.take(8);
  const view = new DataView(hash.buffer, hash.byteOffset, hash.length);
  return { kind: 'part', count, index, metricHash: view.getUint32(4) };
}

function hashBytes(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, h64Raw(bytes, 0n));
  return out;
}

/** XXH64, seed 0, modulo. */
function bucketOf(bytes: Uint8Array, count: number): number {
  return count === 1 ? 0 : Number(h64Raw(bytes, 0n) % BigInt(count));
}

/** The slot of the series with these canonical label bytes. */
export function slotOf(placement: Placement, labels: Uint8Array): Slot {
  const metric = Buffer.from(metricOf(labelParts(labels)), 'latin1');
  if (placement.splits.size > 0) {
    const name = metric.toString();
    const parts = placement.splits.get(name);
    if (parts !== undefined) return partSlot(name, parts, bucketOf(labels, parts));
  }
  return bucketSlot(placement.buckets, bucketOf(metric, placement.buckets));
}

/** All slots that series of a metric may be in: of a shard where one is given. */
export function slotsOfMetric(placement: Placement, metric: string, shard?: SeriesShard): Slot[] {
  const parts = placement.splits.get(metric);
  if (parts === undefined) return [bucketSlot(placement.buckets, bucketOf(Buffer.from(metric), placement.buckets))];
  const slots: Slot[] = [];
  for (let part = 0; part < parts; part++) {
    if (shard === undefined || shardTouches(shard, part, parts)) slots.push(partSlot(metric, parts, part));
  }
  return slots;
}

/** Slots that a metric has for itself: shards, up to as many, look at other ones each (`shardTouches`). 1: it shares one with others. */
export function ownSlots({ splits }: Placement, metric: string): number {
  const parts = splits.get(metric) ?? 1;
  // placements of other versions may have other numbers of parts, which all shards look at
  return (parts & (parts - 1)) === 0 ? parts : 1;
}

/** Every slot there is: of a shard where one is given. */
export function allSlots(placement: Placement, shard?: SeriesShard): Slot[] {
  const slots = Array.from({ length: placement.buckets }, (_, bucket) => bucketSlot(placement.buckets, bucket));
  for (const metric of placement.splits.keys()) slots.push(...slotsOfMetric(placement, metric, shard));
  return slots;
}

/** When in the time that a window's flush takes a slot has its turn, from 0 to below 1: other slots, other times. */
export function slotPhase(tenant: string, slot: Slot): number {
  return Number(h64Raw(Buffer.concat([Buffer.from(tenant), slot]), 0n) >> 11n) / 2 ** 53;
}

const ROW_VERSION = 1;
const SLOTS_MAX = 65536;

export function encodePlacement(placement: Placement): Uint8Array {
  const out = new ByteWriter();
  out.uvarint(placement.version);
  out.uvarint(placement.buckets);
  out.uvarint(placement.splits.size);
  for (const [metric, parts] of [...placement.splits].sort(([a], [b]) => (a < b ? -1 : 1))) {
    putText(out, metric);
    out.uvarint(parts);
  }
  return sealRow(ROW_VERSION, out.done());
}

/** @throws BytesError */
export function decodePlacement(bytes: Uint8Array): Placement {
  const from = openRow(ROW_VERSION, bytes);
  const version = from.uvarint();
  const buckets = from.uvarint(SLOTS_MAX);
  if (buckets === 0) throw new BytesError('no buckets');
  const splits = new Map<string, number>();
  for (let left = from.count(2); left > 0; left--) {
    const metric = takeText(from);
    const parts = from.uvarint(SLOTS_MAX);
    if (parts === 0) throw new BytesError('no parts');
    splits.set(metric, parts);
  }
  from.end();
  return { version, buckets, splits };
}
