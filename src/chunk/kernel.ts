import fs from 'node:fs';
import type { KernelExports } from '../../kernel/build/kernel.d.ts';
import { getOrMake } from '../lib/map.ts';

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

/** As the kernel's modules are called: with a memory of the instance's own, or one that threads may share. */
type ModuleName = 'kernel' | 'kernel-shared';

const compiled = new Map<ModuleName, WebAssembly.Module>();

/** Pages of a shared memory as it begins, and at most. */
const SHARED_PAGES = 16;
const SHARED_PAGES_MAX = 65_536;

/** Memory that grows does so by so much more: see `reserveAhead` of the kernel. */
const AHEAD_BYTES = 4 * 2 ** 20;

/** An instance of the kernel, the only one that writes its memory. */
export class Kernel {
  readonly exports: KernelExports;
  #pages: number;
  #u8: Uint8Array;
  #u32: Uint32Array;
  #f64: Float64Array;
  #view: DataView;

  private constructor(exports: KernelExports) {
    this.exports = exports;
    this.#pages = exports.memoryPages();
    const { buffer } = exports.memory;
    this.#u8 = new Uint8Array(buffer);
    this.#u32 = new Uint32Array(buffer);
    this.#f64 = new Float64Array(buffer);
    this.#view = new DataView(buffer);
  }

  static create(hooks: KernelHooks = NO_HEAD): Kernel {
    return Kernel.#made('kernel', hooks, undefined);
  }

  /** An instance whose memory other threads may read. */
  static createShared(hooks: KernelHooks): Kernel {
    const memory = new WebAssembly.Memory({ initial: SHARED_PAGES, maximum: SHARED_PAGES_MAX, shared: true });
    return Kernel.#made('kernel-shared', hooks, memory);
  }

  static #made(name: ModuleName, hooks: KernelHooks, memory: WebAssembly.Memory | undefined): Kernel {
    const module = getOrMake(compiled, name, () => {
      const file = new URL(`../../kernel/build/${name}.wasm`, import.meta.url);
      return new WebAssembly.Module(fs.readFileSync(file));
    });
    const instance = new WebAssembly.Instance(module, {
      env: {
        ...(memory && { memory }),
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
    if (at === 0)
      throw new RangeError(
        `the kernel cannot reserve ${bytes} bytes, it holds ${this.exports.memory.buffer.byteLength}`,
      );
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
    // asking for the buffer takes longer
    const pages = this.exports.memoryPages();
    if (this.#pages === pages) return;
    this.#pages = pages;
    const { buffer } = this.exports.memory;
    this.#u8 = new Uint8Array(buffer);
    this.#u32 = new Uint32Array(buffer);
    this.#f64 = new Float64Array(buffer);
    this.#view = new DataView(buffer);
  }
}
