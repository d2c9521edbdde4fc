import type { Kernel, KernelExports } from '../kernel.ts';

/** What `kernel/cold.ts` exports. Pointers are byte offsets into the kernel's memory; each function says what room it needs. */
export interface ColdExports extends KernelExports {
  coldEncode(encoder: number, values: number, n: number): number;
  coldPlanes(from: number, count: number, to: number): void;
  coldIndex(block: number, bytes: number, columns: number, counts: number, descriptors: number): number;
  coldDecode(
    descriptor: number,
    first: number,
    planes: number,
    changes: number,
    from: number,
    to: number,
    out: number,
    scratch: number,
  ): void;
  coldStale(values: number, n: number, out: number): number;
  coldDigest(times: number, values: number, n: number, seed: number, digest: number): void;
  coldSeed(bytes: number, length: number, seed: number): void;
  coldGap(times: number, n: number): number;
}

/** Set by `coldEncode`: a NaN (a stale marker or any other) is there. */
export const SPECIAL = 2;

export function coldExports(kernel: Kernel): ColdExports {
  return kernel.exports as ColdExports;
}
