import type { Finding } from './element-binary.ts';

/**
 * Findings about the pairs of an operator. Only the one of a step's last pair is told, since Prometheus has room for one finding
 * there. Pairs come in any order.
 */
export class StepFindings {
  readonly #tell: (finding: Finding) => void;
  /** By step the number of the pair that has the last finding, and that; made with the first of all. */
  #pairs: Int32Array | undefined;
  readonly #findings: (Finding | undefined)[] = [];
  readonly #steps: number;

  constructor(steps: number, tell: (finding: Finding) => void) {
    this.#steps = steps;
    this.#tell = tell;
  }

  add(step: number, pair: number, finding: Finding): void {
    this.#pairs ??= new Int32Array(this.#steps).fill(-1);
    if (pair < this.#pairs[step]!) return;
    this.#pairs[step] = pair;
    this.#findings[step] = finding;
  }

  tell(): void {
    for (const finding of new Set(this.#findings)) if (finding !== undefined) this.#tell(finding);
  }
}
