import type { Kernel } from '../chunk/kernel.ts';
import { Region } from '../chunk/region.ts';
import {
  APPENDED,
  DUPLICATE_TIME,
  type FrameTarget,
  HELD,
  type IngestResult,
  OUT_OF_ORDER,
  REFUSED_PER_METRIC,
  TOO_OLD,
} from '../contract/ingest.ts';
import type { PushResponse } from '../contract/push.ts';
import { failureOf } from '../kit/http/failure.ts';
import type { Clock } from '../lib/clock.ts';
import { TokenBucket } from '../limits/token-bucket.ts';
import { AppError } from '../model/errors.ts';
import { writeErrors } from '../model/errors-write.ts';
import { type Fault, faultOf } from '../model/validate.ts';
import { FRAME_HEADER_BYTES, FRAME_SLOW, KEY_BYTES } from '../wire/frame-layout.ts';
import { FrameView } from '../wire/frames.ts';
import { decodeRemoteWrite1 } from '../wire/remote-write-1.ts';
import { decodeRemoteWrite2 } from '../wire/remote-write-2.ts';
import type { EdgeAnswer, EdgeLimits, EdgePush } from './edge-push.ts';
import { mediaOf } from './media.ts';
import { noRefusals, type Refusals, refuse } from './refusals.ts';
import { checkMetadata, SlowPathWriter } from './slow-path.ts';

export interface EdgeOptions {
  readonly kernel: Kernel;
  readonly clock: Clock;
  /** Bytes of an inflated body. */
  readonly rawBytesMax: number;
  /** What the targets make keys of series with, 16 bytes; absent: they get labels every time. */
  readonly seriesSecret?: Uint8Array | undefined;
  readonly targets: readonly FrameTarget[];
}

const NO_TIME_LIMIT = 9.2e18;
const BUFFERS_KEPT_MAX = 16;
const SCAN_FULL = -2;
/** Of samples that are taken, Unix ms. */
interface TimeBounds {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Room before a tenant's id, for the kernel. */
const ID_AT = 32;
const TENANT_BYTES_MAX = 150;
const encoder = new TextEncoder();

/**
 * The distributor's work on one request: judge its headers, inflate, scan and check it, and hand frames to the shards. Its kernel is
 * a scratch one: hostile bytes never meet the memory that holds data.
 */
export class Edge {
  readonly #options: EdgeOptions;
  readonly #body: Region;
  readonly #raw: Region;
  readonly #frames: Region;
  readonly #slow: SlowPathWriter;
  /** ID_AT bytes, a tenant's id. */
  readonly #id: Region;
  readonly #key: Region;
  /** By target: whether it takes keys. */
  readonly #keysTaken: boolean[];
  readonly #buckets = new Map<string, TokenBucket>();
  /** Buffers that came back from shards. */
  readonly #buffers: ArrayBuffer[] = [];

  constructor(options: EdgeOptions) {
    this.#options = options;
    this.#body = new Region(options.kernel, 256 * 1024);
    this.#raw = new Region(options.kernel, 1024 * 1024);
    this.#frames = new Region(options.kernel, 1024 * 1024);
    this.#slow = new SlowPathWriter(options.kernel);
    this.#id = new Region(options.kernel, ID_AT + 3 * TENANT_BYTES_MAX);
    this.#key = new Region(options.kernel, KEY_BYTES);
    this.#keysTaken = options.targets.map(() => false);
    if (options.seriesSecret !== undefined) options.kernel.exports.scanInit(this.#id.put(options.seriesSecret));
  }

  async push(request: EdgePush): Promise<EdgeAnswer> {
    try {
      const media = mediaOf(request.headers);
      const raw = this.#inflate(request.body);
      return media === 'v1' ? await this.#pushV1(request, raw) : await this.#pushV2(request, raw);
    } catch (thrown) {
      const error = AppError.from(thrown);
      return answer(responseOf(error));
    }
  }

  /** @throws snappyInvalid, bodyTooLarge. Nothing is reserved for a length that the body only claims. */
  #inflate(body: Uint8Array): { at: number; bytes: number } {
    const { exports } = this.#options.kernel;
    const at = this.#body.put(body);
    const declared = exports.snappyLength(at, body.length);
    if (declared < 0) throw writeErrors.snappyInvalid({ reason: 'corrupt input' });
    const limit = this.#options.rawBytesMax;
    if (declared > limit) throw writeErrors.inflatedTooLarge({ bytes: declared, limit });
    // a block of snappy grows at most 64 bytes out of 3: what claims more lies
    if (declared > body.length * 24 + 64)
      throw writeErrors.snappyInvalid({ reason: 'corrupt input: the length in front is impossible' });
    const to = this.#raw.ensure(declared + 16);
    const bytes = exports.snappyDecode(at, body.length, to, this.#raw.bytes + 16);
    if (bytes < 0) throw writeErrors.snappyInvalid({ reason: 'corrupt input' });
    return { at: to, bytes };
  }

  async #pushV1(request: EdgePush, raw: { at: number; bytes: number }): Promise<EdgeAnswer> {
    const { kernel } = this.#options;
    const { exports } = kernel;
    const { limits, tenant } = request;
    const bounds = this.#timeBounds(limits);
    const useKnown = this.#options.seriesSecret !== undefined && this.#keysTaken.every((taken) => taken);
    let fast = this.#scan(tenant, raw, limits, bounds, useKnown);
    // what comes with labels would be taken at once, and a sample before it of the same series, sent again with labels, be late
    if (useKnown && exports.scanSlow() > 0) fast = this.#scan(tenant, raw, limits, bounds, false);
    const series = exports.scanSeries();
    const samples = exports.scanSamples();
    const extras = exports.scanExtras();
    if (exports.scanSlow() === 0 && extras === 0) {
      this.#charge(tenant, samples, 0, limits);
      const frames = this.#take(fast);
      frames.set(kernel.u8.subarray(this.#frames.at, this.#frames.at + fast));
      const counts = { series, samples, metadata: 0, rawBytes: raw.bytes };
      return (await this.#send(request, bounds, frames, counts, noRefusals())).answer;
    }
    const body = kernel.u8.slice(raw.at, raw.at + raw.bytes);
    const metadata = (extras & 1) !== 0 ? checkMetadata(decodeRemoteWrite1(body).metadata, limits) : [];
    const refusals = noRefusals();
    this.#slow.clear();
    const slow = slowBody(new FrameView(kernel.u8.subarray(this.#frames.at, this.#frames.at + fast)), body);
    const ends = decodeRemoteWrite1(slow).series.map((one) => {
      this.#slow.add(one, limits, bounds.fromMs, bounds.toMs, refusals);
      return this.#slow.bytes.length;
    });
    const frames = this.#inOrder(fast, ends);
    const all = samples + this.#slow.samples + this.#slow.histograms;
    this.#charge(tenant, all + this.#slow.exemplars, metadata.length, limits);
    const counts = { series, samples: all, metadata: metadata.length, rawBytes: raw.bytes };
    if (metadata.length > 0) await this.#options.targets[0]!.setMetadata(tenant, metadata);
    return (await this.#send(request, bounds, frames, counts, refusals)).answer;
  }

  /**
   * The frames of the scan with those of the slow path in their places: floats and histograms of one series may take turns in a
   * request, and one that comes before an older one would make it late.
   * @param ends of each slow series' frames among the slow path's
   */
  #inOrder(fast: number, ends: readonly number[]): Uint8Array<ArrayBuffer> {
    const { u8 } = this.#options.kernel;
    const slow = this.#slow.bytes;
    const all = this.#take(fast + slow.length);
    let [to, from, i] = [0, 0, 0];
    for (const frames = new FrameView(u8.subarray(this.#frames.at, this.#frames.at + fast)); frames.next(); ) {
      all.set(frames.bytes, to);
      to += frames.end - frames.at;
      if (!frames.has(FRAME_SLOW)) continue;
      const part = slow.subarray(from, ends[i]!);
      all.set(part, to);
      to += part.length;
      from = ends[i++]!;
    }
    return all;
  }

  /** Writes the frames of a body. @returns their bytes */
  #scan(
    tenant: string,
    raw: { at: number; bytes: number },
    limits: EdgeLimits,
    { fromMs, toMs }: TimeBounds,
    useKnown: boolean,
  ): number {
    const { kernel } = this.#options;
    const { exports } = kernel;
    exports.scanLimits(
      limits.maxLabelNamesPerSeries > 0 ? limits.maxLabelNamesPerSeries : 0xffffffff,
      Math.min(limits.maxLabelNameLength || LABEL_BYTES_MAX, LABEL_BYTES_MAX),
      Math.min(limits.maxLabelValueLength || LABEL_BYTES_MAX, LABEL_BYTES_MAX),
      limits.maxLabelsSizeBytes,
      fromMs,
      toMs,
    );
    const id = encoder.encode(tenant);
    const idAt = this.#id.ensure(ID_AT + id.length) + ID_AT;
    kernel.u8.set(id, idAt);
    exports.scanTenant(idAt, id.length);
    let size = raw.bytes * 2 + 4096;
    for (;;) {
      const scanned = exports.scanWriteRequest(
        raw.at,
        raw.bytes,
        this.#frames.ensure(size),
        this.#frames.bytes,
        useKnown,
      );
      if (scanned >= 0) return exports.scanBytes();
      if (scanned !== SCAN_FULL)
        throw writeErrors.writeRequestInvalid({ version: '1.0', reason: 'malformed protobuf' });
      size = this.#frames.bytes * 2;
    }
  }

  /**
   * The frames, now with labels, of series that a target did not know by their keys: it has dropped them since, or refused them. The
   * body is scanned once more for them.
   */
  #unknownFrames(
    { tenant, body, limits }: EdgePush,
    bounds: TimeBounds,
    sent: Uint8Array,
    unknown: readonly number[],
  ): Uint8Array<ArrayBuffer> {
    const { kernel } = this.#options;
    const keys = new Set(unknown.map((at) => keyText(sent, at + FRAME_HEADER_BYTES)));
    const raw = this.#inflate(body);
    const bytes = this.#scan(tenant, raw, limits, bounds, false);
    const parts: Uint8Array[] = [];
    const { u8 } = kernel;
    for (const frames = new FrameView(u8.subarray(this.#frames.at, this.#frames.at + bytes)); frames.next(); ) {
      if (frames.flags !== 0) continue;
      kernel.exports.scanKey(this.#frames.at + frames.labelsAt, frames.labelsBytes, this.#key.at);
      if (keys.has(keyText(u8, this.#key.at))) parts.push(frames.bytes);
    }
    const all = this.#take(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  async #pushV2(request: EdgePush, raw: { at: number; bytes: number }): Promise<EdgeAnswer> {
    const { kernel } = this.#options;
    const { limits, tenant } = request;
    const bounds = this.#timeBounds(limits);
    const { series, metadata: all } = decodeRemoteWrite2(kernel.u8.slice(raw.at, raw.at + raw.bytes));
    const metadata = checkMetadata(all, limits);
    const refusals = noRefusals();
    this.#slow.clear();
    for (const one of series) this.#slow.add(one, limits, bounds.fromMs, bounds.toMs, refusals);
    const frames = this.#take(this.#slow.bytes.length);
    frames.set(this.#slow.bytes);
    const { samples, histograms, exemplars } = this.#slow;
    this.#charge(tenant, samples + histograms + exemplars, metadata.length, limits);
    const counts = {
      series: series.length,
      samples: samples + histograms,
      metadata: metadata.length,
      rawBytes: raw.bytes,
    };
    if (metadata.length > 0) await this.#options.targets[0]!.setMetadata(tenant, metadata);
    const { answer, lost } = await this.#send(request, bounds, frames, counts, refusals);
    const headers = {
      ...answer.response.headers,
      'X-Prometheus-Remote-Write-Samples-Written': String(samples - lost.samples),
      'X-Prometheus-Remote-Write-Histograms-Written': String(histograms - lost.histograms),
      'X-Prometheus-Remote-Write-Exemplars-Written': String(exemplars - lost.exemplars),
    };
    return { ...answer, response: { ...answer.response, headers } };
  }

  #timeBounds(limits: EdgeLimits): TimeBounds {
    const nowMs = this.#options.clock.nowMs();
    return {
      fromMs: limits.rejectOldSamples ? nowMs - limits.rejectOldSamplesMaxAgeMs : -NO_TIME_LIMIT,
      toMs: limits.creationGracePeriodMs > 0 ? nowMs + limits.creationGracePeriodMs : NO_TIME_LIMIT,
    };
  }

  /** @throws rateLimited */
  #charge(tenant: string, samples: number, metadata: number, limits: EdgeLimits): void {
    const { ingestionRate: rate, ingestionBurstSize: burst } = limits;
    if (rate <= 0) return;
    let bucket = this.#buckets.get(tenant);
    if (bucket === undefined) {
      bucket = new TokenBucket(this.#options.clock, burst);
      this.#buckets.set(tenant, bucket);
    }
    if (!bucket.take(samples + metadata, rate, burst)) throw writeErrors.rateLimited({ rate, samples, metadata });
  }

  #take(bytes: number): Uint8Array<ArrayBuffer> {
    const i = this.#buffers.findIndex(({ byteLength }) => byteLength >= bytes);
    const buffer = i >= 0 ? this.#buffers.splice(i, 1)[0]! : new ArrayBuffer(Math.max(512 * 1024, bytes));
    return new Uint8Array(buffer, 0, bytes);
  }

  #give(buffer: ArrayBuffer): void {
    if (this.#buffers.length < BUFFERS_KEPT_MAX && buffer.byteLength <= 4 * 1024 * 1024) this.#buffers.push(buffer);
  }

  /** The frames of each target: a metric's series stay together. */
  #partition(tenant: string, bytes: Uint8Array, targets: number): Uint8Array<ArrayBuffer>[] {
    const salt = tenantSalt(tenant);
    const targetOf = (frame: FrameView) => ((frame.metricHash ^ salt) >>> 0) % targets;
    const sizes = new Array<number>(targets).fill(0);
    for (const frames = new FrameView(bytes); frames.next(); ) sizes[targetOf(frames)]! += frames.end - frames.at;
    const parts = sizes.map((size) => this.#take(size));
    const ends = new Array<number>(targets).fill(0);
    for (const frames = new FrameView(bytes); frames.next(); ) {
      const target = targetOf(frames);
      parts[target]!.set(frames.bytes, ends[target]!);
      ends[target]! += frames.end - frames.at;
    }
    return parts;
  }

  async #send(
    request: EdgePush,
    bounds: TimeBounds,
    frames: Uint8Array<ArrayBuffer>,
    counts: Pick<EdgeAnswer, 'series' | 'samples' | 'metadata' | 'rawBytes'>,
    refusals: Refusals,
  ): Promise<{ answer: EdgeAnswer; lost: Lost }> {
    const { limits, tenant } = request;
    const lost = { samples: 0, histograms: 0, exemplars: 0 };
    const { targets } = this.#options;
    const frameLimits = {
      seriesPerUserMax: limits.maxSeriesPerUser,
      seriesPerMetricMax: limits.maxSeriesPerMetric,
      outOfOrderMs: limits.outOfOrderTimeWindowMs,
      exemplarsMax: Math.ceil(limits.maxExemplars / targets.length),
    };
    const push = async (part: Uint8Array<ArrayBuffer>, i: number): Promise<void> => {
      const { length } = part;
      if (length === 0) return;
      const sent = await targets[i]!.push({ tenant, frames: part.buffer, bytes: length, limits: frameLimits });
      this.#keysTaken[i] = sent.keysTaken;
      const { result } = sent;
      addResult(refusals, result, limits);
      addLost(lost, result);
      const again =
        result.unknown.length === 0
          ? undefined
          : this.#unknownFrames(request, bounds, new Uint8Array(sent.frames, 0, length), result.unknown);
      this.#give(sent.frames);
      if (again !== undefined) await push(again, i);
    };
    if (targets.length === 1) await push(frames, 0);
    else {
      const parts = this.#partition(tenant, frames, targets.length);
      this.#give(frames.buffer);
      // all of them, also when one fails: what is not acknowledged will come again
      const sent = await Promise.allSettled(parts.map(push));
      for (const each of sent) if (each.status === 'rejected') throw each.reason;
    }
    const refused = Object.values(refusals.byReason).reduce((sum, n) => sum + n, 0);
    const response = refusals.first === undefined ? OK : refusalResponse(refusals.first, refused, counts.samples);
    return { answer: { ...counts, response, discarded: refusals.byReason }, lost };
  }
}

/** A series' key, to be compared. */
function keyText(bytes: Uint8Array, at: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, KEY_BYTES).toString('latin1');
}

/** FNV-1a: spreads tenants that have the same metrics. */
function tenantSalt(tenant: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < tenant.length; i++) hash = Math.imul(hash ^ tenant.charCodeAt(i), 0x01000193);
  return hash;
}

/** A label pair's length is kept in 16 bits. */
const LABEL_BYTES_MAX = 30_000;

const OK: PushResponse = { status: 204, headers: {}, text: '' };

/** What was sent to shards and not kept there. */
interface Lost {
  samples: number;
  histograms: number;
  exemplars: number;
}

function addLost(lost: Lost, { counts, refused, histogramsLost, exemplarsLost }: IngestResult): void {
  const notKept = counts.reduce((sum, n, answer) => (answer === APPENDED || answer === HELD ? sum : sum + n), refused);
  lost.samples += notKept - histogramsLost;
  lost.histograms += histogramsLost;
  lost.exemplars += exemplarsLost;
}

/** Adds what a shard did not keep. */
function addResult(refusals: Refusals, result: IngestResult, limits: EdgeLimits): void {
  const { first, counts, refused } = result;
  if (first === undefined) return;
  const { labels: series, timeMs, newestMs: lastMs } = first;
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
      refused,
      first.series === REFUSED_PER_METRIC
        ? faultOf(writeErrors.perMetricSeriesLimit, () => ({ series, limit: limits.maxSeriesPerMetric }))
        : faultOf(writeErrors.perUserSeriesLimit, () => ({ limit: limits.maxSeriesPerUser })),
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
  return { response, samples: 0, series: 0, metadata: 0, discarded: {}, rawBytes: 0 };
}

/** A request of only the series that the scan left: they lie in the body where their frames say. */
function slowBody(frames: FrameView, body: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  while (frames.next()) {
    if (!frames.has(FRAME_SLOW)) continue;
    const { bodyAt, bodyBytes } = frames;
    parts.push(seriesTag(bodyBytes), body.subarray(bodyAt, bodyAt + bodyBytes));
  }
  return Buffer.concat(parts);
}

/** Field 1, length-delimited. */
function seriesTag(length: number): Uint8Array {
  const out = [0x0a];
  let rest = length;
  for (; rest >= 128; rest >>>= 7) out.push((rest & 127) | 128);
  out.push(rest);
  return Uint8Array.from(out);
}
