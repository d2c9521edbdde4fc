import {
  APPENDED,
  DUPLICATE_TIME,
  type FrameLimits,
  type FrameTarget,
  HELD,
  type IngestResult,
  LABELS_BYTES_MAX,
  OUT_OF_ORDER,
  REFUSED_LABELS_TOO_LONG,
  REFUSED_PER_METRIC,
  TOO_OLD,
  WINDOW_DENIED,
} from '../contract/ingest.ts';
import type { PushResponse } from '../contract/push.ts';
import { failureOf } from '../kit/http/failure.ts';
import type { Clock } from '../lib/clock.ts';
import { Pacer } from '../lib/pacer.ts';
import { TokenBucket } from '../limits/token-bucket.ts';
import { AppError } from '../model/errors.ts';
import { writeErrors } from '../model/errors-write.ts';
import type { MetricMetadata } from '../model/metric-metadata.ts';
import { type Fault, faultOf, shortened } from '../model/validate.ts';
import {
  FAULT_LABEL_INVALID,
  FAULT_NAME_TOO_LONG,
  FAULT_NO_NAME,
  FAULT_TOO_MANY_NAMES,
  FAULT_VALUE_TOO_LONG,
  FRAME_HEADER_BYTES,
  FRAME_KEY,
  FRAME_SLOW,
} from '../wire/frame-layout.ts';
import { FrameView, LABEL_BYTES_MAX } from '../wire/frames.ts';
import { RemoteWrite1Reader } from '../wire/remote-write-1.ts';
import { RemoteWrite2Reader } from '../wire/remote-write-2.ts';
import type { ReadSeries } from '../wire/write-request.ts';
import type { EdgeAnswer, EdgeLimits, EdgePush } from './edge-push.ts';
import { BufferPool, type FramePart, frameParts } from './frame-parts.ts';
import { mediaOf } from './media.ts';
import { countRefused, noRefusals, type Refusals, refuse } from './refusals.ts';
import { type Rewrite, Rewrites } from './rewrite.ts';
import { declaredBytes, keyText, type RawBody, Scratch } from './scratch.ts';
import { SeriesTally, type TenantTally } from './series-tally.ts';
import type { SharedRates } from './shared-rates.ts';
import { checkMetadata, outOfBounds, SlowPathWriter, type TimeBounds } from './slow-path.ts';
import { TenantTurns } from './tenant-turns.ts';

export interface EdgeOptions {
  readonly clock: Clock;
  /** Bytes of an inflated body. */
  readonly rawBytesMax: number;
  /** What the targets make keys of series with, 16 bytes; absent: they get labels every time. */
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
const SERIES_WORK = 16;
const WHOLE_SLOW_BYTES_MAX = 1024 * 1024;

/** A larger body is judged in slices of about so long. */
const SLICE_MS = 8;

/** Memory of a scratch up to which it is kept for the next large body. */
const SCRATCH_BYTES_KEPT_MAX = 24 * 1024 * 1024;

/** Series of a request of which it is said exactly why their labels are refused; others are counted by what the scan found first. */
const EXACT_FAULTS_MAX = 1_000;

/** Tenants with a rate whose buckets are kept; beyond, those that are full are forgotten. */
const BUCKETS_KEPT_MAX = 10_000;

/** A moment to pause, with the work since the last one; undefined: about one series. */
type Step = number | undefined;

/** What is known of a request once its body is read. */
interface Judged {
  /** Series in the body. */
  series: number;
  /** Floats, histograms and exemplars that are sent on. */
  samples: number;
  histograms: number;
  exemplars: number;
  metadata: readonly MetricMetadata[];
  /** They fail no request: its samples matter more. */
  readonly metadataRefusals: Refusals;
  /** Of each series of the slow path: where its frames end among the slow path's. */
  readonly ends: number[];
  readonly refusals: Refusals;
}

/** A request on its way through the edge. */
interface Work {
  readonly request: EdgePush;
  readonly limits: EdgeLimits;
  readonly bounds: TimeBounds;
  readonly rewrite: Rewrite | undefined;
  readonly scratch: Scratch;
  readonly slow: SlowPathWriter;
  readonly raw: RawBody;
  readonly version: 'v1' | 'v2';
  judged: Judged;
}

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
    return {
      request,
      limits,
      bounds: this.#timeBounds(limits),
      rewrite,
      scratch,
      slow,
      raw,
      version,
      judged: nothingJudged(),
    };
  }

  /** Checks a body and makes its frames; then its samples are charged. @throws AppError */
  *#judge(work: Work): Generator<Step, void> {
    yield* work.version === 'v1' ? this.#judgeV1(work) : this.#judgeV2(work);
    const { judged, slow, request, limits } = work;
    judged.samples += slow.samples;
    judged.histograms = slow.histograms;
    judged.exemplars = slow.exemplars;
    const { samples, histograms, exemplars, metadata } = judged;
    this.#charge(request, samples + histograms + exemplars, metadata.length, limits);
  }

  *#judgeV1(work: Work): Generator<Step, void> {
    const { limits, scratch, raw, slow } = work;
    const { exports } = scratch.kernel;
    // keys are remembered where most requests come by
    const useKnown =
      scratch === this.#small && this.#options.seriesSecret !== undefined && this.#keysTaken.every((taken) => taken);
    const isSure = yield* this.#judgeScanned(work, useKnown);
    if (!isSure) {
      // a target takes what comes with labels at once, and a sample of the same series that came before it with a key, and is sent again
      // with labels, would be late
      work.judged = nothingJudged();
      slow.clear();
      yield* this.#judgeScanned(work, false);
    }
    const { judged } = work;
    if ((exports.scanExtras() & 1) === 0) return;
    const reader = new RemoteWrite1Reader(scratch.bytesOf(raw));
    yield* reader.metadataSteps();
    judged.metadata = checkMetadata(reader.metadata, limits, judged.metadataRefusals);
  }

  /** @returns whether no series may have come both with its key and with its labels */
  *#judgeScanned(work: Work, useKnown: boolean): Generator<Step, boolean> {
    const { request, limits, bounds, rewrite, scratch, raw, judged } = work;
    const { exports } = scratch.kernel;
    yield* scratch.scan(request.tenant, raw, limits, bounds, rewrite, useKnown);
    if (useKnown && rewrite === undefined && exports.scanSlow() > 0) return false;
    judged.series = exports.scanSeries();
    judged.samples = exports.scanSamples();
    if (exports.scanDropped() > 0) countRefused(judged.refusals, DROPPED_REASON, exports.scanDropped());
    this.#refuseOutOfBounds(work);
    if (exports.scanSlow() === 0) return true;
    const became = yield* this.#judgeSlow(work);
    return !useKnown || !hasKey(scratch.frames, became);
  }

  /** Samples that the scan has left out for their times. */
  #refuseOutOfBounds({ scratch, raw, bounds, limits, judged }: Work): void {
    const { exports } = scratch.kernel;
    const [tooOld, tooNew] = [exports.scanTooOld(), exports.scanTooNew()];
    if (tooOld + tooNew === 0) return;
    const timeMs = exports.scanFirstOutTime();
    const reader = new RemoteWrite1Reader(scratch.bytesOf(raw));
    const pairs = reader.labelsAt(exports.scanFirstOutAt(), exports.scanFirstOutBytes());
    const first = outOfBounds(pairs, timeMs, bounds, limits);
    const other = outOfBounds(pairs, timeMs > bounds.toMs ? bounds.fromMs - 1 : bounds.toMs + 1, bounds, limits);
    const [ofFirst, ofOther] = timeMs > bounds.toMs ? [tooNew, tooOld] : [tooOld, tooNew];
    refuse(judged.refusals, first, ofFirst);
    if (ofOther > 0) refuse(judged.refusals, other, ofOther);
  }

  /** @returns keys of the series that came the slow path and are sent on, where rules have changed them */
  *#judgeSlow({
    limits,
    bounds,
    rewrite,
    scratch,
    slow,
    raw,
    judged,
  }: Work): Generator<Step, ReadonlySet<string | undefined>> {
    const reader = new RemoteWrite1Reader(scratch.bytesOf(raw));
    const became = new Set<string | undefined>();
    /** What the rules have made of series: where the frames of each begin; undefined: it is dropped. */
    const outcomes: { readonly bodyAt: number; readonly bodyBytes: number; readonly from: number | undefined }[] = [];
    let faults = 0;
    try {
      for (const frames = scratch.frames; frames.next(); ) {
        if (!frames.has(FRAME_SLOW)) continue;
        const { fault, bodyAt, bodyBytes } = frames;
        if (fault !== 0 && ++faults > EXACT_FAULTS_MAX) {
          countRefused(judged.refusals, FAULT_REASONS[fault]!, frames.faultSamples);
          if (faults % FAULTS_PER_STEP === 0) yield;
          continue;
        }
        const sent = reader.seriesAt(bodyAt, bodyBytes);
        const series = rewritten(sent, rewrite);
        const from = slow.length;
        if (series === undefined) countRefused(judged.refusals, DROPPED_REASON, samplesOf(sent));
        else yield* slow.add(series, limits, bounds, judged.refusals);
        if (fault === 0) judged.ends.push(slow.length);
        if (rewrite !== undefined && (series === undefined || slow.length > from)) {
          outcomes.push({ bodyAt, bodyBytes, from: series === undefined ? undefined : from });
        }
        yield workOf(sent);
      }
    } finally {
      // also where the body turns out too large to be judged in one go: the next one is then known in part
      // at the end: what remembers them may grow the memory under the frames
      for (const { bodyAt, bodyBytes, from } of outcomes) {
        const frame = from === undefined ? undefined : firstFrame(slow.bytes.subarray(from));
        if (scratch === this.#small) scratch.remember(raw, bodyAt, bodyBytes, frame);
        if (frame !== undefined) became.add(scratch.keyOf(frame.labels));
      }
    }
    return became;
  }

  *#judgeV2({ limits, bounds, rewrite, scratch, slow, raw, judged }: Work): Generator<Step, void> {
    const reader = new RemoteWrite2Reader(scratch.bytesOf(raw), this.#options.rawBytesMax);
    for (const series of reader.series()) {
      if (series === undefined) {
        yield;
        continue;
      }
      const became = rewritten(series, rewrite);
      if (became === undefined) countRefused(judged.refusals, DROPPED_REASON, samplesOf(series));
      else yield* slow.add(became, limits, bounds, judged.refusals);
      judged.series++;
      yield workOf(series);
    }
    judged.metadata = checkMetadata(reader.metadata, limits, judged.metadataRefusals);
  }

  #parts({ request, version, scratch, slow, judged }: Work): Generator<FramePart, void> {
    const targets = this.#options.targets.length;
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

  async #setMetadata({ request, limits, judged }: Work): Promise<void> {
    const refused = await this.#options.targets[0]!.setMetadata({
      tenant: request.tenant,
      entries: judged.metadata,
      limits: { metricsMax: limits.maxMetadataPerUser, perMetricMax: limits.maxMetadataPerMetric },
    });
    for (const [reason, count] of Object.entries(refused)) countRefused(judged.metadataRefusals, reason, count);
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
    for (const _ of this.#judgeScanned(work, false));
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

function nothingJudged(): Judged {
  return {
    series: 0,
    samples: 0,
    histograms: 0,
    exemplars: 0,
    metadata: [],
    ends: [],
    refusals: noRefusals(),
    metadataRefusals: noRefusals(),
  };
}

/** Under this samples are counted that the tenant's own rules drop. */
const DROPPED_REASON = 'relabel_configuration';

/** The series as the rules change it; undefined: they drop it. */
function rewritten(series: ReadSeries, rewrite: Rewrite | undefined): ReadSeries | undefined {
  if (rewrite === undefined || series.labelsFault !== undefined) return series;
  const pairs = rewrite.apply(series.pairs);
  return pairs === undefined ? undefined : { ...series, pairs };
}

function samplesOf({ samples, histograms }: ReadSeries): number {
  return samples.count + histograms.length;
}

function firstFrame(bytes: Uint8Array): FrameView {
  const frame = new FrameView(bytes);
  frame.next();
  return frame;
}

/** Whether one of the frames names its series by one of these keys. */
function hasKey(frames: FrameView, keys: ReadonlySet<string | undefined>): boolean {
  if (keys.size === 0) return false;
  // labels too long to make a key of may be anybody's
  if (keys.has(undefined)) return true;
  const bytes = frames.all;
  // mostly none is: two bytes of each tell that without a text
  const starts = new Uint8Array(65_536);
  for (const key of keys) starts[key!.charCodeAt(0) | (key!.charCodeAt(1) << 8)] = 1;
  while (frames.next()) {
    if (!frames.has(FRAME_KEY)) continue;
    const at = frames.labelsAt;
    if (starts[bytes[at]! | (bytes[at + 1]! << 8)] === 1 && keys.has(keyText(bytes, at))) return true;
  }
  return false;
}

/** Many labels are also sorted and compared. */
function workOf({ pairs }: ReadSeries): number {
  const labels = pairs.length / 2;
  return SERIES_WORK + (labels > MANY_LABELS ? 5 * labels : labels);
}

const MANY_LABELS = 64;

const NO_FRAMES = new Uint8Array(0);

/** Series that are only counted, between two moments to pause. */
const FAULTS_PER_STEP = 65_536;

/** Why labels are refused, by FAULT_…. */
const FAULT_REASONS: Readonly<Record<number, string>> = {
  [FAULT_LABEL_INVALID]: writeErrors.labelInvalid.reason,
  [FAULT_TOO_MANY_NAMES]: writeErrors.maxLabelNamesPerSeries.reason,
  [FAULT_NAME_TOO_LONG]: writeErrors.labelNameTooLong.reason,
  [FAULT_VALUE_TOO_LONG]: writeErrors.labelValueTooLong.reason,
  [FAULT_NO_NAME]: writeErrors.missingMetricName.reason,
};

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

/** Headers of remote write 2.0. */
function written({ samples, histograms, exemplars }: Judged, lost: Lost): Record<string, string> {
  return {
    'X-Prometheus-Remote-Write-Samples-Written': String(samples - lost.samples),
    'X-Prometheus-Remote-Write-Histograms-Written': String(histograms - lost.histograms),
    'X-Prometheus-Remote-Write-Exemplars-Written': String(exemplars - lost.exemplars),
  };
}

/** FNV-1a: spreads tenants that have the same metrics. */
function tenantSalt(tenant: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < tenant.length; i++) hash = Math.imul(hash ^ tenant.charCodeAt(i), 0x01000193);
  return hash;
}

const OK: PushResponse = { status: 204, headers: {}, text: '' };

/** What was sent to shards and not kept there. */
interface Lost {
  samples: number;
  histograms: number;
  exemplars: number;
}

function addLost(
  lost: Lost,
  { counts, refused, windowsDenied = 0, histogramsLost, exemplarsLost }: IngestResult,
): void {
  const whole = refused + windowsDenied;
  const notKept = counts.reduce((sum, n, answer) => (answer === APPENDED || answer === HELD ? sum : sum + n), whole);
  lost.samples += notKept - histogramsLost;
  lost.histograms += histogramsLost;
  lost.exemplars += exemplarsLost;
}

interface NamedLimit {
  readonly name: string;
  readonly limit: number;
}

/** A process has all ingesters that there are: what holds for one holds for all together. */
function seriesPerUser({ maxSeriesPerUser, maxGlobalSeriesPerUser }: EdgeLimits): NamedLimit {
  return lower(
    { name: 'max_series_per_user', limit: maxSeriesPerUser },
    { name: 'max_global_series_per_user', limit: maxGlobalSeriesPerUser },
  );
}

function seriesPerMetric({ maxSeriesPerMetric, maxGlobalSeriesPerMetric }: EdgeLimits): NamedLimit {
  return lower(
    { name: 'max_series_per_metric', limit: maxSeriesPerMetric },
    { name: 'max_global_series_per_metric', limit: maxGlobalSeriesPerMetric },
  );
}

/** 0 is no limit. */
function lower(a: NamedLimit, b: NamedLimit): NamedLimit {
  if (a.limit === 0 || b.limit === 0) return a.limit === 0 ? b : a;
  return b.limit < a.limit ? b : a;
}

/** Adds what a shard did not keep. */
function addResult(refusals: Refusals, result: IngestResult, limits: EdgeLimits): void {
  const { first, counts, refused } = result;
  if (first === undefined) return;
  const { timeMs, newestMs: lastMs } = first;
  const series = shortened(first.labels);
  const reasons: [samples: number, fault: Fault, isFirst: boolean][] = [
    [
      counts[OUT_OF_ORDER]!,
      faultOf(writeErrors.sampleOutOfOrder, () => ({ series, timeMs, lastMs })),
      first.answer === OUT_OF_ORDER,
    ],
    [
      counts[DUPLICATE_TIME]!,
      faultOf(writeErrors.newValueForTimestamp, () => ({ series, timeMs })),
      first.answer === DUPLICATE_TIME,
    ],
    [
      counts[TOO_OLD]!,
      faultOf(writeErrors.sampleTooOld, () => ({ series, timeMs, windowMs: limits.outOfOrderTimeWindowMs })),
      first.answer === TOO_OLD,
    ],
    [
      result.windowsDenied ?? 0,
      faultOf(writeErrors.tooManyOldWindows, () => ({ series, timeMs, limit: limits.maxOldWindowsPerUser })),
      first.answer === WINDOW_DENIED,
    ],
    [
      refused,
      first.series === REFUSED_PER_METRIC
        ? faultOf(writeErrors.perMetricSeriesLimit, () => ({ series, ...seriesPerMetric(limits) }))
        : first.series === REFUSED_LABELS_TOO_LONG
          ? faultOf(writeErrors.seriesLabelsTooLong, () => ({ limit: LABELS_BYTES_MAX }))
          : faultOf(writeErrors.perUserSeriesLimit, () => seriesPerUser(limits)),
      first.series !== undefined,
    ],
  ];
  // the first offender's text is its own; the others only add to the counts
  for (const [samples, fault, isFirst] of reasons) if (samples > 0 && isFirst) refuse(refusals, fault, samples);
  for (const [samples, fault, isFirst] of reasons) if (samples > 0 && !isFirst) refuse(refusals, fault, samples);
}

function refusalResponse(first: AppError, refused: number, samples: number): PushResponse {
  const text =
    refused > 1 ? `${first.message} (and ${refused - 1} more samples refused; the others are kept)` : first.message;
  return { status: failureOf(first).status, headers: {}, text: samples > 0 || refused > 0 ? text : first.message };
}

function responseOf(error: AppError): PushResponse {
  const { status, headers, text } = failureOf(error);
  return { status, headers, text };
}

function answer(response: PushResponse): EdgeAnswer {
  return { response, samples: 0, series: 0, metadata: 0, discarded: {}, discardedMetadata: {}, rawBytes: 0 };
}
