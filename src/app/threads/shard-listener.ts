import type {
  MemberAnswer,
  MemberMetadata,
  MemberMetadataAnswer,
  MemberPush,
  MemberTarget,
} from '../../contract/member.ts';
import type { ReplicaReader } from '../../contract/replica.ts';
import { coversDays, type HeldDays } from '../../distributor/late-samples.ts';
import type { HeldRange } from '../../ingester/head/held-range.ts';
import { answerOf } from '../../ingester/member.ts';
import { Replica } from '../../ingester/replica.ts';
import { ShardsClient } from '../../ingester/shard/shard-client.ts';
import type { ShardCalls, ShardRole } from '../../ingester/shard/shard-messages.ts';
import type { OwnShardRole } from '../../ingester/shard/shard-role.ts';
import { WritesUnderWay } from '../../ingester/writes-under-way.ts';
import type { Logger } from '../../kit/observe/log.ts';
import { Registry, readMetrics } from '../../kit/observe/metrics.ts';
import { decodeValue, encodeValue } from '../../kit/rpc/codec.ts';
import { PeerCredentials } from '../../kit/rpc/credentials.ts';
import { servedMetrics } from '../../kit/rpc/metrics.ts';
import type { RpcRole } from '../../kit/rpc/role.ts';
import { RpcServer } from '../../kit/rpc/server.ts';
import { type LoopState, Loops } from '../../kit/service/loops.ts';
import { type CallOptions, Channel, type RequestOf, type ResponseOf, Transferred } from '../../kit/thread/channel.ts';
import { movable } from '../../kit/thread/movable.ts';
import { type Clock, timeout } from '../../lib/clock.ts';
import { memberRole } from '../../peer/member-role.ts';
import type { ListenerHostRole, ListenRequest, MemberStanding } from '../cluster/listener-roles.ts';

export interface ShardListenerOptions {
  readonly shard: OwnShardRole;
  readonly held: HeldRange;
  /** Age from which samples are told of as late; undefined: nobody wants to know. */
  readonly lateAfterMs: number | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

/** How long calls under way may take when it ends. */
const ENDING_MS_MAX = 5_000;
/** Days that are held are asked for again after so long: the main thread sees that the backfill goes on. */
const HELD_MS_MAX = 500;
const HELD_TENANTS_MAX = 1_000;

/**
 * Listens for other processes in the thread of the only shard: writes and reads of samples reach it without another thread between.
 * All else goes on to the main thread, and writes and reads that hang on more of the ring than its newest version.
 */
export class ShardListener {
  readonly #server: RpcServer;
  readonly #member: ShardMember;
  readonly #standing: Standing;
  readonly #registry = new Registry();
  readonly #loops: Loops;
  readonly #refreshes: { cancel(): void };
  readonly #clock: Clock;

  constructor({ host, port, peers, methods, change, calls }: ListenRequest, options: ShardListenerOptions) {
    const { shard, held, clock, log } = options;
    this.#clock = clock;
    const main = new Channel<ListenerHostRole>(calls);
    this.#standing = new Standing(main, change, clock);
    this.#member = new ShardMember(main, this.#standing, options);
    const credentials = PeerCredentials.read(peers.files);
    this.#server = new RpcServer({
      host,
      port,
      sharing: 'next',
      self: peers.self,
      security: () => credentials.current,
      role: {
        ...forwarding(methods, main),
        ...memberRole({ target: this.#member, reader: readerOf(shard, held, this.#standing) }),
      },
      clock,
      log,
      metrics: servedMetrics(this.#registry),
    });
    this.#loops = new Loops(clock);
    this.#refreshes = credentials.watch(clock, this.#loops, log, () => this.#server.securityChanged());
  }

  async start(): Promise<void> {
    await this.#standing.refresh();
    await this.#server.start();
  }

  standing(standing: MemberStanding): void {
    this.#standing.take(standing);
  }

  /** As `settled` of `IngesterMember`, for writes that came here. */
  settled(number: number): Promise<void> {
    return this.#member.settled(number);
  }

  get loopStates(): readonly LoopState[] {
    return this.#loops.states;
  }

  metrics() {
    return readMetrics(this.#registry, []);
  }

  /** Takes no more calls, answers those under way, and ends. */
  async stop(): Promise<void> {
    this.#refreshes.cancel();
    const { signal, cancel } = timeout(this.#clock, ENDING_MS_MAX);
    await this.#server.stop({ signal, progress: () => {} });
    cancel();
  }
}

/** This member in the ring as it is told here. */
class Standing {
  readonly #main: Channel<ListenerHostRole>;
  readonly #change: Int32Array;
  readonly #clock: Clock;
  #told: MemberStanding | undefined;

  constructor(main: Channel<ListenerHostRole>, change: SharedArrayBuffer, clock: Clock) {
    this.#main = main;
    this.#change = new Int32Array(change);
    this.#clock = clock;
  }

  take(standing: MemberStanding): void {
    if (this.#told === undefined || standing.change > this.#told.change) this.#told = standing;
  }

  /** As the main thread has it at this moment; undefined: it has to be asked. */
  get now(): MemberStanding | undefined {
    return this.#told?.change === Atomics.load(this.#change, 0) ? this.#told : undefined;
  }

  /** The same for reads. */
  get ofReads(): MemberStanding | undefined {
    const { now } = this;
    return now !== undefined && this.#clock.nowMs() < now.readsUntilMs ? now : undefined;
  }

  async refresh(signal?: AbortSignal): Promise<void> {
    this.take(await this.#main.call('standing', {}, { ...(signal && { signal }) }));
  }

  /** Reads when it is known what holds. @throws the signal's reason when that comes first */
  async reading<T>(signal: AbortSignal, read: () => Promise<T>): Promise<T> {
    while (this.ofReads === undefined) await this.refresh(signal);
    return read();
  }
}

/** Takes writes under the version that counts; others go to the main thread. */
class ShardMember implements MemberTarget {
  readonly #main: Channel<ListenerHostRole>;
  readonly #standing: Standing;
  readonly #options: ShardListenerOptions;
  readonly #underWay = new WritesUnderWay();
  /** By tenant, the oldest first. */
  readonly #held = new Map<string, { readonly days: HeldDays; readonly untilMs: number }>();

  constructor(main: Channel<ListenerHostRole>, standing: Standing, options: ShardListenerOptions) {
    this.#main = main;
    this.#standing = standing;
    this.#options = options;
  }

  async push(request: MemberPush): Promise<MemberAnswer> {
    if (this.#takes(request)) return this.#underWay.letIn(request.writing, this.#push(request));
    const frames = new Uint8Array(request.frames);
    return this.#main.call('push', { ...request, frames }, { transfer: [frames.buffer] });
  }

  async setMetadata(request: MemberMetadata): Promise<MemberMetadataAnswer> {
    if (!this.#takes(request)) return this.#main.call('setMetadata', request);
    const { tenant, entries, limits, writing } = request;
    const write = this.#options.shard.setMetadata({ tenant, entries, limits });
    return { refused: await this.#underWay.letIn(writing, write) };
  }

  settled(number: number): Promise<void> {
    return this.#underWay.settled(number);
  }

  #takes({ version, writing }: Pick<MemberPush, 'version' | 'writing'>): boolean {
    const { now } = this.#standing;
    return now !== undefined && now.number === version.number && now.writing === writing && writing > 0;
  }

  async #push({ tenant, frames, areBlocks = false, limits }: MemberPush): Promise<MemberAnswer> {
    const answer = await this.#options.shard.take({ tenant, frames, areBlocks, limits, byFrame: true });
    const { lateMs } = answer.result;
    if (lateMs !== undefined && !this.#isHeld(tenant, lateMs)) await this.#noteLate(tenant, lateMs);
    return answerOf(answer);
  }

  async #noteLate(tenant: string, fromMs: number): Promise<void> {
    const { clock } = this.#options;
    // from before it was asked
    const askedMs = clock.monotonicMs();
    const days = await this.#main.call('noteLate', { tenant, fromMs });
    this.#held.delete(tenant);
    if (days === undefined) return;
    this.#held.set(tenant, { days, untilMs: askedMs + Math.min(days.forMs, HELD_MS_MAX) });
    if (this.#held.size > HELD_TENANTS_MAX) this.#held.delete(this.#held.keys().next().value!);
  }

  #isHeld(tenant: string, fromMs: number): boolean {
    const held = this.#held.get(tenant);
    if (held === undefined) return false;
    const { clock, lateAfterMs = 0 } = this.#options;
    const { days, untilMs } = held;
    const toMs = Math.max(fromMs, clock.nowMs() - lateAfterMs);
    if (clock.monotonicMs() >= untilMs || clock.nowMs() >= days.untilWallMs) return false;
    return coversDays(days, fromMs, toMs);
  }
}

function readerOf(shard: ShardRole, held: HeldRange, standing: Standing): ReplicaReader {
  const replica = new Replica({
    ring: {
      current: () => {
        const { now } = standing;
        return now && now.number > 0 ? { newest: now, hash: now.hash } : undefined;
      },
    },
    shards: new ShardsClient([{ channel: callsOf(shard), held }]),
    refusing: () => standing.now?.refused,
  });
  return {
    select: (...asked) => standing.reading(asked[2], () => replica.select(...asked)),
    labels: (...asked) => standing.reading(asked[2], () => replica.labels(...asked)),
    metadata: (...asked) => standing.reading(asked[2], () => replica.metadata(...asked)),
    headStats: (...asked) => standing.reading(asked[2], () => replica.headStats(...asked)),
    exemplars: (...asked) => standing.reading(asked[2], () => replica.exemplars(...asked)),
  };
}

/** A role in this thread, for those who call shards. */
function callsOf(shard: ShardRole): ShardCalls {
  return {
    async call<M extends keyof ShardRole>(
      method: M,
      request: RequestOf<ShardRole, M>,
      { signal = NEVER, begun }: CallOptions = {},
    ): Promise<ResponseOf<ShardRole, M>> {
      signal.throwIfAborted();
      const begin = (response: unknown) => begun?.(response as never);
      const answer = await shard[method](request as never, { signal, begin });
      return (answer instanceof Transferred ? answer.value : answer) as ResponseOf<ShardRole, M>;
    },
  };
}

const NEVER = new AbortController().signal;

function forwarding(methods: readonly string[], main: Channel<ListenerHostRole>): RpcRole {
  return Object.fromEntries(
    methods.map((method) => [
      method,
      async ({ head, body }, { signal, peer }) => {
        const asked = { method, head: movable(encodeValue(head)), body: new Uint8Array(body), peer };
        const answer = await main.call('call', asked, { transfer: [asked.head.buffer, asked.body.buffer], signal });
        return { head: decodeValue(answer.head), body: answer.body };
      },
    ]) satisfies [string, RpcRole[string]][],
  );
}
