import fs from 'node:fs';

/** What the module exports, by file of `kernel/`. Pointers are byte offsets into its memory. */
export interface KernelExports {
  readonly memory: WebAssembly.Memory;
  // memory.ts
  reserve(bytes: number): number;
  // snappy.ts
  snappyLength(src: number, bytes: number): number;
  snappyDecode(src: number, bytes: number, dst: number, capacity: number): number;
  // hash.ts
  checksum(src: number, bytes: number): number;
  // xor.ts
  xorAppend(appender: number, timeMs: bigint, valueBits: bigint): void;
  xorDecode(src: number, bytes: number, times: number, values: number, capacity: number): number;
  // write-request.ts
  scanLimits(
    names: number,
    nameBytes: number,
    valueBytes: number,
    labelsBytes: number,
    fromMs: number,
    toMs: number,
  ): void;
  scanInit(secret: number): void;
  scanTenant(id: number, bytes: number): void;
  scanKey(labels: number, bytes: number, out: number): void;
  scanWriteRequest(src: number, bytes: number, out: number, capacity: number, useKnown: boolean): number;
  scanBytes(): number;
  scanSeries(): number;
  scanSamples(): number;
  scanSlow(): number;
  scanExtras(): number;
  // head.ts and what it is made of
  headInit(windowMs: number, secrets: number): number;
  pagesUsed(): number;
  arenaCount(): number;
  arenaExists(id: number): number;
  arenaWindow(id: number): number;
  arenaSealed(id: number): number;
  arenaPages(id: number): number;
  arenaChunks(id: number): number;
  arenaMake(id: number, window: bigint): number;
  arenaSeal(id: number): void;
  arenaDrop(id: number): void;
  seriesTop(): number;
  tenantInit(index: number, id: number, bytes: number): number;
  seriesLive(): number;
  seriesIsLive(ref: number): number;
  seriesFind(tenant: number, labels: number, bytes: number): number;
  seriesTenant(ref: number): number;
  seriesMetric(ref: number): number;
  seriesMetricHash(ref: number): number;
  seriesLastTime(ref: number): number;
  seriesLabels(ref: number, out: number, capacity: number): number;
  seriesParts(refs: number, count: number, parts: number, scratch: number, capacity: number, out: number): void;
  arenaFor(timeMs: number): number;
  seriesAside(ref: number, timeMs: number, high: number, low: number): number;
  seriesLastIs(ref: number, high: number, low: number): number;
  pairTop(): number;
  pairFind(src: number, bytes: number): number;
  pairBytes(id: number): number;
  pairLen(id: number): number;
  pairName(id: number): number;
  pairNameLen(id: number): number;
  collectPairs(refs: number, count: number, name: number, verdicts: number, out: number): number;
  filterRefs(refs: number, count: number, name: number, verdicts: number, missing: boolean): number;
  filterTime(refs: number, count: number, fromMs: number, toMs: number): number;
  markPairs(refs: number, count: number, marks: number): void;
  tallyStart(): void;
  tallySeries(refs: number, count: number, counts: number): void;
  tallyChunks(): number;
  tallyMin(): number;
  tallyMax(): number;
  exportSeries(ref: number, fromMs: number, toMs: number, arena: number, out: number, capacity: number): number;
  refsOfArena(arena: number, from: number, to: number, out: number): number;
  forgetArena(arena: number, from: number, to: number, out: number): number;
  saveSeries(ref: number, out: number, capacity: number): number;
  loadSeries(src: number, bytes: number): number;
  // ingest.ts
  dropSeries(ref: number): number;
  ingestStart(frames: number, unknown: number): void;
  ingestUnknown(): number;
  ingestFrames(end: number, tenant: number, lateFromMs: number, anyOrder: boolean): number;
  ingestCount(answer: number): number;
  ingestRefused(): number;
  ingestFirstReason(): number;
  ingestFirstFrame(): number;
  ingestFirstRef(): number;
  ingestFirstTime(): number;
  ingestFirstLast(): number;
  ingestNewest(): number;
  ingestFrame(): number;
  ingestSkip(): void;
  ingestSeries(tenant: number): number;
  logInit(at: number, bytes: number): void;
  logBytes(): number;
  logTaken(): void;
  replayInit(lsns: number, count: number): void;
  replayNewest(): number;
  replayCovered(ref: number, lsn: number): number;
  replayPayload(src: number, bytes: number, lsn: number): number;
}

/** What the kernel asks of whoever owns a head. */
export interface KernelHooks {
  /** Learns of a new series of a tenant (an index); 0, or why it is refused. */
  admitSeries(ref: number, tenant: number, metricPair: number): number;
  /** The ref that a new series gets; −1: the next one. */
  nextRef(): number;
  /** In replay: a series is about to go. */
  forgetSeries(ref: number, tenant: number, metricPair: number): void;
}

/** For an instance without a head. */
const NO_HEAD: KernelHooks = { admitSeries: () => 1, nextRef: () => -1, forgetSeries: () => {} };

let compiled: WebAssembly.Module | undefined;

/** An instance of the kernel with a memory of its own. */
export class Kernel {
  readonly exports: KernelExports;
  #buffer: ArrayBufferLike;
  #u8: Uint8Array;
  #f64: Float64Array;
  #view: DataView;

  private constructor(exports: KernelExports) {
    this.exports = exports;
    this.#buffer = exports.memory.buffer;
    this.#u8 = new Uint8Array(this.#buffer);
    this.#f64 = new Float64Array(this.#buffer);
    this.#view = new DataView(this.#buffer);
  }

  static create(hooks: KernelHooks = NO_HEAD): Kernel {
    compiled ??= new WebAssembly.Module(fs.readFileSync(new URL('../../kernel/build/kernel.wasm', import.meta.url)));
    const instance = new WebAssembly.Instance(compiled, {
      env: {
        admitSeries: (ref: number, tenant: number, metricPair: number) => hooks.admitSeries(ref, tenant, metricPair),
        nextRef: () => hooks.nextRef(),
        forgetSeries: (ref: number, tenant: number, metricPair: number) => hooks.forgetSeries(ref, tenant, metricPair),
        abort(_message: number, _file: number, line: number, column: number) {
          throw new Error(`bug: the kernel aborted at ${line}:${column}`);
        },
      },
    });
    return new Kernel(instance.exports as unknown as KernelExports);
  }

  /** Reserves memory for good. @throws RangeError when the instance's 4 GiB are used up */
  reserve(bytes: number): number {
    const at = this.exports.reserve(bytes) >>> 0;
    if (at === 0) throw new RangeError(`the kernel cannot reserve ${bytes} bytes, it holds ${this.#buffer.byteLength}`);
    return at;
  }

  /** The memory as bytes. Ask anew after every call that may grow it. */
  get u8(): Uint8Array {
    this.#refresh();
    return this.#u8;
  }

  get f64(): Float64Array {
    this.#refresh();
    return this.#f64;
  }

  get view(): DataView {
    this.#refresh();
    return this.#view;
  }

  #refresh(): void {
    if (this.#buffer === this.exports.memory.buffer) return;
    this.#buffer = this.exports.memory.buffer;
    this.#u8 = new Uint8Array(this.#buffer);
    this.#f64 = new Float64Array(this.#buffer);
    this.#view = new DataView(this.#buffer);
  }
}
