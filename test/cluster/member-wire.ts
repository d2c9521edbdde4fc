import type {
  HeadExemplarRequest,
  HeadExemplars,
  HeadLabels,
  HeadSelect,
  HeadTenantStats,
} from '../../src/contract/ingester.ts';
import type {
  MemberAnswer,
  MemberMetadata,
  MemberMetadataAnswer,
  MemberPush,
  MemberTarget,
} from '../../src/contract/member.ts';
import type { ReplicaAnswer, ReplicaReader } from '../../src/contract/replica.ts';
import type { RingStamp } from '../../src/contract/ring-stamp.ts';
import type { CallContext } from '../../src/kit/thread/channel.ts';
import type { MetricMetadata } from '../../src/model/metric-metadata.ts';
import type { RemoteRole } from './network.ts';

// An ingester's contracts over a network: calls, and slices of series one by one.

interface Asked<T> {
  readonly request: T;
  readonly version: RingStamp;
}

/** A slice, and whether more may follow. */
interface Slice {
  readonly bytes: Uint8Array | undefined;
}

export type MemberRole = {
  push(request: MemberPush): Promise<MemberAnswer>;
  setMetadata(request: MemberMetadata): Promise<MemberMetadataAnswer>;
  select(asked: Asked<HeadSelect>, call: CallContext): Promise<ReplicaAnswer<{ readonly cursor: number }>>;
  selectNext(request: { readonly cursor: number }): Promise<Slice>;
  selectClose(request: { readonly cursor: number }): Promise<void>;
  labels(asked: Asked<HeadLabels>, call: CallContext): Promise<ReplicaAnswer<readonly string[]>>;
  metadata(asked: Asked<string>, call: CallContext): Promise<ReplicaAnswer<readonly MetricMetadata[]>>;
  headStats(
    asked: Asked<{ readonly tenant: string; readonly limit: number }>,
    call: CallContext,
  ): Promise<ReplicaAnswer<HeadTenantStats | undefined>>;
  exemplars(asked: Asked<HeadExemplarRequest>, call: CallContext): Promise<ReplicaAnswer<readonly HeadExemplars[]>>;
};

export function memberRole(target: MemberTarget, reader: ReplicaReader): MemberRole {
  const cursors = new Map<number, { readonly slices: AsyncIterator<Uint8Array>; readonly cancel: AbortController }>();
  let last = 0;
  const close = async (cursor: number) => {
    const open = cursors.get(cursor);
    cursors.delete(cursor);
    open?.cancel.abort(new Error('closed'));
    await open?.slices.return?.();
  };
  return {
    push: (request) => target.push(request),
    setMetadata: (request) => target.setMetadata(request),
    async select({ request, version }) {
      const cancel = new AbortController();
      const answer = await reader.select(request, version, cancel.signal);
      const cursor = ++last;
      cursors.set(cursor, { slices: answer.value[Symbol.asyncIterator](), cancel });
      return { ...answer, value: { cursor } };
    },
    async selectNext({ cursor }) {
      const open = cursors.get(cursor);
      if (open === undefined) throw new Error(`no cursor ${cursor}`);
      const next = await open.slices.next();
      if (next.done !== true) return { bytes: next.value };
      cursors.delete(cursor);
      return { bytes: undefined };
    },
    selectClose: ({ cursor }) => close(cursor),
    labels: ({ request, version }, { signal }) => reader.labels(request, version, signal),
    metadata: ({ request, version }, { signal }) => reader.metadata(request, version, signal),
    headStats: ({ request, version }, { signal }) => reader.headStats(request, version, signal),
    exemplars: ({ request, version }, { signal }) => reader.exemplars(request, version, signal),
  };
}

/** A member elsewhere, as edges and queriers know it. */
export function remoteMember(remote: RemoteRole<MemberRole>): MemberTarget & ReplicaReader {
  return {
    push: (request) => remote.call('push', request),
    setMetadata: (request) => remote.call('setMetadata', request),
    async select(request, version, signal) {
      const answer = await remote.call('select', { request, version }, { signal });
      return { ...answer, value: slicesOf(remote, answer.value.cursor, signal) };
    },
    labels: (request, version, signal) => remote.call('labels', { request, version }, { signal }),
    metadata: (request, version, signal) => remote.call('metadata', { request, version }, { signal }),
    headStats: (request, version, signal) => remote.call('headStats', { request, version }, { signal }),
    exemplars: (request, version, signal) => remote.call('exemplars', { request, version }, { signal }),
  };
}

async function* slicesOf(
  remote: RemoteRole<MemberRole>,
  cursor: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let isOpen = true;
  try {
    for (;;) {
      const { bytes } = await remote.call('selectNext', { cursor }, { signal });
      if (bytes === undefined) {
        isOpen = false;
        return;
      }
      yield bytes;
    }
  } finally {
    if (isOpen) remote.call('selectClose', { cursor }).catch(() => {});
  }
}
