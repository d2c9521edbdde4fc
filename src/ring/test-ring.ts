import { type Change, changed, firstOwners, type NextVersion } from './placement.ts';
import { metricHashOf, nextSizes, RingSlots } from './slots.ts';
import { encodeVersion, hashOfVersion, type Member, type RingVersion } from './version.ts';
import { RingView } from './view.ts';

// Rings for tests and benches.

export const CLUSTER = '00112233445566778899aabbccddeeff';

export function memberOf(number: number, zones: number): Member {
  const zone = zones === 0 ? '' : `zone-${String.fromCharCode(97 + (number % zones))}`;
  const id = `ingester-${String(number).padStart(4, '0')}-1f2e3d4c5b6a`;
  return { id, zone, address: `10.1.${number >> 8}.${number & 255}:9095`, state: 'active' };
}

export function membersOf(count: number, zones: number): Member[] {
  return Array.from({ length: count }, (_, number) => memberOf(number, zones));
}

export function firstVersion(next: NextVersion, arcs: number, replicas: number): RingVersion {
  return { cluster: CLUSTER, number: 1, parent: undefined, floor: 1, replicas, arcs, tenants: new Map(), ...next };
}

export function ringOf(members: readonly Member[], arcs: number, replicas: number): RingVersion {
  return firstVersion(firstOwners(members, arcs, replicas), arcs, replicas);
}

export function childOf(parent: RingVersion, next: Partial<RingVersion>): RingVersion {
  return {
    ...parent,
    givenUp: [],
    givenUpMs: 0,
    number: parent.number + 1,
    parent: hashOfVersion(encodeVersion(parent)),
    ...next,
  };
}

/** The version after a confirmed one. */
export function after(version: RingVersion, change: Change, force = false): RingVersion {
  return childOf(version, changed(change, { since: [version], force }));
}

/** A ring that all of its members know and have confirmed. */
export function viewOf(version: RingVersion): RingView {
  return new RingView({
    chain: [version],
    hash: hashOfVersion(encodeVersion(version)),
    confirmed: version.number,
    words: new Map(),
    wordMs: 0,
  });
}

/** Grown one by one from RF members, each join confirmed before the next. */
export function grownRing(count: number, zones: number, arcs: number, replicas: number): RingVersion {
  let version = ringOf(membersOf(replicas, zones), arcs, replicas);
  for (let n = replicas; n < count; n++) version = after(version, { kind: 'join', member: memberOf(n, zones) });
  return version;
}

/** Series by metric of one node_exporter, as `bench/workload.mjs` has them: half of all are of one. */
const NODE_METRICS = [
  440,
  40,
  40,
  16,
  ...Array(19).fill(4),
  ...Array(15).fill(3),
  ...Array(30).fill(2),
  ...Array(168).fill(1),
];

/** A tenant's series by metric, in those shares. */
export function metricsOf(series: number): Map<string, number> {
  const total = NODE_METRICS.reduce((a, b) => a + b);
  return new Map(NODE_METRICS.map((share, i) => [`node_metric_${i}_total`, (share * series) / total]));
}

/** Adds a tenant's series to the loads of the members that hold them. */
export function addSeries(
  version: RingVersion,
  slots: RingSlots,
  tenant: string,
  series: number,
  to: Float64Array,
): void {
  const owners = new Uint16Array(version.replicas);
  const add = (arc: number, count: number) => {
    const found = slots.owners(arc, owners);
    for (let i = 0; i < found; i++) to[owners[i]!]! += count;
  };
  const sizes = version.tenants.get(tenant);
  for (const [metric, count] of sizes === undefined ? [['', series] as const] : metricsOf(series)) {
    const hash = metricHashOf(metric);
    const parts = sizes?.splits.get(metric) ?? 1;
    for (let part = 0; part < parts; part++) add(slots.arcOf(tenant, hash, part), count / parts);
  }
}

/** How far the member with most series is above the mean, in parts of it, where there is one tenant only. */
export function imbalanceOf(ring: RingVersion, tenant: string, series: number): number {
  const sizes = nextSizes(undefined, { series, metrics: metricsOf(series) });
  const version = sizes === undefined ? ring : { ...ring, tenants: new Map([[tenant, sizes]]) };
  const loads = new Float64Array(version.members.length);
  addSeries(version, new RingSlots(version), tenant, series, loads);
  return aboveMean(loads);
}

export function aboveMean(loads: Float64Array): number {
  return (Math.max(...loads) * loads.length) / loads.reduce((a, b) => a + b) - 1;
}
