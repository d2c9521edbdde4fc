import type { Clock, Timer } from '../../src/lib/clock.ts';
import type { Random, RandomBytes } from '../../src/lib/random.ts';
import type { SimEvent } from './event-queue.ts';
import type { SimPort } from './port.ts';
import type { World } from './world.ts';

/** Longest turn of an event loop: of no length, it would never let a wait for a disk end. */
const TURN_MS_MAX = 0.1;
/** Longest turn while a process is slow. */
const SLOW_TURN_MS_MAX = 10_000;
/** Time that passes between two looks at the clock while a process is slow. */
const SLOW_LOOK_MS = 20;

/** The machine that a process runs on; it outlives it. */
export interface Machine {
  readonly name: string;
  /** Wall clock less true time. */
  skewMs: number;
}

/**
 * A process: all that happens in it is an event of its own, so that it can be paused (they wait) and killed (they never come). What
 * it was about to do after a wait is then never done, and what it holds is garbage.
 */
export class SimProcess {
  readonly world: World;
  readonly machine: Machine;
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly randomBytes: RandomBytes;
  /** Ends of ports that others must learn the end of. */
  readonly ports = new Set<SimPort>();
  readonly #bornMs: number;
  /** Time that its machine slept, and since when it does, of `world.atMs`. */
  #sleptMs = 0;
  #sleepsSinceMs: number | undefined;
  /** Age until which turns take long. */
  #slowUntilMs = 0;
  /** Time that its own work took, in which nothing else happened. */
  #workedMs = 0;
  #isAlive = true;
  /** Told when it ends by itself. */
  onEnd: (error: Error) => void = () => {};
  /** Events that came while it was paused; undefined: it runs. */
  #held: (() => void)[] | undefined;

  constructor(world: World, machine: Machine, name: string) {
    this.world = world;
    this.machine = machine;
    this.name = name;
    this.#bornMs = world.atMs;
    const random = world.random(`process ${name}`);
    this.random = random;
    this.randomBytes = (count) => Uint8Array.from({ length: count }, () => Math.floor(random() * 256));
    this.clock = new ProcessClock(this);
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get isPaused(): boolean {
    return this.#held !== undefined;
  }

  /** Since it was started, ms; goes on while it is paused, unless its machine sleeps. */
  get ageMs(): number {
    return this.world.atMs - this.#bornMs - this.#sleptMs;
  }

  /** Work takes time for so long, so that it is done in slices, and turns of the event loop take long. */
  slowTurns(ms: number): void {
    this.#slowUntilMs = this.ageMs + ms;
  }

  /** The monotonic clock, as its work looks at it. */
  lookMs(): number {
    if (this.#isSlow) this.#workedMs += SLOW_LOOK_MS;
    return this.ageMs + this.#workedMs;
  }

  get #isSlow(): boolean {
    return this.ageMs < this.#slowUntilMs;
  }

  get turnMsMax(): number {
    return this.#isSlow ? SLOW_TURN_MS_MAX : TURN_MS_MAX;
  }

  after(ms: number, run: () => void): SimEvent {
    return this.world.after(ms, () => this.#do(run));
  }

  #do(run: () => void): void {
    if (!this.#isAlive) return;
    if (this.#held !== undefined) this.#held.push(run);
    else run();
  }

  /** Stops it as SIGSTOP does: time goes on without it. @param isAsleep by the wall clock only */
  pause(isAsleep = false): void {
    if (this.#held !== undefined) return;
    this.#held = [];
    if (isAsleep) this.#sleepsSinceMs = this.world.atMs;
  }

  resume(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    if (this.#sleepsSinceMs !== undefined) this.#sleptMs += this.world.atMs - this.#sleepsSinceMs;
    this.#sleepsSinceMs = undefined;
    // one after another, each with what it sets off, as an event loop does
    for (const run of held) this.after(0, run);
  }

  /** It ends by itself, with an error. */
  end(error: Error): void {
    if (!this.#isAlive) return;
    this.kill();
    this.onEnd(error);
  }

  kill(): void {
    this.#isAlive = false;
    this.#held = undefined;
    for (const port of this.ports) port.ownerGone();
    this.ports.clear();
  }
}

class ProcessClock implements Clock {
  readonly #process: SimProcess;

  constructor(process: SimProcess) {
    this.#process = process;
  }

  nowMs(): number {
    const { world, machine } = this.#process;
    return Math.floor(world.nowMs + machine.skewMs);
  }

  monotonicMs(): number {
    return this.#process.lookMs();
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        event.isCancelled = true;
        reject(signal?.reason);
      };
      let isDone = false;
      const event = this.#process.after(ms, () => {
        if (isDone || event.isCancelled) return;
        isDone = true;
        signal?.removeEventListener('abort', onAbort);
        resolve();
      });
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  every(ms: number, work: () => void): Timer {
    const { world } = this.#process;
    let event: SimEvent | undefined;
    let isCancelled = false;
    const next = () => {
      event = this.#process.after(Math.max(ms, world.grainMs), () => {
        if (isCancelled) return;
        next();
        work();
      });
    };
    // the first is on time: it may be the only one
    event = this.#process.after(ms, () => {
      if (isCancelled) return;
      next();
      work();
    });
    return {
      cancel() {
        isCancelled = true;
        if (event !== undefined) event.isCancelled = true;
      },
    };
  }

  turn(): Promise<void> {
    const process = this.#process;
    return new Promise((resolve) => {
      process.after(process.random() * process.turnMsMax, resolve);
    });
  }
}
