import type { MemberTarget } from '../../src/contract/member.ts';
import type { ReplicaReader } from '../../src/contract/replica.ts';

// Rules that a simulation can take out, one at a time, to see that somebody notices. Each is weakened from outside, by what a process
// is put together from: what ships has no switch for it.

export const RULES = {
  'write quorum': 'an owner that is away counts as having kept what it was sent',
  'read quorum': 'a member that is away counts as having nothing',
  'replaying counts not': 'a member answers reads while it replays, with what it has by then',
  'keep what is stored': 'a window leaves memory as soon as the store has it',
  'losses are told': 'a member counts for a time of which its machine lost what was not synced',
} as const;

export type Rule = keyof typeof RULES;

/** A target that never says it is away. */
export function neverAway(target: MemberTarget): MemberTarget {
  return {
    push: (request) =>
      target.push(request).catch(() => ({ exemplarsLost: 0, unknown: [], keysTaken: false, tenantSeries: 0 })),
    setMetadata: (request) => target.setMetadata(request).catch(() => ({ refused: {} })),
  };
}

/** A reader that has nothing where it cannot be reached. */
export function emptyWhenAway<R extends ReplicaReader>(reader: R): R {
  return {
    ...reader,
    async select(...asked: Parameters<ReplicaReader['select']>) {
      try {
        const answer = await reader.select(...asked);
        return { ...answer, value: untilItFails(answer.value) };
      } catch {
        return { losses: [], value: untilItFails(none()) };
      }
    },
  };
}

async function* none(): AsyncGenerator<Uint8Array> {}

async function* untilItFails(slices: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* slices;
  } catch {
    // what came before is all
  }
}
