import type {
  HeadExemplarRequest,
  HeadExemplars,
  HeadLabels,
  HeadSelect,
  HeadTenantStats,
  IngesterAdmin,
  TenantSeries,
} from '../contract/ingester.ts';
import type {
  MemberAnswer,
  MemberMetadata,
  MemberMetadataAnswer,
  MemberPush,
  MemberTarget,
} from '../contract/member.ts';
import type { ReplicaAnswer, ReplicaReader } from '../contract/replica.ts';
import type { RingStamp } from '../contract/ring-stamp.ts';
import { decodeValue } from '../kit/rpc/codec.ts';
import type { RpcCaller } from '../kit/rpc/role.ts';
import type { MetricMetadata } from '../model/metric-metadata.ts';
import type { KnownVersion } from '../ring/meeting.ts';
import { FrameEncoder } from '../wire/frame-columns.ts';
import { knownVersionOf } from './requests.ts';
import { countOf, fieldsOf } from './shapes.ts';

/** How long a flush that is waited for may take. */
const FLUSH_MS_MAX = 30 * 60_000;

/**
 * Frames as they go to other processes: those of a request go to all owners, and are encoded once. To be shared by all members that
 * one thread sends to.
 */
export class SentFrames {
  readonly #encoder = new FrameEncoder();
  readonly #sent = new WeakMap<Uint8Array, Uint8Array>();

  /** @param frames stay as they are for as long as they are asked for (contract/member.ts) */
  of(frames: Uint8Array): Uint8Array {
    const known = this.#sent.get(frames);
    if (known !== undefined) return known;
    const sent = this.#encoder.encode(frames);
    this.#sent.set(frames, sent);
    return sent;
  }
}

/**
 * An ingester in another process: writes, reads and orders go over the wire to its `memberRole`. Errors that it answers with arrive as
 * they are; others are those of the way to it (peerAway, peerGone, peerBusy, peerSlow).
 */
export class RemoteMember implements MemberTarget, ReplicaReader, IngesterAdmin {
  readonly #caller: RpcCaller;
  readonly #frames: SentFrames;

  constructor(caller: RpcCaller, frames: SentFrames) {
    this.#caller = caller;
    this.#frames = frames;
  }

  async push({ frames, ...head }: MemberPush): Promise<MemberAnswer> {
    const { head: answer, body } = await this.#caller.call('push', head, this.#frames.of(frames));
    const { unknown, ...rest } = fieldsOf(answer, 'answer') as unknown as Omit<MemberAnswer, 'unknown'> & {
      readonly unknown: Uint32Array;
    };
    return { ...rest, unknown: [...unknown], ...(body.length > 0 && { refusals: body }) };
  }

  async setMetadata(request: MemberMetadata): Promise<MemberMetadataAnswer> {
    const { head } = await this.#caller.call('setMetadata', request);
    return fieldsOf(head, 'answer') as unknown as MemberMetadataAnswer;
  }

  async select(
    request: HeadSelect,
    version: RingStamp,
    signal: AbortSignal,
  ): Promise<ReplicaAnswer<AsyncIterable<Uint8Array>>> {
    const { head, items } = await this.#caller.stream('select', { request, version }, { signal });
    return { ...(fieldsOf(head, 'answer') as unknown as ReplicaAnswer<never>), value: items };
  }

  labels(request: HeadLabels, version: RingStamp, signal: AbortSignal): Promise<ReplicaAnswer<readonly string[]>> {
    return this.#read('labels', request, version, signal);
  }

  metadata(tenant: string, version: RingStamp, signal: AbortSignal): Promise<ReplicaAnswer<readonly MetricMetadata[]>> {
    return this.#read('metadata', tenant, version, signal);
  }

  headStats(
    request: { readonly tenant: string; readonly limit: number },
    version: RingStamp,
    signal: AbortSignal,
  ): Promise<ReplicaAnswer<HeadTenantStats | undefined>> {
    return this.#read('headStats', request, version, signal);
  }

  exemplars(
    request: HeadExemplarRequest,
    version: RingStamp,
    signal: AbortSignal,
  ): Promise<ReplicaAnswer<readonly HeadExemplars[]>> {
    return this.#read('exemplars', request, version, signal);
  }

  async #read<T>(method: string, request: unknown, version: RingStamp, signal: AbortSignal): Promise<ReplicaAnswer<T>> {
    const { head, body } = await this.#caller.call(method, { request, version }, undefined, { signal });
    return { ...(fieldsOf(head, 'answer') as unknown as ReplicaAnswer<T>), value: decodeValue(body) as T };
  }

  /** Tells it what is known here of the ring, and hears what it knows (`meet` of ring/meeting.ts). */
  async meet(known: KnownVersion): Promise<KnownVersion> {
    const { head } = await this.#caller.call('meet', known);
    return knownVersionOf(head);
  }

  async flush(request: { readonly tenant: string | undefined; readonly wait: boolean }, signal: AbortSignal) {
    await this.#caller.call('flush', request, undefined, { signal, timeoutMs: FLUSH_MS_MAX });
  }

  async deleteTenant(tenant: string): Promise<void> {
    await this.#caller.call('deleteTenant', tenant);
  }

  async deletionsReadMs(): Promise<number> {
    const { head } = await this.#caller.call('deletionsReadMs', null);
    return countOf(head, 'deletionsReadMs');
  }

  async tenantSeries(): Promise<readonly TenantSeries[]> {
    const { body } = await this.#caller.call('tenantSeries', null);
    return decodeValue(body) as readonly TenantSeries[];
  }

  async seriesOf(tenant: string): Promise<number> {
    const { head } = await this.#caller.call('seriesOf', tenant);
    return countOf(head, 'seriesOf');
  }
}
