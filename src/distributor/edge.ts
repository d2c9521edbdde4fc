import type { FrameLimits, FrameTarget } from '../contract/ingest.ts';
import type { Clock } from '../lib/clock.ts';
import { Pacer } from '../lib/pacer.ts';
import { TokenBucket } from '../limits/token-bucket.ts';
import { AppError } from '../model/errors.ts';
import { writeErrors } from '../model/errors-write.ts';
import type { MetricMetadata } from '../model/metric-metadata.ts';
import { FRAME_HEADER_BYTES, SAMPLES_PER_FRAME_MAX } from '../wire/frame-layout.ts';
import { FrameView, LABEL_BYTES_MAX } from '../wire/frames.ts';
import { judgeBody, judgeScanned, nothingJudged, SERIES_WORK, type Step, type Work } from './body-judge.ts';
import type { EdgeAnswer, EdgeLimits, EdgePush } from './edge-push.ts';
import { BufferPool, type FramePart, frameParts, onlyPart, PART_BYTES } from './frame-parts.ts';
import { mediaOf } from './media.ts';
import {
  addLost,
  addResult,
  answer,
  type Lost,
  OK,
  refusalResponse,
  responseOf,
  seriesPerMetric,
  seriesPerUser,
  written,
} from './push-outcome.ts';
import { countRefused } from './refusals.ts';
import { Rewrites } from './rewrite.ts';
import { declaredBytes, keyText, Scratch } from './scratch.ts';
import { SeriesTally, type TenantTally } from './series-tally.ts';
import type { SharedRates } from './shared-rates.ts';
import { SlowPathWriter, type TimeBounds } from './slow-path.ts';
import { TenantTurns } from './tenant-turns.ts';

export interface EdgeOptions {
  readonly clock: Clock;
  /** Bytes of an inflated body. */
  readonly rawBytesMax: number;
  /** The secret that the targets make keys of series with, 16 bytes; absent: they get labels every time. */
  readonly seriesSecret?: Uint8Array | undefined;
  readonly targets: readonly FrameTarget[];
  /** Shared with other edges. */
  readonly rates?: SharedRates;
}

const NO_TIME_LIMIT = 9.2e18;

/** Bytes of an inflated body up to which it is judged in one go. */
const WHOLE_BYTES_MAX = 4 * 1024 * 1024;

/** Work of the slow path that is done in one go, some 20 ms: SERIES_WORK for each series and one for each label. */
const WHOLE_WORK_MAX = 65_000;
const WHOLE_SLOW_BYTES_MAX = 1024 * 1024;

/** A larger body is judged in slices of about so long. */
const SLICE_MS = 8;

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
  /** By target: whether it takes keys. */
  readonly #keysTaken: boolean[];
  readonly #buckets = new Map<string, TokenBucket>();
  readonly #buffers = new BufferPool();
  readonly #rewrites = new Rewrites();
  readonly #tally: SeriesTally;

  constructor(options: EdgeOptions) {
    this.#options = options;
    this.#small = new Scratch(options.seriesSecret);
    this.#slow = new SlowPathWriter(this.#small.kernel);
    this.#slowOfLarge = new SlowPathWriter(this.#small.kernel);
    this.#keysTaken = options.targets.map(() => false);
    this.#tally = new SeriesTally(options.targets, options.clock);
  }

  async push(request: EdgePush): Promise<EdgeAnswer> {
    try {
      const version = mediaOf(request.headers);
      const declared = declaredBytes(request.body, this.#options.rawBytesMax);
      const whole = declared <= WHOLE_BYTES_MAX ? this.#judgeWhole(request, version, declared) : undefined;
      if (whole !== undefined) return await this.#send(whole.work, whole.parts, version);
      return await this.#turns.run(request.tenant, () => this.#pushInSlices(request, version, declared));
    } catch (thrown) {
      return answer(responseOf(AppError.from(thrown)));
    }
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

  async #pushInSlices(request: EdgePush, version: 'v1' | 'v2', declared: number): Promise<EdgeAnswer> {
    const scratch = this.#large ?? new Scratch(this.#options.seriesSecret);
    this.#large = undefined;
    const work = this.#begin(request, version, declared, scratch, this.#slowOfLarge);
    const pacer = new Pacer(this.#options.clock, { sliceMs: SLICE_MS });
    for (const _ of this.#judge(work)) if (pacer.due) await pacer.pause();
    const sent = await this.#send(work, this.#parts(work), version);
    this.#slowOfLarge.clear();
    if (scratch.size <= SCRATCH_BYTES_KEPT_MAX) this.#large = scratch;
    return sent;
  }

  #begin(request: EdgePush, version: 'v1' | 'v2', declared: number, scratch: Scratch, slow: SlowPathWriter): Work {
    slow.clear();
    const raw = scratch.inflate(request.body, declared);
    const limits = storable(request.limits);
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
      useKnown: isSmall && this.#options.seriesSecret !== undefined && this.#keysTaken.every((taken) => taken),
      remembers: isSmall,
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

  #parts({ request, version, scratch, slow, judged }: Work): Iterable<FramePart> {
    const targets = this.#options.targets.length;
    if (version === 'v1' && targets === 1 && scratch.kernel.exports.scanSlow() === 0) {
      const scanned = scratch.frames.all;
      const areSmall = judged.samples <= SAMPLES_PER_FRAME_MAX && scanned.length <= PART_BYTES;
      if (areSmall) return onlyPart(scanned, this.#buffers);
    }
    const targetOf = this.#targetOf(request);
    return version === 'v1'
      ? frameParts(scratch.frames.all, slow.bytes, judged.ends, targets, targetOf, this.#buffers)
      : frameParts(slow.bytes, NO_FRAMES, [], targets, targetOf, this.#buffers);
  }

  /** Which target a frame is for: a metric's series stay together. */
  #targetOf({ tenant }: EdgePush): (frame: FrameView) => number {
    const targets = this.#options.targets.length;
    if (targets === 1) return () => 0;
    const salt = tenantSalt(tenant);
    return (frame) => ((frame.metricHash ^ salt) >>> 0) % targets;
  }

  /**
   * Sends frames part after part to each target.
   * @param parts may hold on to the memory of the work until they are through
   */
  async #send(work: Work, parts: Iterable<FramePart>, version: 'v1' | 'v2'): Promise<EdgeAnswer> {
    const { request, limits, judged, raw } = work;
    const { targets } = this.#options;
    const { series, samples, histograms, metadata, refusals } = judged;
    if (metadata.length > 0) await this.#setMetadata(work);
    const perUser = seriesPerUser(limits);
    const frameLimits: FrameLimits = {
      seriesPerUserMax: perUser.limit,
      seriesPerMetricMax: seriesPerMetric(limits).limit,
      outOfOrderMs: limits.outOfOrderTimeWindowMs,
      exemplarsMax: Math.ceil(limits.maxExemplars / targets.length),
      oldWindowsMax: limits.maxOldWindowsPerUser,
    };
    const lost: Lost = { samples: 0, histograms: 0, exemplars: 0 };
    /** Keys of series that a target does not have, by target. */
    const unknown = targets.map(() => new Set<string>());
    const push = async ({ target, frames }: FramePart, tally: TenantTally | undefined): Promise<void> => {
      const { length } = frames;
      const sent = await targets[target]!.push({
        tenant: request.tenant,
        frames: frames.buffer,
        bytes: length,
        limits: tally === undefined ? frameLimits : { ...frameLimits, seriesElsewhere: tally.others(target) },
      });
      tally?.report(target, sent.tenantSeries);
      this.#keysTaken[target] = sent.keysTaken;
      addResult(refusals, sent.result, limits);
      addLost(lost, sent.result);
      const back = new Uint8Array(sent.frames, 0, length);
      for (const at of sent.result.unknown) unknown[target]!.add(keyText(back, at + FRAME_HEADER_BYTES));
      this.#buffers.give(sent.frames);
    };
    const pushAll = async (tally?: TenantTally, oneByOne = false): Promise<void> => {
      const pushPart = (part: FramePart) => push(part, tally);
      await this.#pushAll(parts, pushPart, oneByOne);
      // a key is unknown for all parts alike, so what comes again keeps its order
      if (unknown.some(({ size }) => size > 0))
        await this.#pushAll(this.#unknownParts(work, unknown), pushPart, oneByOne);
    };
    if (perUser.limit === 0 || targets.length === 1) await pushAll();
    else await this.#tally.run(request.tenant, { series, limit: perUser.limit }, pushAll);
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
      response:
        version === 'v1' ? response : { ...response, headers: { ...response.headers, ...written(judged, lost) } },
    };
  }

  /** Part by part, so that others come in between. */
  async #setMetadata({ request, limits, judged }: Work): Promise<void> {
    for (const entries of metadataParts(judged.metadata)) {
      const refused = await this.#options.targets[0]!.setMetadata({
        tenant: request.tenant,
        entries,
        limits: { metricsMax: limits.maxMetadataPerUser, perMetricMax: limits.maxMetadataPerMetric },
      });
      for (const [reason, count] of Object.entries(refused)) countRefused(judged.metadataRefusals, reason, count);
    }
  }

  /** Each target gets its parts one after the other, and all of them something at a time, unless one by one. */
  async #pushAll(
    parts: Iterable<FramePart>,
    push: (part: FramePart) => Promise<void>,
    oneByOne: boolean,
  ): Promise<void> {
    const under: (Promise<void> | undefined)[] = this.#options.targets.map(() => undefined);
    let failure: { readonly reason: unknown } | undefined;
    for (const part of parts) {
      await under[part.target];
      if (failure !== undefined) break;
      under[part.target] = push(part).catch((reason: unknown) => {
        failure ??= { reason };
      });
      if (oneByOne) await under[part.target];
    }
    // all of them, also when one fails: what is not acknowledged will come again
    await Promise.all(under);
    if (failure !== undefined) throw failure.reason;
  }

  /**
   * The frames, now with labels, of series that a target did not know by their keys: it has dropped them since, or refused them. The
   * body is scanned once more for them.
   */
  #unknownParts({ request }: Work, unknown: readonly ReadonlySet<string>[]): FramePart[] {
    const scratch = this.#small;
    const work = this.#begin(
      request,
      'v1',
      declaredBytes(request.body, this.#options.rawBytesMax),
      scratch,
      this.#slow,
    );
    for (const _ of judgeScanned(work, false));
    const keys = new Set(unknown.flatMap((each) => [...each]));
    const wanted: Uint8Array[] = [];
    for (const { frames } of this.#parts(work)) {
      for (const frame = new FrameView(frames); frame.next(); ) {
        const key = frame.flags === 0 ? scratch.keyOf(frame.labels) : undefined;
        if (key !== undefined && keys.has(key)) wanted.push(frame.bytes.slice());
      }
      this.#buffers.give(frames.buffer);
    }
    return [
      ...frameParts(
        Buffer.concat(wanted),
        NO_FRAMES,
        [],
        this.#options.targets.length,
        this.#targetOf(request),
        this.#buffers,
      ),
    ];
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

/** Characters of metadata that a target takes in one go. */
const METADATA_PART_CHARS = 256 * 1024;

function* metadataParts(entries: readonly MetricMetadata[]): Generator<readonly MetricMetadata[], void> {
  let from = 0;
  let chars = 0;
  for (const [i, { metric, help, unit }] of entries.entries()) {
    chars += metric.length + help.length + unit.length;
    if (chars < METADATA_PART_CHARS) continue;
    yield entries.slice(from, i + 1);
    from = i + 1;
    chars = 0;
  }
  if (from < entries.length) yield entries.slice(from);
}

/** FNV-1a: spreads tenants that have the same metrics. */
function tenantSalt(tenant: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < tenant.length; i++) hash = Math.imul(hash ^ tenant.charCodeAt(i), 0x01000193);
  return hash;
}
