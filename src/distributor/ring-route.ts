import type { FrameLimits } from '../contract/ingest.ts';
import type { MemberTarget } from '../contract/member.ts';
import type { RingStamp } from '../contract/ring-stamp.ts';
import { assert } from '../lib/assert.ts';
import { after, type Clock } from '../lib/clock.ts';
import { getOrMake } from '../lib/map.ts';
import { decodeLabels } from '../model/canonical.ts';
import { AppError } from '../model/errors.ts';
import { writeErrors } from '../model/errors-write.ts';
import type { MetricMetadata } from '../model/metric-metadata.ts';
import { writeQuorum } from '../ring/quorum.ts';
import { metricHashOf } from '../ring/slots.ts';
import type { RingSource, RingView } from '../ring/view.ts';
import type { BufferPool } from '../wire/buffer-pool.ts';
import { FRAME_EXEMPLARS, FRAME_KEY } from '../wire/frame-layout.ts';
import { decodeRefusals, type FrameRefusal } from '../wire/frame-refusals.ts';
import { FrameView } from '../wire/frames.ts';
import type { EdgeLimits, EdgePush } from './edge-push.ts';
import type { FramePart } from './frame-parts.ts';
import { MemberLane } from './member-lane.ts';
import { metadataParts } from './metadata-parts.ts';
import { PartOutcome } from './part-outcome.ts';
import { refusalFault, seriesPerMetric, seriesPerUser } from './push-outcome.ts';
import { countRefused, refuse } from './refusals.ts';
import { RingTally } from './ring-tally.ts';
import type { Outgoing, Route, Sending } from './route.ts';

/** The ingesters that an edge sends to. */
export interface RingTargets {
  readonly source: RingSource;
  /** The way to a member; undefined: there is none, it counts as away. */
  member(id: string): MemberTarget | undefined;
  /**
   * Learns the version that a member spoke of. Resolves when `source` has it, or one that is newer.
   * @throws AppError where it cannot be had
   */
  learn(version: RingStamp, from: string): Promise<void>;
}

/** How long owners may take before they count as away. */
const ANSWER_MS_MAX = 10_000;

/** Frames with labels that an owner gets in one go, where others get keys. */
const LABELLED_BYTES = 1024 * 1024;

/** A version is newer than the one that a request was sent under. */
export class RingMoved extends Error {
  readonly version: RingStamp;
  readonly from: string;

  constructor(version: RingStamp, from: string) {
    super(`${from} knows version ${version.number} of the ring`);
    this.version = version;
    this.from = from;
  }
}

/** The way to the owners on the ring: each sample goes to all of its arc, and a quorum of them must have kept it. */
export class RingRoute implements Route {
  readonly targets: RingTargets;
  readonly buffers: BufferPool;
  readonly clock: Clock;
  readonly tally = new RingTally();
  /** By member. */
  readonly #lanes = new Map<string, MemberLane>();

  constructor(targets: RingTargets, buffers: BufferPool, clock: Clock) {
    this.targets = targets;
    this.buffers = buffers;
    this.clock = clock;
  }

  get takesKeys(): boolean {
    for (const { keysTaken } of this.#lanes.values()) if (keysTaken) return true;
    return false;
  }

  begin(request: EdgePush, limits: EdgeLimits): Sending {
    const view = this.targets.source.current();
    if (view === undefined) throw writeErrors.ringUnknownToWriter({});
    return new RingSending(this, view, request.tenant, limits);
  }

  /** The way to a member; undefined: there is none now. */
  lane(id: string, view: RingView): MemberLane | undefined {
    const target = this.targets.member(id);
    const known = this.#lanes.get(id);
    if (known !== undefined && known.target === target) return known;
    this.#lanes.delete(id);
    if (target === undefined) return undefined;
    if (this.#lanes.size > 2 * view.newest.members.length) this.#forgetIdle();
    const lane = new MemberLane(id, target);
    this.#lanes.set(id, lane);
    return lane;
  }

  #forgetIdle(): void {
    for (const [id, lane] of this.#lanes) if (lane.isIdle) this.#lanes.delete(id);
  }
}

/** An owner's answer to a part. */
interface OwnerAnswer {
  readonly refusals: readonly FrameRefusal[];
  /** Why it refuses all of them. */
  readonly error?: AppError;
  readonly exemplarsLost: number;
}

/** A part whose frames are numbered among all that go to the same owners. */
interface NumberedPart extends FramePart {
  readonly first: number;
}

/** Owners that are the same for all arcs that have them. */
interface OwnerSet {
  readonly ids: readonly string[];
  /** Frames sent to them so far. */
  frames: number;
}

/** A quorum that was missed. */
interface Shortage {
  readonly found: number;
  readonly reasons: readonly string[];
}

class RingSending implements Sending {
  readonly hashLabels: boolean;
  readonly onlyTarget: number | undefined;
  readonly #route: RingRoute;
  readonly #view: RingView;
  readonly #tenant: string;
  readonly #limits: EdgeLimits;
  /** The newest version known, and the one whose owners are written to. */
  readonly #versions: { readonly version: RingStamp; readonly writing: number };
  readonly #sets: OwnerSet[] = [];
  readonly #setOfIds = new Map<string, number>();
  readonly #setOfArc = new Map<number, number>();
  #lastArc = -1;
  #lastSet = 0;
  /** The last push to each member: a series' samples keep their order. */
  readonly #turns = new Map<MemberLane, Promise<unknown>>();
  /** All frames with labels, by set and number; made when first needed. */
  #labelled: Uint8Array[][] | undefined;
  #shortage: Shortage | undefined;
  #moved: RingMoved | undefined;

  constructor(route: RingRoute, view: RingView, tenant: string, limits: EdgeLimits) {
    this.#route = route;
    this.#view = view;
    this.#tenant = tenant;
    this.#limits = limits;
    this.#versions = {
      version: { number: view.newest.number, hash: view.hash },
      writing: view.writing.number,
    };
    const sizes = view.writing.tenants.get(tenant);
    this.hashLabels = sizes !== undefined && sizes.splits.size > 0;
    this.onlyTarget = sizes === undefined ? this.#setOf(view.slots.arcOf(tenant, 0, 0)) : undefined;
  }

  targetOf(frame: FrameView): number {
    return this.#setOf(this.#view.slots.arcOf(this.#tenant, frame.metricHash, frame.labelsHash));
  }

  #setOf(arc: number): number {
    if (arc === this.#lastArc) return this.#lastSet;
    this.#lastArc = arc;
    this.#lastSet = getOrMake(this.#setOfArc, arc, () => {
      const ids = this.#view.ownersOf(arc).toSorted();
      return getOrMake(this.#setOfIds, ids.join('\0'), () => this.#sets.push({ ids, frames: 0 }) - 1);
    });
    return this.#lastSet;
  }

  async send(outgoing: Outgoing): Promise<undefined> {
    await this.#setMetadata(outgoing);
    const oneByOne = await this.#isNearLimit(outgoing);
    const under: (Promise<void> | undefined)[] = [];
    for (const part of outgoing.parts) {
      await under[part.target];
      if (this.#shortage !== undefined || this.#moved !== undefined) break;
      under[part.target] = this.#sendPart(part, outgoing);
      // what these owners answer counts for the next
      if (oneByOne) await under[part.target];
    }
    await Promise.all(under);
    if (this.#moved !== undefined) throw this.#moved;
    if (this.#shortage !== undefined) throw this.#tooFew(this.#shortage);
  }

  /** An owner may answer after the quorum, and lack series that others know by their keys. */
  async through(): Promise<void> {
    // each waits for those before it at its member
    await Promise.all(this.#turns.values());
  }

  /** Whether the request may bring the tenant to its limit on series, were all of its own new. A tenant of one slot is held to it by its owners alone. */
  async #isNearLimit({ judged }: Outgoing): Promise<boolean> {
    const { limit } = seriesPerUser(this.#limits);
    if (limit === 0 || this.onlyTarget !== undefined) return false;
    const { tally } = this.#route;
    const ask = async (id: string) => {
      const lane = this.#route.lane(id, this.#view);
      if (lane !== undefined) await this.#pushFrames(lane, new Uint8Array(0));
    };
    // who cannot say how many it has is away for the request itself, too
    await this.#settled((settle) => {
      const silent = tally.silent(this.#view, this.#tenant);
      void Promise.allSettled(silent.map(ask)).then(settle);
    });
    return tally.total(this.#view, this.#tenant) + judged.series > limit;
  }

  #tooFew({ found, reasons }: Shortage): AppError {
    return writeErrors.tooFewReplicas({ wanted: writeQuorum(this.#view.writing.replicas), found, reasons });
  }

  /**
   * Sends a part to all its owners. Resolves when no owner that is still to answer can change what becomes of it. One buffer is read by
   * all of them, and given back by the last.
   */
  async #sendPart(part: FramePart, outgoing: Outgoing): Promise<void> {
    const set = this.#sets[part.target]!;
    const first = set.frames;
    const { count } = part;
    set.frames += count;
    const { replicas } = this.#view.writing;
    const outcome = new PartOutcome(set.ids.length, replicas);
    const answers: OwnerAnswer[] = [];
    const reasons: string[] = [];
    let readers = set.ids.length + 1;
    const done = () => {
      if (--readers === 0) this.#route.buffers.give(part.frames.buffer);
    };
    await this.#settled((settle) => {
      for (const id of set.ids) {
        void this.#ask(id, { ...part, first }, outgoing)
          .then(
            (answer) => {
              answers.push(answer);
              outcome.add(answer.refusals.map(({ frame }) => frame));
            },
            (error: Error) => {
              if (error instanceof RingMoved) this.#moved ??= error;
              reasons.push(`${id}: ${error.message}`);
              outcome.add(undefined);
            },
          )
          .finally(() => {
            done();
            if (outcome.isSettled) settle();
          });
      }
    });
    const { outcome: what, refused, answeredMin } = outcome.outcome(count);
    this.#count(refused, answers, part, first, outgoing);
    if (what === 'unavailable') this.#shortage ??= { found: answeredMin, reasons: [...reasons] };
    done();
  }

  /** Resolves when `begin` has settled it, or when time is up. */
  #settled(begin: (settle: () => void) => void): Promise<void> {
    return new Promise((resolve) => {
      const timeUp = after(this.#route.clock, ANSWER_MS_MAX, resolve);
      begin(() => {
        timeUp.cancel();
        resolve();
      });
    });
  }

  /** One owner's answer to a part, in its turn. @throws where it is away */
  async #ask(id: string, part: NumberedPart, outgoing: Outgoing): Promise<OwnerAnswer> {
    const lane = this.#route.lane(id, this.#view);
    const { length } = part.frames;
    if (lane === undefined) throw writeErrors.ownerAway({ reason: 'nobody knows the way to it' });
    if (!lane.enter(length)) throw writeErrors.ownerAway({ reason: 'it is behind with what it was sent' });
    const before = this.#turns.get(lane);
    const ask = async () => {
      try {
        return await this.#push(lane, part, outgoing);
      } catch (error) {
        const refused = refusalOfAll(error, part.frames);
        if (refused === undefined) throw error;
        return refused;
      } finally {
        lane.leave(length);
      }
    };
    const answer = before === undefined ? ask() : before.then(ask);
    this.#turns.set(
      lane,
      answer.catch(() => {}),
    );
    return answer;
  }

  async #push(lane: MemberLane, part: NumberedPart, outgoing: Outgoing) {
    const { frames, target, first, count } = part;
    if (outgoing.hasKeys && !lane.keysTaken && hasKeys(frames)) {
      const all = Array.from({ length: count }, (_, frame) => frame);
      return this.#pushLabelled(lane, { target, first }, all, outgoing);
    }
    const { refusals, exemplarsLost, unknown } = await this.#pushFrames(lane, frames);
    if (unknown.length === 0) return { refusals, exemplarsLost };
    // all frames of a series have its key, so what comes again keeps its order
    const again = await this.#pushLabelled(lane, { target, first }, unknown, outgoing);
    return { refusals: [...refusals, ...again.refusals], exemplarsLost: exemplarsLost + again.exemplarsLost };
  }

  async #pushFrames(lane: MemberLane, frames: Uint8Array) {
    const limits = this.#limitsAt(lane.id);
    const answer = await lane.target.push({ tenant: this.#tenant, frames, limits, ...this.#versions });
    if (answer.newer !== undefined) throw new RingMoved(answer.newer, lane.id);
    lane.keysTaken = answer.keysTaken;
    if (answer.tenantSeries !== undefined && this.onlyTarget === undefined) {
      this.#route.tally.report(this.#tenant, lane.id, answer.tenantSeries);
    }
    const refusals = answer.refusals === undefined ? [] : decodeRefusals(answer.refusals);
    return { refusals, exemplarsLost: answer.exemplarsLost, unknown: answer.unknown };
  }

  /** Sends some frames of a part with labels. @param wanted their numbers in the part */
  async #pushLabelled(
    lane: MemberLane,
    { target, first }: { readonly target: number; readonly first: number },
    wanted: readonly number[],
    outgoing: Outgoing,
  ): Promise<OwnerAnswer> {
    const all = this.#framesWithLabels(outgoing)[target] ?? [];
    const refusals: FrameRefusal[] = [];
    let exemplarsLost = 0;
    for (let from = 0; from < wanted.length; ) {
      let to = from;
      for (let bytes = 0; to < wanted.length && (to === from || bytes < LABELLED_BYTES); to++) {
        const frame = all[first + wanted[to]!];
        assert(frame !== undefined, 'a body has other frames when it is scanned again');
        bytes += frame.length;
      }
      const numbers = wanted.slice(from, to);
      const sent = await this.#pushFrames(lane, Buffer.concat(numbers.map((number) => all[first + number]!)));
      for (const each of sent.refusals) refusals.push({ ...each, frame: numbers[each.frame]! });
      exemplarsLost += sent.exemplarsLost;
      from = to;
    }
    return { refusals, exemplarsLost };
  }

  #framesWithLabels(outgoing: Outgoing): readonly (readonly Uint8Array[])[] {
    if (this.#labelled === undefined) {
      const sets: Uint8Array[][] = [];
      for (const { target, frames } of outgoing.labelled()) {
        while (sets.length <= target) sets.push([]);
        for (const frame = new FrameView(frames); frame.next(); ) sets[target]!.push(frame.bytes.slice());
        this.#route.buffers.give(frames.buffer);
      }
      this.#labelled = sets;
    }
    return this.#labelled;
  }

  /** Adds what was refused of a part, as one of the owners that refused it tells it. */
  #count(
    refused: readonly number[],
    answers: readonly OwnerAnswer[],
    { target, frames }: FramePart,
    first: number,
    outgoing: Outgoing,
  ): void {
    const { judged, lost } = outgoing;
    if (answers.length > 0) lost.exemplars += Math.min(...answers.map(({ exemplarsLost }) => exemplarsLost));
    if (refused.length === 0) return;
    const told = new Map<number, { readonly refusal: FrameRefusal; readonly error: AppError | undefined }>();
    for (const { refusals, error } of answers) {
      for (const refusal of refusals) if (!told.has(refusal.frame)) told.set(refusal.frame, { refusal, error });
    }
    for (const number of refused) {
      const { refusal, error } = told.get(number)!;
      const labels = () =>
        this.#labelsOf(frames, number, () => this.#framesWithLabels(outgoing)[target]?.[first + number]);
      const fault =
        error === undefined
          ? refusalFault(refusal, labels, this.#limits)
          : { reason: error.reason, error: () => error };
      refuse(judged.refusals, fault, refusal.samples);
      lost.samples += refusal.samples - refusal.histograms;
      lost.histograms += refusal.histograms;
    }
  }

  #labelsOf(frames: Uint8Array, number: number, withLabels: () => Uint8Array | undefined): string {
    const frame = new FrameView(frames);
    for (let i = 0; i <= number; i++) frame.next();
    const { labels } = frame.has(FRAME_KEY) ? frameOf(withLabels()) : frame;
    return decodeLabels(labels, 0, labels.length).toString();
  }

  #limitsAt(member: string): FrameLimits {
    const limits = this.#limits;
    const { tally } = this.#route;
    const { limit } = seriesPerUser(limits);
    const isSpread = this.onlyTarget === undefined;
    const owners = isSpread ? tally.owners(this.#view, this.#tenant).size : 1;
    const share = isSpread ? Math.min(1, this.#view.newest.replicas / owners) : 1;
    return {
      seriesPerUserMax: limit,
      ...(isSpread && limit > 0 && { seriesElsewhere: tally.elsewhere(this.#view, this.#tenant, member) }),
      seriesPerMetricMax: seriesPerMetric(limits).limit,
      outOfOrderMs: limits.outOfOrderTimeWindowMs,
      exemplarsMax: Math.ceil(limits.maxExemplars * share),
      oldWindowsMax: limits.maxOldWindowsPerUser,
    };
  }

  /** Metadata goes to the owners of its metric, of the first part of one that is split. */
  async #setMetadata({ judged }: Outgoing): Promise<void> {
    if (judged.metadata.length === 0) return;
    const bySet = new Map<number, MetricMetadata[]>();
    for (const entry of judged.metadata) {
      const set = this.#setOf(this.#view.slots.arcOf(this.#tenant, metricHashOf(entry.metric), 0));
      getOrMake(bySet, set, () => [] as MetricMetadata[]).push(entry);
    }
    await Promise.all(
      [...bySet].map(async ([set, entries]) => {
        for (const part of metadataParts(entries)) {
          const refused = await this.#setPart(this.#sets[set]!.ids, part);
          for (const [reason, count] of Object.entries(refused)) countRefused(judged.metadataRefusals, reason, count);
        }
      }),
    );
  }

  /** @returns entries that were not taken, by reason, as the owner tells it that took most @throws AppError without a quorum */
  async #setPart(
    ids: readonly string[],
    entries: readonly MetricMetadata[],
  ): Promise<Readonly<Record<string, number>>> {
    const { maxMetadataPerUser: metricsMax, maxMetadataPerMetric: perMetricMax } = this.#limits;
    const outcome = new PartOutcome(ids.length, this.#view.writing.replicas);
    const answers: Readonly<Record<string, number>>[] = [];
    const reasons: string[] = [];
    await this.#settled((settle) => {
      for (const id of ids) {
        const ask = async () => {
          const lane = this.#route.lane(id, this.#view);
          if (lane === undefined) throw writeErrors.ownerAway({ reason: 'nobody knows the way to it' });
          const limits = { metricsMax, perMetricMax };
          const answer = await lane.target.setMetadata({
            tenant: this.#tenant,
            entries,
            limits,
            ...this.#versions,
          });
          if (answer.newer !== undefined) throw new RingMoved(answer.newer, id);
          return answer.refused;
        };
        void ask()
          .then(
            (refused) => {
              answers.push(refused);
              outcome.add([]);
            },
            (error: Error) => {
              if (error instanceof RingMoved) this.#moved ??= error;
              reasons.push(`${id}: ${error.message}`);
              outcome.add(undefined);
            },
          )
          .finally(() => {
            if (outcome.isSettled) settle();
          });
      }
    });
    if (this.#moved !== undefined) throw this.#moved;
    const { outcome: what, answeredMin } = outcome.outcome(1);
    if (what === 'unavailable') throw this.#tooFew({ found: answeredMin, reasons });
    const sum = (refused: Readonly<Record<string, number>>) => Object.values(refused).reduce((a, b) => a + b, 0);
    return answers.toSorted((a, b) => sum(a) - sum(b))[0]!;
  }
}

/** An error that says that the request is wrong, wherever it goes, refuses all its frames. */
function refusalOfAll(error: unknown, frames: Uint8Array): OwnerAnswer | undefined {
  if (!(error instanceof AppError) || error.facts.retry || error.facts.http < 400 || error.facts.http >= 500)
    return undefined;
  const refusals: FrameRefusal[] = [];
  for (const frame = new FrameView(frames); frame.next(); ) {
    const samples = frame.has(FRAME_EXEMPLARS) ? 0 : frame.samples;
    refusals.push({ frame: refusals.length, reason: 0, samples, histograms: 0, timeMs: 0, newestMs: 0 });
  }
  return { refusals, error, exemplarsLost: 0 };
}

function hasKeys(frames: Uint8Array): boolean {
  for (const frame = new FrameView(frames); frame.next(); ) if (frame.has(FRAME_KEY)) return true;
  return false;
}

function frameOf(bytes: Uint8Array | undefined): FrameView {
  assert(bytes !== undefined, 'a body has other frames when it is scanned again');
  const frame = new FrameView(bytes);
  frame.next();
  return frame;
}
