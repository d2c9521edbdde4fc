import type { SlotSizes } from '../../src/model/slot-sizes.ts';
import { ringOf } from '../../src/ring/test-ring.ts';
import { encodeVersion, hashOfVersion, type Member } from '../../src/ring/version.ts';
import { type RingSource, RingView } from '../../src/ring/view.ts';

/** Arcs of a simulated ring: few, so that its versions are small. */
export const ARCS = 64;

export function memberOf(name: string, zone: string): Member {
  return { id: `${name}-0`, zone, address: name, state: 'active' };
}

/** A ring that never changes, which every process knows when it starts. */
export function fixedRing(
  members: readonly Member[],
  replicas: number,
  tenants: ReadonlyMap<string, SlotSizes> = new Map(),
): RingSource {
  const version = { ...ringOf(members, ARCS, replicas), tenants };
  const hash = hashOfVersion(encodeVersion(version));

  const view = new RingView({ chain: [version], hash, confirmed: 1, words: new Map(), wordMs: 0 });
  return { current: () => view, onChange: () => () => {} };
}
