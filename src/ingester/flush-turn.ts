import { type Slot, slotParts, slotPhase } from '../chunkstore/placement.ts';
import type { SlotSizes } from '../model/slot-sizes.ts';
import { arcOfBucket, arcOfPart } from '../ring/slots.ts';
import { NO_OWNER } from '../ring/version.ts';
import type { RingView } from '../ring/view.ts';

// When a member looks whether the store has what its slots hold: the order of an arc's owners sets how long each waits, nothing else.

/** How much later each owner of an arc looks than the one before it. */
export const TURN_WAIT_MS = 600_000;

/** A member's turns as the ring has them at a moment. Plain data. */
export interface FlushTurns {
  /** By arc: owners that look before this member. Who owns an arc no more looks as late as its last owner. */
  readonly orders: Uint8Array;
  /** Largest of all orders that there can be: RF − 1. */
  readonly orderMax: number;
  /** Tenants that have more than one slot. */
  readonly sizes: ReadonlyMap<string, SlotSizes>;
}

/** By the version that writers use; while none counts yet, by the newest. */
export function turnsOf(view: RingView, member: string): FlushTurns {
  const { arcs, replicas, members, owners, tenants } = view.confirmed === 0 ? view.newest : view.writing;
  const own = members.findIndex(({ id }) => id === member);
  const orderMax = replicas - 1;
  const orders = new Uint8Array(arcs).fill(orderMax);
  for (let arc = 0; arc < arcs; arc++) {
    for (let order = 0; order < replicas; order++) {
      const owner = owners[arc * replicas + order]!;
      if (owner !== NO_OWNER && owner === own) orders[arc] = order;
    }
  }
  return { orders, orderMax, sizes: tenants };
}

/** How the time that a window's flush takes is spread over its slots. */
export interface FlushSpread {
  /** From the first slots of an owner to its last. */
  readonly spreadMs: number;
  /** From an owner to the one after it. */
  readonly waitMs: number;
  /** Absent: this process is the only one, nobody waits. */
  readonly turns: Pick<FlushTurns, 'orders' | 'orderMax'> | undefined;
}

/** Time from a window's first slots to its last. */
export function spanOf({ spreadMs, waitMs, turns }: FlushSpread): number {
  return spreadMs + waitMs * (turns?.orderMax ?? 0);
}

/** When within that time a slot has its turn, from 0 to below 1. */
export function slotTurn(spread: FlushSpread, tenant: string, slot: Slot): number {
  const phase = slotPhase(tenant, slot);
  const { spreadMs, waitMs, turns } = spread;
  const spanMs = spanOf(spread);
  if (turns === undefined || spanMs === 0) return phase;
  // below 1 also where all that there is is waiting
  const share = (phase * spreadMs + orderOf(turns, tenant, slot) * waitMs) / spanMs;
  return Math.min(share, LAST_TURN);
}

const LAST_TURN = 1 - 2 ** -32;

function orderOf({ orders }: Pick<FlushTurns, 'orders'>, tenant: string, slot: Slot): number {
  const parts = slotParts(slot);
  const arc =
    parts.kind === 'bucket'
      ? arcOfBucket(orders.length, tenant, parts.index, parts.count)
      : arcOfPart(orders.length, tenant, parts.metricHash, parts.index, parts.count);
  return orders[arc]!;
}
