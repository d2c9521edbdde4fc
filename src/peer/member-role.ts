import type { IngesterAdmin } from '../contract/ingester.ts';
import type { MemberTarget } from '../contract/member.ts';
import type { ReplicaAnswer, ReplicaReader } from '../contract/replica.ts';
import type { RingStamp } from '../contract/ring-stamp.ts';
import { encodeValue } from '../kit/rpc/codec.ts';
import type { RpcAnswer, RpcCall, RpcRequest, RpcRole } from '../kit/rpc/role.ts';
import { met, type RingPeer } from '../ring/meeting.ts';
import {
  exemplarsOf,
  frameLimitsOf,
  knownVersionOf,
  labelsOf,
  metadataLimitsOf,
  metadataOf,
  selectOf,
  stampOf,
  statsOf,
  tenantOf,
} from './requests.ts';
import { boolOf, countOf, fieldsOf, optional } from './shapes.ts';

/** The parts of a process that other processes may ask. Methods of a part that is absent are unknown there. */
export interface MemberParts {
  /** Takes writes: an ingester. */
  readonly target?: MemberTarget | undefined;
  /** Answers reads: an ingester. */
  readonly reader?: ReplicaReader | undefined;
  /** Tells others of the ring, and learns of it from them: every process of a cluster. */
  readonly ring?: RingPeer | undefined;
  /** Takes orders: an ingester. */
  readonly admin?: IngesterAdmin | undefined;
}

/** Methods and what is asked with them; `RemoteMember` is the other end. */
export function memberRole({ target, reader, ring, admin }: MemberParts): RpcRole {
  return {
    ...(target && writes(target)),
    ...(reader && reads(reader)),
    ...(ring && meetings(ring)),
    ...(admin && orders(admin)),
  };
}

function writes(target: MemberTarget): RpcRole {
  return {
    async push({ head, body }) {
      const { tenant, limits, version, writing } = fieldsOf(head, 'push');
      const request = {
        tenant: tenantOf(tenant),
        limits: frameLimitsOf(limits),
        version: stampOf(version),
        writing: countOf(writing, 'writing'),
      };
      const { refusals, unknown, ...rest } = await target.push({ ...request, frames: body, areBlocks: true });
      return { head: { ...rest, unknown: Uint32Array.from(unknown) }, ...(refusals && { body: refusals }) };
    },
    async setMetadata({ head }) {
      const { tenant, entries, limits, version, writing } = fieldsOf(head, 'setMetadata');
      const answer = await target.setMetadata({
        tenant: tenantOf(tenant),
        entries: metadataOf(entries),
        limits: metadataLimitsOf(limits),
        version: stampOf(version),
        writing: countOf(writing, 'writing'),
      });
      return { head: answer };
    },
  };
}

type Read<Q, A> = (request: Q, version: RingStamp, signal: AbortSignal) => Promise<ReplicaAnswer<A>>;

function reads(reader: ReplicaReader): RpcRole {
  return {
    async select({ head }, { signal }) {
      const { request, version } = fieldsOf(head, 'select');
      const { value, ...rest } = await reader.select(selectOf(request), stampOf(version), signal);
      return { head: rest, items: value };
    },
    labels: reading(labelsOf, (...how) => reader.labels(...how)),
    metadata: reading(tenantOf, (...how) => reader.metadata(...how)),
    headStats: reading(statsOf, (...how) => reader.headStats(...how)),
    exemplars: reading(exemplarsOf, (...how) => reader.exemplars(...how)),
  };
}

/** Values of reads are bodies: they may be long. */
function reading<Q, A>(requestOf: (value: unknown) => Q, read: Read<Q, A>) {
  return async ({ head }: RpcRequest, { signal }: RpcCall): Promise<RpcAnswer> => {
    const { request, version } = fieldsOf(head, 'read');
    const { value, ...rest } = await read(requestOf(request), stampOf(version), signal);
    return { head: rest, body: encodeValue(value) };
  };
}

function meetings(ring: RingPeer): RpcRole {
  return {
    meet: async ({ head }) => {
      const { documents, ...known } = met(ring, knownVersionOf(head));
      return { head: { ...known, documents: documents.map((each) => Uint8Array.from(each)) } };
    },
  };
}

function orders(admin: IngesterAdmin): RpcRole {
  return {
    async flush({ head }, { signal }) {
      const { tenant, wait } = fieldsOf(head, 'flush');
      await admin.flush({ tenant: optional(tenant, tenantOf), wait: boolOf(wait, 'wait') }, signal);
      return {};
    },
    async deleteTenant({ head }) {
      await admin.deleteTenant(tenantOf(head));
      return {};
    },
    deletionsReadMs: async () => ({ head: await admin.deletionsReadMs() }),
    tenantSeries: async () => ({ body: encodeValue(await admin.tenantSeries()) }),
    seriesOf: async ({ head }) => ({ head: await admin.seriesOf(tenantOf(head)) }),
  };
}
