import type { FrameTarget } from '../contract/ingest.ts';
import type { Clock } from '../lib/clock.ts';
import { Pacer } from '../lib/pacer.ts';
import { TokenBucket } from '../limits/token-bucket.ts';
import { AppError } from '../model/errors.ts';
import { writeErrors } from '../model/errors-write.ts';
import { BufferPool } from '../wire/buffer-pool.ts';
import { SAMPLES_PER_FRAME_MAX } from '../wire/frame-layout.ts';
import { type FrameView, LABEL_BYTES_MAX } from '../wire/frames.ts';
import { judgeBody, judgeScanned, SERIES_WORK, type Step, type Work } from './body-judge.ts';
import type { EdgeAnswer, EdgeLimits, EdgePush } from './edge-push.ts';
import { type FramePart, frameParts, onlyPart, PART_BYTES } from './frame-parts.ts';
import { nothingJudged } from './judged.ts';
import { mediaOf } from './media.ts';
import { answer, type Lost, OK, refusalResponse, responseOf, written } from './push-outcome.ts';
import { Rewrites } from './rewrite.ts';
import { RingMoved, RingRoute, type RingTargets } from './ring-route.ts';
import type { Route, Sending } from './route.ts';
import { declaredBytes, Scratch } from './scratch.ts';
import { ShardRoute } from './shard-route.ts';
import type { SharedRates } from './shared-rates.ts';
import { SlowPathWriter, type TimeBounds } from './slow-path.ts';
import { TenantTurns } from './tenant-turns.ts';

interface EdgeOfAny {
  readonly clock: Clock;
  /** Bytes of an inflated body. */
  readonly rawBytesMax: number;
  /** The secret that the targets make keys of series with, 16 bytes; absent: they get labels every time. */
  readonly seriesSecret?: Uint8Array | undefined;
  /** Shared with other edges. */
  readonly rates?: SharedRates;
}

/** Sends to the shards of its process, where it has no ring. */
interface EdgeOfShards extends EdgeOfAny {
  readonly targets: readonly FrameTarget[];
}

/** Sends to the owners of a series' arc. */
interface EdgeOfRing extends EdgeOfAny {
  readonly ring: RingTargets;
}

export type EdgeOptions = EdgeOfShards | EdgeOfRing;

const NO_TIME_LIMIT = 9.2e18;

/** Bytes of an inflated body up to which it is judged in one go. */
const WHOLE_BYTES_MAX = 4 * 1024 * 1024;

/** Work of the slow path that is done in one go, 10 to 30 ms: SERIES_WORK for each series and one for each label. */
const WHOLE_WORK_MAX = 32_000;
const WHOLE_SLOW_BYTES_MAX = 1024 * 1024;

/** A larger body is judged in slices of about so long. */
const SLICE_MS = 8;

/** Versions of the ring that a request is sent under before its sender is asked to come again. */
const TRIES_MAX = 4;

/** Memory of a scratch up to which it is kept for the next large body. */
const SCRATCH_BYTES_KEPT_MAX = 24 * 1024 * 1024;

/** Tenants with a rate whose buckets are kept; beyond, those that are full are forgotten. */
const BUCKETS_KEPT_MAX = 10_000;

/**
 * The distributor's work on one request: judge its headers, inflate, scan and check it, and hand frames to the shards. A small body is
 * judged in one go. A large one waits for its tenant's turn and is judged in slices, so that others come in between, in memory that is
 * given back.
 */
export class Edge {
  readonly #options: EdgeOptions;
  readonly #small: Scratch;
  readonly #slow: SlowPathWriter;
  readonly #slowOfLarge: SlowPathWriter;
  /** Kept from the last large body, where that was not very large. */
  #large: Scratch | undefined;
  readonly #turns = new TenantTurns();
  readonly #route: Route;
  readonly #buckets = new Map<string, TokenBucket>();
  readonly #buffers = new BufferPool();
  readonly #rewrites = new Rewrites();

  constructor(options: EdgeOptions) {
    this.#options = options;
    this.#small = new Scratch(options.seriesSecret);
    this.#slow = new SlowPathWriter(this.#small.kernel);
    this.#slowOfLarge = new SlowPathWriter(this.#small.kernel);
    this.#route =
      'ring' in options
        ? new RingRoute(options.ring, this.#buffers, options.clock)
        : new ShardRoute(options.targets, this.#buffers, options.clock);
  }

  /** @param freed called once the body is not read any more: an owner that is slower than its quorum needs it after the answer */
  async push(request: EdgePush, freed?: () => void): Promise<EdgeAnswer> {
    const begun: Sending[] = [];
    try {
      const version = mediaOf(request.headers);
      for (let sent = request, tries = 1; ; tries++) {
        try {
          return await this.#pushOnce(sent, version, begun);
        } catch (thrown) {
          if (!(thrown instanceof RingMoved) || !('ring' in this.#options)) throw thrown;
          const { version: newer, from } = thrown;
          if (tries === TRIES_MAX) throw writeErrors.ringMoves(newer);
          await this.#options.ring.learn(newer, from);
          // it was charged
          sent = { ...request, limits: { ...request.limits, ingestionRate: 0 } };
        }
      }
    } catch (thrown) {
      return answer(responseOf(AppError.from(thrown)));
    } finally {
      if (freed !== undefined) void Promise.all(begun.map((each) => each.through())).then(freed);
    }
  }

  /** @param begun gets what is sent of it */
  async #pushOnce(request: EdgePush, version: 'v1' | 'v2', begun: Sending[]): Promise<EdgeAnswer> {
    const declared = declaredBytes(request.body, this.#options.rawBytesMax);
    const whole = declared <= WHOLE_BYTES_MAX ? this.#judgeWhole(request, version, declared) : undefined;
    if (whole === undefined)
      return this.#turns.run(request.tenant, () => this.#pushInSlices(request, version, declared, begun));
    begun.push(whole.work.sending);
    return this.#send(whole.work, whole.parts, version);
  }

  /** Judges a body and copies its frames, all in one go; undefined: it is too much for that. */
  #judgeWhole(
    request: EdgePush,
    version: 'v1' | 'v2',
    declared: number,
  ): { work: Work; parts: readonly FramePart[] } | undefined {
    const work = this.#begin(request, version, declared, this.#small, this.#slow);
    let done = 0;
    for (const step of this.#judge(work)) {
      done += step ?? SERIES_WORK;
      if (done > WHOLE_WORK_MAX || work.slow.length > WHOLE_SLOW_BYTES_MAX) return undefined;
    }
    return { work, parts: [...this.#parts(work)] };
  }

  async #pushInSlices(
    request: EdgePush,
    version: 'v1' | 'v2',
    declared: number,
    begun: Sending[],
  ): Promise<EdgeAnswer> {
    const scratch = this.#large ?? new Scratch(this.#options.seriesSecret);
    this.#large = undefined;
    const work = this.#begin(request, version, declared, scratch, this.#slowOfLarge);
    const pacer = new Pacer(this.#options.clock, { sliceMs: SLICE_MS });
    for (const _ of this.#judge(work)) if (pacer.due) await pacer.pause();
    begun.push(work.sending);
    const sent = await this.#send(work, this.#parts(work), version);
    this.#slowOfLarge.clear();
    if (scratch.size <= SCRATCH_BYTES_KEPT_MAX) this.#large = scratch;
    return sent;
  }

  #begin(
    request: EdgePush,
    version: 'v1' | 'v2',
    declared: number,
    scratch: Scratch,
    slow: SlowPathWriter,
    begun?: Sending,
  ): Work {
    slow.clear();
    const raw = scratch.inflate(request.body, declared);
    const limits = storable(request.limits);
    const sending = begun ?? this.#route.begin(request, limits);
    slow.hashLabels = sending.hashLabels;
    const rewrite = this.#rewrites.of(limits.rewrite);
    // series are remembered where most requests come by
    const isSmall = scratch === this.#small;
    return {
      request,
      limits,
      bounds: this.#timeBounds(limits),
      rewrite,
      scratch,
      slow,
      raw,
      rawBytesMax: this.#options.rawBytesMax,
      version,
      useKnown: isSmall && this.#options.seriesSecret !== undefined && this.#route.takesKeys,
      remembers: isSmall,
      sending,
      judged: nothingJudged(),
    };
  }

  /** Checks a body and makes its frames; then its samples are charged. @throws AppError */
  *#judge(work: Work): Generator<Step, void> {
    yield* judgeBody(work);
    const { request, limits } = work;
    const { samples, histograms, exemplars, metadata } = work.judged;
    this.#charge(request, samples + histograms + exemplars, metadata.length, limits);
  }

  #parts({ version, scratch, slow, judged, sending }: Work): Iterable<FramePart> {
    if (version === 'v1' && sending.onlyTarget !== undefined && scratch.kernel.exports.scanSlow() === 0) {
      const scanned = scratch.frames.all;
      const areSmall = judged.samples <= SAMPLES_PER_FRAME_MAX && scanned.length <= PART_BYTES;
      if (areSmall) return onlyPart(scanned, scratch.frameCount, sending.onlyTarget, this.#buffers);
    }
    const targetOf = (frame: FrameView) => sending.targetOf(frame);
    return version === 'v1'
      ? frameParts(scratch.frames.all, slow.bytes, judged.ends, targetOf, this.#buffers)
      : frameParts(slow.bytes, NO_FRAMES, [], targetOf, this.#buffers);
  }

  /** @param parts may hold on to the memory of the work until they are through */
  async #send(work: Work, parts: Iterable<FramePart>, version: 'v1' | 'v2'): Promise<EdgeAnswer> {
    const { judged, raw, sending, useKnown } = work;
    const lost: Lost = { samples: 0, histograms: 0, exemplars: 0, lateMs: Number.POSITIVE_INFINITY };
    const tenantSeries = await sending.send({
      judged,
      lost,
      hasKeys: useKnown && version === 'v1',
      parts,
      labelled: () => this.#labelled(work),
      keyOf: (labels) => this.#small.keyOf(labels),
    });
    const { series, samples, histograms, metadata, refusals } = judged;
    const refused = Object.values(refusals.byReason).reduce((sum, n) => sum + n, 0);
    const all = samples + histograms;
    const response = refusals.first === undefined ? OK : refusalResponse(refusals.first, refused, all);
    return {
      series,
      samples: all,
      metadata: metadata.length,
      rawBytes: raw.bytes,
      discarded: refusals.byReason,
      discardedMetadata: judged.metadataRefusals.byReason,
      ...(tenantSeries !== undefined && { tenantSeries }),
      ...(lost.lateMs < Number.POSITIVE_INFINITY && { lateMs: lost.lateMs }),
      response:
        version === 'v1' ? response : { ...response, headers: { ...response.headers, ...written(judged, lost) } },
    };
  }

  /** The frames of a request of remote write 1.0 that was judged whole, once more and all with labels: its body is scanned again. */
  #labelled(sent: Work): Iterable<FramePart> {
    const declared = declaredBytes(sent.request.body, this.#options.rawBytesMax);
    const again = this.#begin(sent.request, sent.version, declared, this.#small, this.#slow, sent.sending);
    // the same bounds: a sample that has become too old meanwhile is in a frame all the same
    const work = { ...again, bounds: sent.bounds };
    for (const _ of judgeScanned(work, false));
    return this.#parts(work);
  }

  #timeBounds(limits: EdgeLimits): TimeBounds {
    const nowMs = this.#options.clock.nowMs();
    const { minSampleMs = 0, retentionPeriodMs = 0 } = limits;
    const minMs = minSampleMs > 0 ? minSampleMs : -NO_TIME_LIMIT;
    const keptFromMs = retentionPeriodMs > 0 ? nowMs - retentionPeriodMs : -NO_TIME_LIMIT;
    const youngMs = limits.rejectOldSamples ? nowMs - limits.rejectOldSamplesMaxAgeMs : -NO_TIME_LIMIT;
    return {
      fromMs: Math.max(minMs, keptFromMs, youngMs),
      minMs,
      keptFromMs,
      toMs: limits.creationGracePeriodMs > 0 ? nowMs + limits.creationGracePeriodMs : NO_TIME_LIMIT,
      exemplarsToMs: nowMs + (limits.creationGracePeriodMs || EXEMPLAR_GRACE_MS),
    };
  }

  /** @throws rateLimited */
  #charge(request: EdgePush, samples: number, metadata: number, limits: EdgeLimits): void {
    const { ingestionRate: rate, ingestionBurstSize: burst } = limits;
    if (rate > 0 && !this.#grant(request, samples + metadata, rate, burst))
      throw writeErrors.rateLimited({ rate, samples, metadata });
  }

  #grant({ tenant, ratePlace }: EdgePush, count: number, rate: number, burst: number): boolean {
    const { rates, clock } = this.#options;
    if (rates !== undefined && ratePlace !== undefined) return rates.take(ratePlace, count, { rate, burst, clock });
    let bucket = this.#buckets.get(tenant);
    if (bucket === undefined) {
      if (this.#buckets.size >= BUCKETS_KEPT_MAX) this.#forgetFullBuckets();
      bucket = new TokenBucket(clock, burst);
      this.#buckets.set(tenant, bucket);
    }
    return bucket.take(count, rate, burst);
  }

  /** A bucket that is full is as good as a new one. */
  #forgetFullBuckets(): void {
    for (const [tenant, bucket] of this.#buckets) if (bucket.isFull) this.#buckets.delete(tenant);
  }
}

const NO_FRAMES = new Uint8Array(0);

/** How far ahead of our clock an exemplar may be where samples may be any time ahead: a series takes no exemplar before its newest. */
const EXEMPLAR_GRACE_MS = 600_000;

/** A tenant's limits, with those that a label has anyway: what is longer cannot be kept. */
function storable(limits: EdgeLimits): EdgeLimits {
  return {
    ...limits,
    maxLabelNameLength: Math.min(limits.maxLabelNameLength || LABEL_BYTES_MAX, LABEL_BYTES_MAX),
    maxLabelValueLength: Math.min(limits.maxLabelValueLength || LABEL_BYTES_MAX, LABEL_BYTES_MAX),
  };
}
