/** Part of the time from which on a thread has too much to do, and up to which another one has little. */
const LOADED = 0.8;
const IDLE = 0.5;
const SCALE = 1_000;

/** How much front threads have to do, in shared memory: an i32 for each, in thousandths of the time. */
export class FrontLoads {
  readonly #loads: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#loads = new Int32Array(buffer);
  }

  static memory(threads: number): SharedArrayBuffer {
    return new SharedArrayBuffer(4 * threads);
  }

  /** @param utilization part of the time in which the thread worked, from 0 to 1 */
  set(thread: number, utilization: number): void {
    Atomics.store(this.#loads, thread, Math.round(utilization * SCALE));
  }

  /** The thread that has least to do, where `thread` has too much and that one little; undefined: none. */
  lessLoaded(thread: number): number | undefined {
    if (Atomics.load(this.#loads, thread) < LOADED * SCALE) return undefined;
    const least = this.least();
    return Atomics.load(this.#loads, least) <= IDLE * SCALE ? least : undefined;
  }

  /** @param added work that is on its way to each, in threads' time, and not measured yet */
  least(added: (thread: number) => number = () => 0): number {
    let least = 0;
    let leastLoad = Number.POSITIVE_INFINITY;
    for (let thread = 0; thread < this.#loads.length; thread++) {
      const load = Atomics.load(this.#loads, thread) / SCALE + added(thread);
      if (load >= leastLoad) continue;
      least = thread;
      leastLoad = load;
    }
    return least;
  }
}
