import { isEqualBytes } from '../../chunk/equal-bytes.ts';
import { addDigest, DIGEST_BYTES } from '../../chunk/group/digest.ts';
import type { GroupTally, StoredSamples } from '../../chunkstore/stored-samples.ts';
import type { Channel } from '../../kit/thread/channel.ts';
import { forEachAtOnce } from '../../lib/semaphore.ts';
import type { HeldDigest } from '../head/held-digests.ts';
import type { ShardExport, ShardRole } from '../shard/shard-messages.ts';

// Slots of which another holder has written all: they are told by digests, so that nothing of them is taken out of the head or encoded.

const READS_AT_ONCE = 8;

/** Samples of less than one of so many of the tenant's series are taken out of the head at once: asking would cost more. */
const FEW_OF = 16;

/**
 * Slots of an export that the store may lack samples of, in hex; undefined: all of them. Who is first finds no groups and asks the shard for
 * no digests.
 * @param tenantSeries in the shard
 */
export async function owedSlots(
  shard: Channel<ShardRole>,
  request: ShardExport,
  stored: StoredSamples,
  windowStartMs: number,
  tenantSeries: number,
): Promise<ReadonlySet<string> | undefined> {
  const { tenant } = request;
  const { slots, series } = await shard.call('slots', request);
  if (series * FEW_OF < tenantSeries) return undefined;
  const groups = new Map<string, readonly GroupTally[]>();
  await forEachAtOnce([...slots], READS_AT_ONCE, async (slot) => {
    const found = await stored.tallies(tenant, Buffer.from(slot, 'hex'), windowStartMs);
    if (found.length > 0) groups.set(slot, found);
  });
  if (groups.size === 0) return undefined;
  const owed = new Set(slots);
  for (const held of await shard.call('digests', { ...request, only: new Set(groups.keys()) })) {
    if (haveAll(groups.get(held.slot) ?? [], held)) owed.delete(held.slot);
  }
  return owed.size === slots.size ? undefined : owed;
}

/** Whether groups have the samples that are held, and no others: one of them, or all together, as a slot that is large has several. */
function haveAll(groups: readonly GroupTally[], held: HeldDigest): boolean {
  if (groups.some((group) => isEqual(group, held))) return true;
  const all = { digest: new Uint8Array(DIGEST_BYTES), samples: 0 };
  for (const { digest, samples } of groups) {
    addDigest(all.digest, digest);
    all.samples += samples;
  }
  return isEqual(all, held);
}

function isEqual(a: GroupTally, b: GroupTally): boolean {
  return a.samples === b.samples && isEqualBytes(a.digest, 0, b.digest, 0, DIGEST_BYTES);
}
