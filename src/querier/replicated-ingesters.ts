import type {
  HeadExemplarRequest,
  HeadExemplars,
  HeadLabels,
  HeadMatcher,
  HeadSelect,
  HeadSlice,
  HeadTenantStats,
  IngesterClient,
} from '../contract/ingester.ts';
import type { ReplicaAnswer, ReplicaReader } from '../contract/replica.ts';
import type { RingStamp } from '../contract/ring-stamp.ts';
import { type Clock, timeout } from '../lib/clock.ts';
import { AppError } from '../model/errors.ts';
import { peerErrors } from '../model/errors-peer.ts';
import { queryErrors } from '../model/errors-query.ts';
import { ringErrors } from '../model/errors-ring.ts';
import { writeErrors } from '../model/errors-write.ts';
import { METRIC_NAME } from '../model/labels.ts';
import type { MetricMetadata } from '../model/metric-metadata.ts';
import type { SeriesShard } from '../model/series-shard.ts';
import { readAsks } from '../ring/asks.ts';
import type { GivenUp } from '../ring/version.ts';
import type { RingSource, RingView } from '../ring/view.ts';
import type { AskedMember } from '../storage/asked-members.ts';
import type { Hedges } from './hedges.ts';
import { ReadQuorums } from './read-quorums.ts';
import { exemplarsTogether, metadataTogether, statsTogether } from './replica-answers.ts';
import { ReplicaStreams } from './replica-streams.ts';

export interface ReplicatedIngestersOptions {
  readonly ring: RingSource;
  /** The way to a member of a version, by its id; undefined: there is none. */
  readonly member: (id: string) => ReplicaReader | undefined;
  /**
   * Lets this process and a member tell each other the versions that they know (ring/meeting.ts). Absent: both learn them elsewhere.
   */
  readonly meet?: ((id: string) => Promise<void>) | undefined;
  /**
   * Looks for where members are now that could not be reached, and lets the next read try again. Absent: a read fails that has no quorum
   * of those that can be reached.
   */
  readonly seek?: ((ids: readonly string[]) => Promise<void>) | undefined;
  readonly clock: Clock;
  /** A member that keeps a read waiting for longer has another one asked beside it. */
  readonly slowMs?: number;
  /** Has another member asked earlier where one is late with the beginning of its answer. Absent: none is. */
  readonly hedges?: Hedges;
}

const SLOW_MS = 1000;
/** Members that answer one read side by side, each with two slices in memory at most. */
const STREAMS_MAX = 16;
/** How long a read waits for a version of the ring that a member knows and it does not. */
const LEARN_MS_MAX = 5000;
/** Versions that may become known while one read runs. */
const ROUNDS_MAX = 8;
/** How long a read looks for members that are being started again, elsewhere maybe; the wait between two looks doubles. */
const SEEK_MS_MAX = 3000;
const SEEK_AGAIN_MS = 50;
/** How long nobody looks again for members that a read looked for in vain: reads fail at once meanwhile. */
const VAIN_MS = 2000;
/** How long it is remembered that they were. */
const FORGET_VAIN_MS = 60_000;
/** Errors of members that cannot be reached, or cannot yet: others may know more of them. */
const AWAY_REASONS: ReadonlySet<string> = new Set([
  peerErrors.peerAway.reason,
  peerErrors.peerGone.reason,
  peerErrors.peerRefused.reason,
  writeErrors.ownerAway.reason,
  queryErrors.replaying.reason,
]);
/** For how long a member that failed is asked after others. */
const FAILED_MS = 10_000;
const FAILED_MEMBERS_MAX = 4096;

/** How far the times of samples may be ahead of the clock that says when a member was given up. */
const AHEAD_MS_MAX = 3_600_000;

/** Ranks of members: one step for each zone, one for who is in no zone of the newest version, one for who failed lately. */
const ZONE_RANK = 2 ** 13;
const LEFT_RANK = 2 ** 26;
const FAILED_RANK = 2 ** 27;

/** The series that a read may need. */
interface ReadOf {
  readonly tenant: string;
  /** Undefined: any. */
  readonly metrics: readonly string[] | undefined;
  /** Absent: all. */
  readonly shard?: SeriesShard | undefined;
  /** The beginning of the range that is read, Unix ms; absent: what is read has no time. */
  readonly startMs?: number;
  /** Owners that are away are left out where no quorum is to be had. */
  readonly allowPartial?: boolean;
}

type OpenMember<T> = (
  member: ReplicaReader,
  version: RingStamp,
  signal: AbortSignal,
) => Promise<ReplicaAnswer<AsyncIterable<T>>>;

/**
 * The ingesters of a ring as one: reads from a quorum of the owners of every version that still matters. An answer holds each
 * acknowledged sample at least once, or is an error. Series, and samples of series, come from several members: whoever asks merges.
 */
export class ReplicatedIngesters implements IngesterClient {
  readonly replicated = true;
  readonly #options: ReplicatedIngestersOptions;
  readonly #failedUntilMs = new Map<string, number>();
  /** Monotonic time until which nobody looks for them, of members that were looked for in vain. */
  readonly #vainUntilMs = new Map<string, number>();
  #reads = 0;

  constructor(options: ReplicatedIngestersOptions) {
    this.#options = options;
  }

  storedSinceMs(): number {
    return this.#options.ring.current()?.wordMs ?? Number.NEGATIVE_INFINITY;
  }

  async *select({ tellsMembers = false, ...request }: HeadSelect, signal: AbortSignal): AsyncIterable<HeadSlice> {
    const of = {
      tenant: request.tenant,
      metrics: metricsOf([request.matchers]),
      shard: request.shard,
      startMs: request.startMs,
      allowPartial: request.allowPartial === true,
    };
    const slices = this.#read(of, (member, version, own) => member.select(request, version, own), signal);
    for (;;) {
      const next = await slices.next();
      if (next.done !== true) {
        yield { bytes: next.value, alone: false, warnings: [] };
        continue;
      }
      const { warnings, missing, members } = next.value;
      const told = { bytes: new Uint8Array(0), alone: true, warnings, missing, ...(tellsMembers && { members }) };
      if (tellsMembers || warnings.length + missing.length > 0) yield told;
      return;
    }
  }

  async labels(request: HeadLabels, signal: AbortSignal): Promise<readonly string[]> {
    const of = { tenant: request.tenant, metrics: metricsOf(request.matchers), startMs: request.startMs };
    const { values } = await this.#all(of, (member, ...how) => member.labels(request, ...how), signal);
    return values.length === 1 ? values[0]! : [...new Set(values.flat())];
  }

  async metadata(tenant: string, signal: AbortSignal): Promise<readonly MetricMetadata[]> {
    const of = { tenant, metrics: undefined };
    const { values } = await this.#all(of, (member, ...how) => member.metadata(tenant, ...how), signal);
    return metadataTogether(values);
  }

  async headStats(tenant: string, limit: number, signal: AbortSignal): Promise<HeadTenantStats | undefined> {
    const of = { tenant, metrics: undefined };
    const ask = { tenant, limit };
    const { values, copies } = await this.#all(of, (member, ...how) => member.headStats(ask, ...how), signal);
    const found = values.filter((each) => each !== undefined);
    return statsTogether(found, copies, limit);
  }

  async exemplars(request: HeadExemplarRequest, signal: AbortSignal): Promise<readonly HeadExemplars[]> {
    const of = { tenant: request.tenant, metrics: metricsOf(request.matchers), startMs: request.startMs };
    const { values } = await this.#all(of, (member, ...how) => member.exemplars(request, ...how), signal);
    return exemplarsTogether(values);
  }

  /** The answers of all members that were asked, in no order. */
  async #all<T>(
    of: ReadOf,
    ask: (member: ReplicaReader, version: RingStamp, signal: AbortSignal) => Promise<ReplicaAnswer<T>>,
    signal: AbortSignal,
  ): Promise<{ readonly values: readonly T[]; readonly copies: number }> {
    const open: OpenMember<T> = async (...how) => {
      const answer = await ask(...how);
      return { ...answer, value: once(answer.value) };
    };
    const values: T[] = [];
    // those that answered before it was asked once more do so again
    const answers = this.#read(of, open, signal, () => values.splice(0));
    for (;;) {
      const next = await answers.next();
      if (next.done === true) return { values, copies: next.value.copies };
      values.push(next.value);
    }
  }

  /**
   * Asks until each quorum is there; hands over what comes meanwhile, of whoever it is.
   * @param onAgain called before all are asked once more, for a newer version or where a member may be now
   * @throws noReadQuorum, ringUnknown, ringBehind
   */
  async *#read<T>(
    of: ReadOf,
    open: OpenMember<T>,
    signal: AbortSignal,
    onAgain: () => void = () => {},
  ): AsyncGenerator<T, ReadEnd> {
    const { ring, clock } = this.#options;
    const seekUntilMs = clock.monotonicMs() + SEEK_MS_MAX;
    for (let [round, looks] = [1, 0]; ; ) {
      const view = ring.current();
      if (view === undefined) throw queryErrors.ringUnknown({});
      const came = yield* this.#round(view, of, open, signal);
      if ('warnings' in came) return came;
      if ('number' in came) await this.#learn(came, round++, signal);
      else if (clock.monotonicMs() >= seekUntilMs) {
        this.#lookedInVain(came.away);
        throw came.shortage;
      } else if (looks === 0 && !this.#mayLook(came.away)) throw came.shortage;
      else await this.#seek(came, looks++, signal);
      onAgain();
    }
  }

  #lookedInVain(away: readonly string[]): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const [id, untilMs] of this.#vainUntilMs) if (untilMs + FORGET_VAIN_MS < nowMs) this.#vainUntilMs.delete(id);
    for (const id of away) this.#vainUntilMs.set(id, nowMs + VAIN_MS);
  }

  /** Whether a read may look for these: after all of them were looked for in vain it is one at a time, with pauses. */
  #mayLook(away: readonly string[]): boolean {
    const nowMs = this.#options.clock.monotonicMs();
    const times = away.map((id) => this.#vainUntilMs.get(id));
    if (times.some((untilMs) => untilMs === undefined)) return true;
    if (times.every((untilMs) => nowMs < untilMs!)) return false;
    for (const id of away) this.#vainUntilMs.set(id, nowMs + SEEK_MS_MAX + VAIN_MS);
    return true;
  }

  /** Waits for word of members that could not be reached. */
  async #seek({ away, shortage }: Away, looks: number, signal: AbortSignal): Promise<void> {
    const { seek, clock } = this.#options;
    if (seek === undefined) throw shortage;
    if (looks > 0) await clock.sleep(SEEK_AGAIN_MS * 2 ** Math.min(looks - 1, 3), signal);
    await seek(away);
    signal.throwIfAborted();
  }

  /**
   * Asks under one view of the ring. Returns the version that has to be asked under before anything counts, where a member knows one, or
   * the owners without which there is no quorum, where nothing but that they cannot be reached is wrong with them.
   */
  async *#round<T>(
    view: RingView,
    { tenant, metrics, shard, startMs = Number.NEGATIVE_INFINITY, allowPartial = false }: ReadOf,
    open: OpenMember<T>,
    signal: AbortSignal,
  ): AsyncGenerator<T, ReadEnd | Pick<RingStamp, 'number'> | Away> {
    const { member, meet, clock, slowMs = SLOW_MS, hedges } = this.#options;
    const { asks, givenUp } = readAsks(view, tenant, metrics, shard);
    const goneText = ({ id, atMs }: GivenUp) =>
      startMs > atMs + AHEAD_MS_MAX
        ? undefined
        : `${id} was given up at ${new Date(atMs).toISOString()}: samples until then that it alone held are missing`;
    const quorums = new ReadQuorums(asks, this.#rank(view), goneText, allowPartial);
    hedges?.read();
    const hedge = hedges && {
      delayMs: Math.min(slowMs, hedges.delayMs(tenant)),
      take: () => hedges.take(),
      note: (ms: number) => hedges.note(tenant, ms),
    };
    const streams = new ReplicaStreams<T>({ clock, slowMs, hedge, streamsMax: STREAMS_MAX }, signal);
    const version = { number: view.newest.number, hash: view.hash };
    const losses = new Map<string, ReplicaAnswer<unknown>['losses']>();
    try {
      while (!quorums.isMet) {
        const shortage = quorums.shortage();
        if (shortage !== undefined) {
          const failures = quorums.failures();
          if (!failures.every(([, error]) => isAway(error))) throw shortage;
          return { away: failures.map(([failed]) => failed), shortage };
        }
        for (const id of quorums.next()) {
          const reader = member(id);
          streams.start(id, async (own) => {
            if (reader === undefined) throw writeErrors.ownerAway({ reason: 'no way to it is known' });
            try {
              return await open(reader, version, own);
            } catch (error) {
              if (meet === undefined || !isVersionUnknown(error)) throw error;
              await meet(id);
              return open(reader, version, own);
            }
          });
        }
        const event = await streams.next();
        const { id } = event;
        switch (event.kind) {
          case 'opened':
            if (event.answer.newer !== undefined) {
              // what it cannot tell may come from elsewhere: see `#learn`
              void meet?.(id).catch(() => {});
              return event.answer.newer;
            }
            // the wire may have handed it over already
            if (this.#newest() > version.number) return { number: this.#newest() };
            losses.set(id, event.answer.losses);
            break;
          case 'item':
            yield event.item;
            break;
          case 'ended':
            quorums.answered(id, losses.get(id)!);
            this.#failedUntilMs.delete(id);
            this.#vainUntilMs.delete(id);
            break;
          case 'failed':
            quorums.failed(id, event.error);
            this.#noteFailure(id);
            break;
          case 'slow':
            quorums.slow(id);
            if (!event.isHedge) this.#noteFailure(id);
            break;
        }
      }
    } finally {
      streams.close();
    }
    const gone = givenUp.map(goneText).filter((text) => text !== undefined);
    const warnings = [...new Set([...quorums.warnings(), ...gone])];
    return { warnings, missing: quorums.missing(), members: quorums.members(), copies: quorums.copies };
  }

  /** Waits until a version is known here that a member knows. */
  async #learn({ number }: Pick<RingStamp, 'number'>, round: number, signal: AbortSignal): Promise<void> {
    const { ring, clock } = this.#options;
    const behind = () => queryErrors.ringBehind({ known: this.#newest(), needed: number });
    if (round >= ROUNDS_MAX) throw behind();
    if (this.#newest() >= number) return;
    const late = timeout(clock, LEARN_MS_MAX);
    let stop = () => {};
    try {
      await new Promise<void>((resolve, reject) => {
        stop = ring.onChange(() => {
          if (this.#newest() >= number) resolve();
        });
        late.signal.addEventListener('abort', () => reject(behind()), { once: true });
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
    } finally {
      stop();
      late.cancel();
    }
  }

  /** Number of the newest version that is known here; 0: none. */
  #newest(): number {
    return this.#options.ring.current()?.newest.number ?? 0;
  }

  /** Members by zone, another zone first each time: those of the first zones hold all, and each of them is asked. */
  #rank({ newest }: RingView): (id: string) => number {
    const turn = this.#reads++;
    const zones = [...new Set(newest.members.map(({ zone }) => zone))].sort();
    const places = new Map<string, number>();
    for (const [i, { id, zone }] of newest.members.entries()) {
      const zoneRank = (zones.indexOf(zone) + turn) % zones.length;
      places.set(id, zoneRank * ZONE_RANK + ((i + turn) % newest.members.length));
    }
    const nowMs = this.#options.clock.monotonicMs();
    return (id) => (places.get(id) ?? LEFT_RANK) + ((this.#failedUntilMs.get(id) ?? 0) > nowMs ? FAILED_RANK : 0);
  }

  #noteFailure(id: string): void {
    if (this.#failedUntilMs.size >= FAILED_MEMBERS_MAX) this.#failedUntilMs.clear();
    this.#failedUntilMs.set(id, this.#options.clock.monotonicMs() + FAILED_MS);
  }
}

/** The end of a read. */
interface ReadEnd {
  readonly warnings: readonly string[];
  /** Errors that the read would have ended with, were it not allowed to be incomplete. */
  readonly missing: readonly string[];
  /** The members that were asked, under the view of the ring that counts. */
  readonly members: readonly AskedMember[];
  /** Members that answered for a set of owners, on average. */
  readonly copies: number;
}

/** Owners that could not be reached, and the error that the read ends with where that stays so. */
interface Away {
  readonly away: readonly string[];
  readonly shortage: AppError;
}

function isAway(error: unknown): boolean {
  return error instanceof AppError && AWAY_REASONS.has(error.reason);
}

function isVersionUnknown(error: unknown): boolean {
  return error instanceof AppError && error.reason === ringErrors.ringVersionUnknown.reason;
}

async function* once<T>(value: T): AsyncGenerator<T> {
  yield value;
}

/** Names of the metrics that the lists can match, any of them; undefined: any. */
function metricsOf(lists: readonly (readonly HeadMatcher[])[]): readonly string[] | undefined {
  if (lists.length === 0) return undefined;
  const names = new Set<string>();
  for (const matchers of lists) {
    const name = matchers.find((each) => each.name === METRIC_NAME && each.op === '=' && each.value !== '');
    if (name === undefined) return undefined;
    names.add(name.value);
  }
  return [...names];
}
