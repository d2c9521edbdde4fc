import type { FrameLimits, MetadataLimits } from '../contract/ingest.ts';
import type { HeadExemplarRequest, HeadLabels, HeadMatcher, HeadSelect } from '../contract/ingester.ts';
import type { RingStamp } from '../contract/ring-stamp.ts';
import type { MatchOp } from '../model/matcher.ts';
import type { MetricMetadata } from '../model/metric-metadata.ts';
import { isPlanData } from '../model/regex/plan-check.ts';
import { isSeriesShard, type SeriesShard } from '../model/series-shard.ts';
import { checkTenant } from '../model/tenant.ts';
import type { HeldSummary, KnownVersion } from '../ring/meeting.ts';
import { HANDED_VERSIONS_MAX } from '../ring/meeting.ts';
import { type MemberPlace, PLACES_MAX } from '../ring/places.ts';
import {
  boolOf,
  bytesOf,
  countOf,
  type Fields,
  fieldsOf,
  listOf,
  numberOf,
  optional,
  textOf,
  wrongShape,
} from './shapes.ts';

// Requests of the contracts between members, read from what came over the wire.

const HASH_CHARS_MAX = 64;
/** Longest row of a member: texts in it have at most 256 characters each. */
const ROW_BYTES_MAX = 16 * 1024;
/** Longest id and address of a member, and longest name of places. */
const PLACE_CHARS_MAX = 256;
const NAME_CHARS_MAX = 64 * 1024;
/** Longest text of a matcher. */
const VALUE_CHARS_MAX = 4 * 1024 * 1024;
const MATCHERS_MAX = 10_000;
const METADATA_MAX = 100_000;
const OPS: readonly MatchOp[] = ['=', '!=', '=~', '!~'];

export function tenantOf(value: unknown): string {
  return checkTenant(textOf(value, 'tenant', NAME_CHARS_MAX));
}

export function stampOf(value: unknown): RingStamp {
  const { number, hash } = fieldsOf(value, 'version');
  return { number: countOf(number, 'version.number'), hash: textOf(hash, 'version.hash', HASH_CHARS_MAX) };
}

/** An absent field stays absent: `exactOptionalPropertyTypes` tells it from undefined. */
function maybe<N extends string, T>(name: N, value: unknown, read: (value: unknown) => T): { readonly [K in N]?: T } {
  return (value === undefined ? {} : { [name]: read(value) }) as { readonly [K in N]?: T };
}

export function frameLimitsOf(value: unknown): FrameLimits {
  const limits = fieldsOf(value, 'limits');
  const count = (name: string) => countOf(limits[name], `limits.${name}`);
  return {
    seriesPerUserMax: count('seriesPerUserMax'),
    ...maybe('seriesElsewhere', limits.seriesElsewhere, () => count('seriesElsewhere')),
    seriesPerMetricMax: count('seriesPerMetricMax'),
    outOfOrderMs: count('outOfOrderMs'),
    exemplarsMax: count('exemplarsMax'),
    ...maybe('oldWindowsMax', limits.oldWindowsMax, () => count('oldWindowsMax')),
  };
}

export function metadataLimitsOf(value: unknown): MetadataLimits {
  const { metricsMax, perMetricMax } = fieldsOf(value, 'limits');
  return { metricsMax: countOf(metricsMax, 'metricsMax'), perMetricMax: countOf(perMetricMax, 'perMetricMax') };
}

export function metadataOf(value: unknown): readonly MetricMetadata[] {
  return listOf(value, 'metadata', METADATA_MAX, (each) => {
    const { metric, type, help, unit } = fieldsOf(each, 'metadata');
    return {
      metric: textOf(metric, 'metric', NAME_CHARS_MAX),
      type: textOf(type, 'type', NAME_CHARS_MAX),
      help: textOf(help, 'help', VALUE_CHARS_MAX),
      unit: textOf(unit, 'unit', NAME_CHARS_MAX),
    };
  });
}

function matcherOf(value: unknown): HeadMatcher {
  const { name, op, value: text, plan } = fieldsOf(value, 'matcher');
  if (!OPS.includes(op as MatchOp)) throw wrongShape('matcher.op');
  if (plan !== undefined && !isPlanData(plan)) throw wrongShape('matcher.plan');
  return {
    name: textOf(name, 'matcher.name', NAME_CHARS_MAX),
    op: op as MatchOp,
    value: textOf(text, 'matcher.value', VALUE_CHARS_MAX),
    ...(plan !== undefined && { plan }),
  };
}

function matchersOf(value: unknown): readonly HeadMatcher[] {
  return listOf(value, 'matchers', MATCHERS_MAX, matcherOf);
}

function rangeOf({ startMs, endMs }: Fields): { readonly startMs: number; readonly endMs: number } {
  return { startMs: numberOf(startMs, 'startMs'), endMs: numberOf(endMs, 'endMs') };
}

function shardOf(value: unknown): SeriesShard {
  const { index, count } = fieldsOf(value, 'shard');
  const shard = { index: countOf(index, 'shard.index'), count: countOf(count, 'shard.count') };
  if (!isSeriesShard(shard)) throw wrongShape('shard');
  return shard;
}

export function selectOf(value: unknown): HeadSelect {
  const request = fieldsOf(value, 'request');
  return {
    tenant: tenantOf(request.tenant),
    matchers: matchersOf(request.matchers),
    ...rangeOf(request),
    labelsOnly: boolOf(request.labelsOnly, 'labelsOnly'),
    ...maybe('packed', request.packed, (value) => boolOf(value, 'packed')),
    shard: optional(request.shard, shardOf),
  };
}

export function labelsOf(value: unknown): HeadLabels {
  const request = fieldsOf(value, 'request');
  return {
    tenant: tenantOf(request.tenant),
    matchers: listOf(request.matchers, 'matchers', MATCHERS_MAX, matchersOf),
    ...maybe('name', request.name, (name) => textOf(name, 'name', NAME_CHARS_MAX)),
    ...rangeOf(request),
  };
}

export function exemplarsOf(value: unknown): HeadExemplarRequest {
  const request = fieldsOf(value, 'request');
  return {
    tenant: tenantOf(request.tenant),
    matchers: listOf(request.matchers, 'matchers', MATCHERS_MAX, matchersOf),
    ...rangeOf(request),
  };
}

export function statsOf(value: unknown): { readonly tenant: string; readonly limit: number } {
  const { tenant, limit } = fieldsOf(value, 'request');
  return { tenant: tenantOf(tenant), limit: countOf(limit, 'limit') };
}

function rowOf(value: unknown): Uint8Array {
  const bytes = bytesOf(value, 'ring.row');
  if (bytes.length > ROW_BYTES_MAX) throw wrongShape('ring.row');
  return bytes;
}

function heldOf(value: unknown): HeldSummary {
  const { series, samplesOwed, windowsOwed, oldestOwedMs } = fieldsOf(value, 'ring.holds');
  return {
    series: countOf(series, 'ring.holds.series'),
    ...(samplesOwed !== undefined && { samplesOwed: countOf(samplesOwed, 'ring.holds.samplesOwed') }),
    windowsOwed: countOf(windowsOwed, 'ring.holds.windowsOwed'),
    oldestOwedMs: numberOf(oldestOwedMs, 'ring.holds.oldestOwedMs'),
  };
}

function placeOf(value: unknown): MemberPlace {
  const { id, address, beat } = fieldsOf(value, 'ring.places');
  return {
    id: textOf(id, 'ring.places.id', PLACE_CHARS_MAX),
    address: textOf(address, 'ring.places.address', PLACE_CHARS_MAX),
    beat: countOf(beat, 'ring.places.beat'),
  };
}

export function knownVersionOf(value: unknown): KnownVersion {
  const { number, hash, floor, confirmed, documents, row, holds, places, placesName } = fieldsOf(value, 'ring');
  return {
    number: countOf(number, 'ring.number'),
    hash: textOf(hash, 'ring.hash', HASH_CHARS_MAX),
    floor: countOf(floor, 'ring.floor'),
    confirmed: countOf(confirmed, 'ring.confirmed'),
    documents: listOf(documents, 'ring.documents', HANDED_VERSIONS_MAX, (each) => bytesOf(each, 'ring.documents')),
    ...maybe('row', row, (bytes) => rowOf(bytes)),
    ...maybe('holds', holds, (summary) => heldOf(summary)),
    ...maybe('places', places, (list) => listOf(list, 'ring.places', PLACES_MAX, placeOf)),
    ...maybe('placesName', placesName, (name) => textOf(name, 'ring.placesName', PLACE_CHARS_MAX)),
  };
}
