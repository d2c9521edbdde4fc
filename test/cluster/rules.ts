import type { MemberTarget } from '../../src/contract/member.ts';
import type { ReplicaReader } from '../../src/contract/replica.ts';
import type { FlushRunner } from '../../src/ingester/flush/flush-contract.ts';
import type { Disk } from '../../src/ingester/log/disk.ts';
import type { ShardCalls } from '../../src/ingester/shard/shard-messages.ts';
import { type RingKnowledge, type RingSource, RingView } from '../../src/ring/view.ts';

// Rules that a simulation can take out, one at a time, to see that somebody notices. Each is weakened from outside, by what a process
// is put together from: what ships has no switch for it.

export const RULES = {
  'write quorum': 'an owner that is away counts as having kept what it was sent',
  'read quorum': 'a member that is away counts as having nothing',
  'replaying counts not': 'a member answers reads while it replays, with what it has by then',
  'keep what is stored': 'a window leaves memory as soon as the store has it',
  'losses are told': 'a member counts for a time of which its machine lost what was not synced',
  'older versions are asked': 'a reader asks the owners of the newest version only',
  'writers wait for a version to count': 'a writer uses the newest version that it knows',
  'a newer version asks again': 'an answer counts although its member knows a newer version',
  'the store has it before the word': 'a member gives its word, and leaves, with what it owes in memory',
  'each holder owes': 'a holder takes it that the first of them by name writes all',
  'an empty folder is another member': 'a member that lost its folder is the same one',
  'the store is listed after the word': 'lists of rows from before a word are believed',
  'windows are told': 'a sample is acknowledged before its window is known to be open on the disk',
  'lists expire first': 'a querier believes a list of rows for longer than windows stay in memory',
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

/** A reader whose answers count whatever version its member knows. */
export function neverNewer<R extends ReplicaReader>(reader: R): R {
  return {
    ...reader,
    async select(...asked: Parameters<ReplicaReader['select']>) {
      return { ...(await reader.select(...asked)), newer: undefined };
    },
  };
}

/** The ring as one sees it that knows the newest version alone. */
export function newestOnly(ring: RingSource): RingSource {
  return seenAs(ring, (view) => ({ ...partsOf(view), chain: [view.newest], confirmed: view.newest.number }));
}

/** The ring as one sees it for whom each version counts at once. */
export function countedAtOnce(ring: RingSource): RingSource {
  return seenAs(ring, (view) => ({ ...partsOf(view), confirmed: view.newest.number }));
}

function partsOf({ chain, hash, confirmed, words, wordMs }: RingView): RingKnowledge {
  return { chain, hash, confirmed, words, wordMs };
}

function seenAs(ring: RingSource, as: (view: RingView) => RingKnowledge): RingSource {
  let last: { readonly from: RingView; readonly to: RingView } | undefined;
  const seen = (view: RingView) => {
    if (last?.from !== view) last = { from: view, to: new RingView(as(view)) };
    return last.to;
  };
  return {
    current: () => {
      const view = ring.current();
      return view && seen(view);
    },
    onChange: (listener) => ring.onChange((view) => listener(seen(view))),
  };
}

/** A flusher that leaves all that is due to others. */
export function writesNothing(flusher: FlushRunner, shards: readonly ShardCalls[]): FlushRunner {
  return {
    ...flusher,
    readDeletions: (request) => flusher.readDeletions(request),
    readBack: (request, signal) => flusher.readBack(request, signal),
    async flush({ sealBeforeMs }) {
      for (const shard of shards) {
        const sealed = await shard.call('seal', { beforeMs: sealBeforeMs });
        for (const { sealLsn } of sealed) await shard.call('confirmFlushed', { sealLsn });
      }
      return { windows: 0, groups: 0, series: 0, samples: 0, bytes: 0, failures: [], progress: [] };
    },
  };
}

/** A disk that says of everything that it is synced. */
export function neverSynced(disk: Disk): Disk {
  return {
    ...disk,
    append: (file) => {
      const own = disk.append(file);
      return {
        get bytes() {
          return own.bytes;
        },
        write: (part) => own.write(part),
        truncate: (bytes) => own.truncate(bytes),
        sync: async () => {},
        close: () => own.close(),
      };
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
