/** Bounds of one execution and of the templates it runs. The names are those of the limits in error texts. */
export interface TemplateLimits {
  /** Nodes walked, calls, and each 64 bytes that a function works on. */
  readonly stepsMax: number;
  /** Templates that call each other, branches and pipelines, all counted together. */
  readonly depthMax: number;
  /** Bytes of output. */
  readonly outputBytesMax: number;
  /** Bytes of all values that functions make. */
  readonly valueBytesMax: number;
  readonly durationMsMax: number;
  /** Bytes of one template's text. */
  readonly textBytesMax: number;
  /** Blocks and parentheses inside each other. */
  readonly nestingMax: number;
}

export const defaultLimits: TemplateLimits = {
  stepsMax: 1_000_000,
  depthMax: 300,
  outputBytesMax: 1 << 20,
  valueBytesMax: 32 << 20,
  durationMsMax: 1000,
  textBytesMax: 1 << 20,
  nestingMax: 100,
};

/** A limit that a template ran into. Executions say where they stood, so the text is only a part of theirs. */
export class LimitError extends Error {}

const stepsPerClock = 1024;
const bytesPerStep = 64;

/** The rest of one execution's limits. */
export class Budget {
  readonly limits: TemplateLimits;
  #steps = 0;
  #stepsAtClock = 0;
  #valueBytes = 0;
  readonly #nowMs: () => number;
  readonly #deadlineMs: number;

  constructor(limits: TemplateLimits, nowMs: () => number) {
    this.limits = limits;
    this.#nowMs = nowMs;
    this.#deadlineMs = nowMs() + limits.durationMsMax;
  }

  /** @throws LimitError */
  step(count = 1): void {
    this.#steps += count;
    const { stepsMax, durationMsMax } = this.limits;
    if (this.#steps > stepsMax) throw new LimitError(`limit of ${stepsMax} steps exceeded (template_steps_max)`);
    if (this.#steps - this.#stepsAtClock < stepsPerClock) return;
    this.#stepsAtClock = this.#steps;
    if (this.#nowMs() > this.#deadlineMs) {
      throw new LimitError(`time limit of ${durationMsMax} ms exceeded (template_duration_max)`);
    }
  }

  /** Before the work: bytes that a function reads. */
  read(bytes: number): void {
    this.step(Math.ceil(bytes / bytesPerStep));
  }

  /** Before the work, where its size is known, else right after: bytes that a function makes. */
  make(bytes: number): void {
    this.#valueBytes += bytes;
    const { valueBytesMax } = this.limits;
    if (this.#valueBytes > valueBytesMax) {
      throw new LimitError(`limit of ${valueBytesMax} bytes of values exceeded (template_value_bytes_max)`);
    }
    this.step(Math.ceil(bytes / bytesPerStep));
  }
}
