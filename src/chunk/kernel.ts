import fs from 'node:fs';

/** What the module exports, by file of `kernel/`. Pointers are byte offsets into its memory. */
export interface KernelExports {
  readonly memory: WebAssembly.Memory;
  // memory.ts
  reserve(bytes: number): number;
}

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

  static create(): Kernel {
    compiled ??= new WebAssembly.Module(fs.readFileSync(new URL('../../kernel/build/kernel.wasm', import.meta.url)));
    const instance = new WebAssembly.Instance(compiled, {
      env: {
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
