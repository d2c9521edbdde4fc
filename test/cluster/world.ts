import { createHash } from 'node:crypto';
import { type Random, seededRandom } from '../../src/lib/random.ts';
import { EventQueue, type SimEvent } from './event-queue.ts';

/** Simulated wall time at which every run begins, Unix ms. */
export const START_MS = 20_600 * 86_400_000;

/** Events between two turns of the real event loop, which cost as much as many an event. */
const LOOP_EVENTS = 16;

/** Lines of the trace that are kept: the end of a run is what a failure is looked for in. */
const TRACE_LINES_MAX = 4_000;

export interface WorldOptions {
  readonly seed: number;
  /** Called with each line of the trace. */
  readonly onTrace?: (line: string) => void;
}

/**
 * Time and chance of a simulated cluster. Whatever happens is an event; between two of them everything that was set off has come to
 * rest, so one seed is one run. Members may use nothing of the real event loop: their clocks, ports, disks and stores are made here.
 */
export class World {
  readonly seed: number;
  /** True time since the beginning, ms with fractions. Only the simulator knows it. */
  atMs = 0;
  /** Events that happened. */
  events = 0;
  /** Timers that repeat are at least so far apart: days in which little happens pass with few events. */
  grainMs = 1;
  readonly #onTrace: ((line: string) => void) | undefined;
  readonly #queue = new EventQueue();
  readonly #hash = createHash('sha256');
  readonly #trace: string[] = [];
  #failure: Error | undefined;

  constructor({ seed, onTrace }: WorldOptions) {
    this.seed = seed;
    this.#onTrace = onTrace;
  }

  /** True wall time, Unix ms. */
  get nowMs(): number {
    return START_MS + this.atMs;
  }

  /** A source of chance for one purpose: what another draws does not change its sequence. */
  random(purpose: string): Random {
    const digest = createHash('sha256').update(`${this.seed} ${purpose}`).digest();
    return seededRandom(digest.readUInt32LE(0));
  }

  /** Runs `run` after `ms`, unless it is cancelled; of one moment in the order asked for. */
  after(ms: number, run: () => void): SimEvent {
    const event = { atMs: this.atMs + Math.max(0, ms), order: 0, run, isCancelled: false };
    this.#queue.push(event);
    return event;
  }

  /** Resolves when time has gone on by `ms`. */
  async run(ms: number): Promise<void> {
    const endMs = this.atMs + ms;
    await loop();
    while (this.#failure === undefined) {
      const next = this.#queue.popUntil(endMs);
      if (next === undefined) break;
      this.atMs = Math.max(this.atMs, next.atMs);
      next.run();
      await (this.events++ % LOOP_EVENTS === 0 ? loop() : idle());
    }
    if (this.#failure !== undefined) throw this.#failure;
    this.atMs = endMs;
  }

  /** Runs until `done` says so. @returns whether it did within `ms` */
  async until(done: () => boolean, ms: number, stepMs = 1_000): Promise<boolean> {
    for (const endMs = this.atMs + ms; !done(); ) {
      if (this.atMs >= endMs) return false;
      await this.run(Math.min(stepMs, endMs - this.atMs));
    }
    return true;
  }

  /** The first is what the run ends with. */
  fail(error: Error): void {
    this.#failure ??= error;
  }

  /** Adds a line to the trace: equal traces are equal runs. */
  trace(line: string): void {
    const text = `${timeText(this.atMs)} ${line}`;
    this.#hash.update(text);
    this.#trace.push(text);
    if (this.#trace.length > 2 * TRACE_LINES_MAX) this.#trace.splice(0, TRACE_LINES_MAX);
    this.#onTrace?.(text);
  }

  get lastTrace(): readonly string[] {
    return this.#trace.slice(-TRACE_LINES_MAX);
  }

  /** Digest of all that was traced. */
  get digest(): string {
    return this.#hash.copy().digest('hex');
  }
}

/** Resolves when all promises that can go on have done so: ticks come after microtasks. */
function idle(): Promise<void> {
  return new Promise(process.nextTick);
}

/** The same, and the event loop comes by: it tells of rejections that nobody has handled by then. */
function loop(): Promise<void> {
  return new Promise(setImmediate);
}

function timeText(ms: number): string {
  const s = ms / 1000;
  const pad = (value: number, digits: number) => String(Math.floor(value)).padStart(digits, '0');
  const day = Math.floor(s / 86_400);
  return `${day}d ${pad((s / 3600) % 24, 2)}:${pad((s / 60) % 60, 2)}:${pad(s % 60, 2)}.${pad(ms % 1000, 3)}`;
}
