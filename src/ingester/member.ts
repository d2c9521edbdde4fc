import type { FrameAnswer, FrameLimits } from '../contract/ingest.ts';
import type {
  MemberAnswer,
  MemberMetadata,
  MemberMetadataAnswer,
  MemberPush,
  MemberTarget,
} from '../contract/member.ts';
import type { RingStamp } from '../contract/ring-stamp.ts';
import { BytesError } from '../lib/bytes.ts';
import { getOrMake } from '../lib/map.ts';
import { peerErrors } from '../model/errors-peer.ts';
import { writeErrors } from '../model/errors-write.ts';
import type { MetricMetadata } from '../model/metric-metadata.ts';
import { metricHashOf, shardOfArc } from '../ring/slots.ts';
import type { RingSource, RingView } from '../ring/view.ts';
import { BufferPool } from '../wire/buffer-pool.ts';
import { FrameDecoder } from '../wire/frame-columns.ts';
import { decodeRefusals, encodeRefusals, type FrameRefusal } from '../wire/frame-refusals.ts';
import { FrameView } from '../wire/frames.ts';
import type { ShardCalls } from './shard/shard-messages.ts';
import { WritesUnderWay } from './writes-under-way.ts';

export interface IngesterMemberOptions {
  /** Shards that take writes, in order. */
  readonly shards: () => readonly ShardCalls[];
  readonly ring: RingSource;
  /** Why no writes under a version are taken now (it is too old, the member drains or was taken out); undefined: they are. */
  readonly refusing?: (writing: number) => string | undefined;
  /** Marks a tenant's days from a late sample on, for those who cache answers: writes with late samples are answered then. */
  readonly noteLate?: (tenant: string, fromMs: number) => Promise<void>;
  /** A caller named a version that is not known here. */
  readonly learn?: (version: RingStamp) => void;
}

/** The shards of this process as a member of the ring: takes frames, hands each to the shard that has its arc, and answers for all. */
export class IngesterMember implements MemberTarget {
  readonly #options: IngesterMemberOptions;
  readonly #buffers = new BufferPool();
  readonly #decoder = new FrameDecoder();
  readonly #underWay = new WritesUnderWay();

  constructor(options: IngesterMemberOptions) {
    this.#options = options;
  }

  async push(request: MemberPush): Promise<MemberAnswer> {
    const { version, writing } = request;
    const view = this.#view(version);
    if (this.#mustAskAgain(view, version, writing))
      return { newer: stampOf(view), exemplarsLost: 0, unknown: [], keysTaken: false };
    return this.#underWay.letIn(writing, this.#push(view, request));
  }

  /** As `settled` of `WritesUnderWay`. */
  settled(number: number): Promise<void> {
    return this.#underWay.settled(number);
  }

  async #push(view: RingView, request: MemberPush): Promise<MemberAnswer> {
    const shards = this.#options.shards();
    const { tenant, limits } = request;
    const parts = this.#partsOf(view, request, shards.length);
    const isSpread = view.newest.tenants.has(tenant) && shards.length > 1;
    const held = isSpread && limits.seriesPerUserMax > 0 ? await seriesByShard(shards, tenant) : undefined;
    const { seriesElsewhere = 0, seriesPerUserMax } = limits;
    const push = async (part: ShardPart) => {
      const inOthers = held === undefined ? 0 : sumOf(held) - held[part.shard]!;
      const own = { ...limits, seriesElsewhere: seriesElsewhere + inOthers };
      const answer = await pushPart(shards[part.shard]!, tenant, part, own);
      this.#buffers.give(answer.frames);
      if (held !== undefined && answer.tenantSeries !== undefined) held[part.shard] = answer.tenantSeries;
      return { part, answer };
    };
    const added = parts.reduce((sum, { numbers = [] }) => sum + numbers.length, 0);
    const isNearLimit = held !== undefined && seriesElsewhere + sumOf(held) + added > seriesPerUserMax;
    const answers = isNearLimit ? await oneByOne(parts, push) : await Promise.all(parts.map(push));
    const lateMs = Math.min(...answers.map(({ answer }) => answer.result.lateMs ?? Number.POSITIVE_INFINITY));
    if (lateMs < Number.POSITIVE_INFINITY) await this.#options.noteLate?.(tenant, lateMs);
    const together = togetherOf(answers);
    if (held === undefined || together.tenantSeries === undefined) return together;
    return { ...together, tenantSeries: sumOf(held) };
  }

  /** A request's frames by shard. All that are of one go to it unread: its thread looks at what came from another process. */
  #partsOf(view: RingView, { tenant, frames, areBlocks = false }: MemberPush, shards: number): ShardPart[] {
    const isWhole = shards === 1 || !view.writing.tenants.has(tenant);
    if (isWhole) {
      const own = this.#buffers.take(frames.length);
      own.set(frames);
      return [{ shard: shardOfArc(view.slots.arcOf(tenant, 0, 0), shards), frames: own, areBlocks }];
    }
    const shardOf = (frame: FrameView) =>
      shardOfArc(view.slots.arcOf(tenant, frame.metricHash, frame.labelsHash), shards);
    return partsOf(areBlocks ? this.#decoded(frames) : frames, shards, this.#buffers, shardOf);
  }

  /** @throws peerMessageInvalid */
  #decoded(blocks: Uint8Array): Uint8Array {
    try {
      return this.#decoder.decode(blocks);
    } catch (error) {
      if (error instanceof BytesError) throw peerErrors.peerMessageInvalid({ reason: error.message });
      throw error;
    }
  }

  async setMetadata(request: MemberMetadata): Promise<MemberMetadataAnswer> {
    const { version, writing } = request;
    const view = this.#view(version);
    if (this.#mustAskAgain(view, version, writing)) return { newer: stampOf(view), refused: {} };
    return this.#underWay.letIn(writing, this.#setMetadata(view, request));
  }

  async #setMetadata(view: RingView, { tenant, entries, limits }: MemberMetadata): Promise<MemberMetadataAnswer> {
    const shards = this.#options.shards();
    const byShard = new Map<number, MetricMetadata[]>();
    for (const entry of entries) {
      const shard = shardOfArc(view.slots.arcOf(tenant, metricHashOf(entry.metric), 0), shards.length);
      getOrMake(byShard, shard, () => [] as MetricMetadata[]).push(entry);
    }
    const refused: Record<string, number> = {};
    const answers = await Promise.all(
      [...byShard].map(([shard, own]) => shards[shard]!.call('setMetadata', { tenant, entries: own, limits })),
    );
    for (const answer of answers) {
      for (const [reason, count] of Object.entries(answer)) refused[reason] = (refused[reason] ?? 0) + count;
    }
    return { refused };
  }

  /** @throws AppError where no writes are taken */
  #view({ number, hash }: RingStamp): RingView {
    const view = this.#options.ring.current();
    if (view === undefined) throw writeErrors.ringUnknownToWriter({});
    if (view.newest.number < number) this.#options.learn?.({ number, hash });
    return view;
  }

  /**
   * Whether the caller has to learn a version, or that one counts, before its write is taken.
   * @throws ownerAway where no writes of this version are taken
   */
  #mustAskAgain(view: RingView, { number }: RingStamp, writing: number): boolean {
    if (view.newest.number > number) return true;
    const reason = this.#options.refusing?.(writing);
    if (reason === undefined) return false;
    if (view.confirmed > writing) return true;
    throw writeErrors.ownerAway({ reason });
  }
}

function sumOf(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

async function oneByOne<T, R>(all: readonly T[], work: (one: T) => Promise<R>): Promise<R[]> {
  const done: R[] = [];
  for (const one of all) done.push(await work(one));
  return done;
}

async function seriesByShard(shards: readonly ShardCalls[], tenant: string): Promise<number[]> {
  const pages = await Promise.all(shards.map((shard) => shard.call('tenants', { tenant })));
  return pages.map(({ tenants }) => tenants[0]?.series ?? 0);
}

function stampOf({ newest, hash }: RingView): RingStamp {
  return { number: newest.number, hash };
}

/** Frames of one shard. */
interface ShardPart {
  readonly shard: number;
  readonly frames: Uint8Array<ArrayBuffer>;
  readonly areBlocks: boolean;
  /** Their numbers in the request; absent: they are all that are in it. */
  readonly numbers?: readonly number[];
}

/** A request's frames by shard. They are copied: a shard's buffer moves to its thread, the request's is read by other owners too. */
function partsOf(
  frames: Uint8Array,
  shards: number,
  buffers: BufferPool,
  shardOf: (frame: FrameView) => number,
): ShardPart[] {
  const parts = Array.from({ length: shards }, () => ({
    numbers: [] as number[],
    stretches: [] as Uint8Array[],
    bytes: 0,
  }));
  let number = 0;
  for (const frame = new FrameView(frames); frame.next(); number++) {
    const part = parts[shardOf(frame)]!;
    part.numbers.push(number);
    part.stretches.push(frame.bytes);
    part.bytes += frame.end - frame.at;
  }
  return parts.flatMap(({ numbers, stretches, bytes }, shard) => {
    if (bytes === 0) return [];
    const own = buffers.take(bytes);
    let at = 0;
    for (const stretch of stretches) {
      own.set(stretch, at);
      at += stretch.length;
    }
    return [{ shard, frames: own, areBlocks: false, numbers }];
  });
}

function pushPart(
  shard: ShardCalls,
  tenant: string,
  { frames, areBlocks }: ShardPart,
  limits: FrameLimits,
): Promise<FrameAnswer> {
  const { buffer, length } = frames;
  const request = { tenant, frames: buffer, bytes: length, areBlocks, limits, byFrame: true };
  return shard.call('push', request, { transfer: [buffer] });
}

function togetherOf(answers: readonly { readonly part: ShardPart; readonly answer: FrameAnswer }[]): MemberAnswer {
  const [only] = answers;
  if (answers.length === 1 && only!.part.numbers === undefined) return answerOf(only!.answer);
  const refusals: FrameRefusal[] = [];
  const unknown: number[] = [];
  let exemplarsLost = 0;
  let keysTaken = true;
  let tenantSeries: number | undefined = 0;
  for (const { part, answer } of answers) {
    const { result } = answer;
    if (result.refusals !== undefined) {
      for (const each of decodeRefusals(result.refusals)) refusals.push({ ...each, frame: part.numbers![each.frame]! });
    }
    for (const number of result.unknown) unknown.push(part.numbers![number]!);
    exemplarsLost += result.exemplarsLost;
    keysTaken &&= answer.keysTaken;
    if (answer.tenantSeries === undefined) tenantSeries = undefined;
    else if (tenantSeries !== undefined) tenantSeries += answer.tenantSeries;
  }
  return {
    ...(refusals.length > 0 && { refusals: encodeRefusals(refusals) }),
    exemplarsLost,
    unknown: unknown.sort((a, b) => a - b),
    keysTaken,
    tenantSeries,
  };
}

/** The answer of the shard that took all frames. */
export function answerOf({ result, keysTaken, tenantSeries }: Omit<FrameAnswer, 'frames'>): MemberAnswer {
  const { refusals, exemplarsLost, unknown } = result;
  return { ...(refusals !== undefined && { refusals }), exemplarsLost, unknown, keysTaken, tenantSeries };
}
