import fs from 'node:fs';
import type { KernelExports } from '../../kernel/build/kernel.d.ts';

export type { KernelExports };

/** Questions that the kernel asks of whoever owns a head. */
export interface KernelHooks {
  /** Learns of a new series of a tenant (an index); 0, or why it is refused. */
  admitSeries(ref: number, tenant: number, metricPair: number): number;
  /** The ref that a new series gets; −1: the next one. */
  nextRef(): number;
  /** Decides on a window that none is open for (its number: time by length). */
  admitWindow(window: number): boolean;
  /** In replay: a series is about to go. */
  forgetSeries(ref: number, tenant: number, metricPair: number): void;
}

/** For an instance without a head. */
const NO_HEAD: KernelHooks = {
  admitSeries: () => 1,
  nextRef: () => -1,
  admitWindow: () => true,
  forgetSeries: () => {},
};

let compiled: WebAssembly.Module | undefined;

/** Memory that grows does so by so much more: see `reserveAhead` of the kernel. */
const AHEAD_BYTES = 4 * 2 ** 20;

/** An instance of the kernel with a memory of its own. */
export class Kernel {
  readonly exports: KernelExports;
  #buffer: ArrayBufferLike;
  #u8: Uint8Array;
  #u32: Uint32Array;
  #f64: Float64Array;
  #view: DataView;

  private constructor(exports: KernelExports) {
    this.exports = exports;
    this.#buffer = exports.memory.buffer;
    this.#u8 = new Uint8Array(this.#buffer);
    this.#u32 = new Uint32Array(this.#buffer);
    this.#f64 = new Float64Array(this.#buffer);
    this.#view = new DataView(this.#buffer);
  }

  static create(hooks: KernelHooks = NO_HEAD): Kernel {
    compiled ??= new WebAssembly.Module(fs.readFileSync(new URL('../../kernel/build/kernel.wasm', import.meta.url)));
    const instance = new WebAssembly.Instance(compiled, {
      env: {
        admitSeries: (ref: number, tenant: number, metricPair: number) => hooks.admitSeries(ref, tenant, metricPair),
        nextRef: () => hooks.nextRef(),
        admitWindow: (window: number) => hooks.admitWindow(window),
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
    const at = this.exports.reserveAhead(bytes, AHEAD_BYTES) >>> 0;
    if (at === 0) throw new RangeError(`the kernel cannot reserve ${bytes} bytes, it holds ${this.#buffer.byteLength}`);
    return at;
  }

  /** The memory as bytes. Ask anew after every call that may grow it. */
  get u8(): Uint8Array {
    this.#refresh();
    return this.#u8;
  }

  get u32(): Uint32Array {
    this.#refresh();
    return this.#u32;
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
    this.#u32 = new Uint32Array(this.#buffer);
    this.#f64 = new Float64Array(this.#buffer);
    this.#view = new DataView(this.#buffer);
  }
}
