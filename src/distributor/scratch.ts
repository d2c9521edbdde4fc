import { Kernel } from '../chunk/kernel.ts';
import { Region } from '../chunk/region.ts';
import { writeErrors } from '../model/errors-write.ts';
import { KEY_BYTES } from '../wire/frame-layout.ts';
import { FrameView, LABEL_BYTES_MAX } from '../wire/frames.ts';
import type { EdgeLimits } from './edge-push.ts';
import type { Rewrite } from './rewrite.ts';
import type { TimeBounds } from './slow-path.ts';

/** A body, inflated, in the memory of a scratch. */
export interface RawBody {
  readonly at: number;
  readonly bytes: number;
}

/** How a scan names series. */
export interface ScanNames {
  /** Series that were seen before are named by their keys. */
  readonly useKnown: boolean;
  /** Frames carry the hash of their series' labels. */
  readonly hashLabels: boolean;
}

/** How much of a body is scanned between two moments to pause. */
const SLICE_BYTES = 1024 * 1024;

// answers of the scan (kernel/write-request.ts)
const SCAN_MORE = 1;
const SCAN_FULL = -2;
const SCAN_DENSE = -3;

/** Bytes of the frames of a body at the most, for each byte of it: series of 10 bytes that become headers, samples of 9 that become 16. */
const FRAMES_PER_BYTE_MAX = 4.3;
const FRAMES_BYTES_MIN = 1024 * 1024;

/** Room before a tenant's id, for the kernel. */
const ID_AT = 32;
const TENANT_BYTES_MAX = 150;
const encoder = new TextEncoder();

/**
 * Where bodies are inflated and scanned, one at a time: an instance of the kernel that holds nothing else, so that hostile bytes never
 * meet the memory of data. It only grows; one that was large is thrown away.
 */
export class Scratch {
  readonly kernel = Kernel.create();
  readonly #body = new Region(this.kernel);
  readonly #raw = new Region(this.kernel);
  readonly #frames = new Region(this.kernel);
  /** ID_AT bytes, a tenant's id. */
  readonly #id = new Region(this.kernel, ID_AT + 3 * TENANT_BYTES_MAX);
  readonly #key = new Region(this.kernel, KEY_BYTES);
  readonly #labels = new Region(this.kernel, LABELS_BYTES_MAX);

  /** @param seriesSecret what keys of series are made with, 16 bytes */
  constructor(seriesSecret: Uint8Array | undefined) {
    if (seriesSecret !== undefined) this.kernel.exports.scanInit(this.#id.put(seriesSecret));
  }

  /** Bytes of its memory. */
  get size(): number {
    return this.kernel.u8.byteLength;
  }

  /** @throws snappyInvalid. Nothing is reserved for a length that the body only claims: see `declaredBytes` */
  inflate(body: Uint8Array, declared: number): RawBody {
    const { exports } = this.kernel;
    const at = this.#body.put(body);
    const to = this.#raw.ensure(declared + 16);
    const bytes = exports.snappyDecode(at, body.length, to, this.#raw.bytes + 16);
    if (bytes < 0) throw writeErrors.snappyInvalid({ reason: 'corrupt input' });
    return { at: to, bytes };
  }

  /** The body; only until the memory grows. */
  bytesOf({ at, bytes }: RawBody): Uint8Array {
    return this.kernel.u8.subarray(at, at + bytes);
  }

  /**
   * Scans a body of remote write 1.0; its frames are then `frames`. Stops now and then, for the caller to pause.
   * @param rewrite rules on labels: series go the slow path until it is known what they become
   * @throws writeRequestInvalid, writeItemsTooMany
   */
  *scan(
    tenant: string,
    raw: RawBody,
    limits: EdgeLimits,
    { fromMs, toMs }: TimeBounds,
    rewrite: Rewrite | undefined,
    { useKnown, hashLabels }: ScanNames,
  ): Generator<undefined, void> {
    const { kernel } = this;
    const { exports } = kernel;
    exports.scanLimits(
      limits.maxLabelNamesPerSeries > 0 ? limits.maxLabelNamesPerSeries : 0xffffffff,
      Math.min(limits.maxLabelNameLength || LABEL_BYTES_MAX, LABEL_BYTES_MAX),
      Math.min(limits.maxLabelValueLength || LABEL_BYTES_MAX, LABEL_BYTES_MAX),
      limits.maxLabelsSizeBytes,
      fromMs,
      toMs,
    );
    if (rewrite !== undefined) exports.scanRules(...rewrite.hash);
    const id = encoder.encode(tenant);
    kernel.u8.set(id, this.#id.at + ID_AT);
    exports.scanTenant(this.#id.at + ID_AT, id.length);
    // memory that is not written to costs nothing
    const out = this.#frames.ensure(Math.ceil(raw.bytes * FRAMES_PER_BYTE_MAX) + FRAMES_BYTES_MIN);
    exports.scanBegin(raw.at, raw.bytes, out, this.#frames.bytes, useKnown, hashLabels);
    for (;;) {
      const scanned = exports.scanMore(SLICE_BYTES);
      if (scanned === 0) return;
      if (scanned === SCAN_DENSE || scanned === SCAN_FULL) throw writeErrors.writeItemsTooMany({ bytes: raw.bytes });
      if (scanned !== SCAN_MORE)
        throw writeErrors.writeRequestInvalid({ version: '1.0', reason: 'malformed protobuf' });
      yield;
    }
  }

  /** The frames of the last scan; only until the memory grows. */
  get frames(): FrameView {
    const { at } = this.#frames;
    return new FrameView(this.kernel.u8.subarray(at, at + this.kernel.exports.scanBytes()));
  }

  /** Frames of the last scan. */
  get frameCount(): number {
    return this.kernel.exports.scanFrames() >>> 0;
  }

  /** The key of a series by its canonical labels, of the tenant of the last scan; undefined where they are very long. */
  keyOf(labels: Uint8Array): string | undefined {
    return this.#putKey(labels) ? keyText(this.kernel.u8, this.#key.at) : undefined;
  }

  /**
   * Keeps what the rules of the last scan have made of a series, so that the next scan knows it.
   * @param at, bytes where the series lies in the body
   * @param frame of what it became; undefined: it was dropped
   */
  remember(raw: RawBody, at: number, bytes: number, frame: FrameView | undefined): void {
    const { exports } = this.kernel;
    if (frame === undefined) exports.scanRemember(raw.at + at, bytes, 0, 0, 0);
    else if (this.#putKey(frame.labels)) {
      const labelsHash = exports.checksum(this.#labels.at, frame.labelsBytes);
      exports.scanRemember(raw.at + at, bytes, this.#key.at, frame.metricHash, labelsHash);
    }
  }

  #putKey(labels: Uint8Array): boolean {
    // no room is made: the memory must not grow under views of it
    if (labels.length > LABELS_BYTES_MAX) return false;
    this.kernel.exports.scanKey(this.#labels.put(labels), labels.length, this.#key.at);
    return true;
  }
}

/** Bytes of canonical labels that keys are made of here. */
const LABELS_BYTES_MAX = 128 * 1024;

/** A series' key, to be compared. */
export function keyText(bytes: Uint8Array, at: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, KEY_BYTES).toString('latin1');
}

/**
 * The length that a body of snappy says to have once it is inflated.
 * @throws snappyInvalid where it cannot be, inflatedTooLarge
 */
export function declaredBytes(body: Uint8Array, limit: number): number {
  let declared = 0;
  for (let i = 0; ; i++) {
    const byte = body[i];
    if (byte === undefined || i === 5) throw writeErrors.snappyInvalid({ reason: 'corrupt input' });
    declared += (byte & 127) * 2 ** (7 * i);
    if (byte < 128) break;
  }
  if (declared > 0x7fffffff) throw writeErrors.snappyInvalid({ reason: 'corrupt input' });
  if (declared > limit) throw writeErrors.inflatedTooLarge({ bytes: declared, limit });
  // a block of snappy grows at most 64 bytes out of 3: what claims more lies
  if (declared > body.length * 24 + 64)
    throw writeErrors.snappyInvalid({ reason: 'corrupt input: the length in front is impossible' });
  return declared;
}
