import { type EventLoopUtilization, performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import { after, type Clock, type Timer } from '../../lib/clock.ts';
import { collectAll } from './collect-all.ts';

const LOOK_MS = 10_000;
/** A thread that works for less than this part of the time can be held up by a collection, which takes some 50 ms. */
const REST_UTILIZATION_MAX = 0.05;
/** Nothing came in the second before a collection: part of it that timers alone may take. */
const QUIET_MS = 1000;
const QUIET_UTILIZATION_MAX = 0.005;
const GROWN_BYTES = 3 * 2 ** 20;
/** A collection takes some 30 ms with this, and more with more. */
const USED_BYTES_MAX = 32 * 2 ** 20;

/** The thread that is looked at; tests have another. */
export interface Rested {
  /** Part of the time since the last call in which the thread worked. */
  utilization(): number;
  /** Memory that V8's heap of the thread has from the system. */
  heapBytes(): number;
  /** Bytes of it that objects take. */
  usedBytes(): number;
  collect(): void;
}

/**
 * Gives back what V8 took for a thread's start, or for work that is over. It keeps that for as long as nothing is allocated: pages
 * that are half empty, the room of young objects, compiled code that ran once. A thread that rests is collected whenever its heap
 * has grown since the last time, unless that is so large that whoever comes meanwhile would wait for long.
 */
export class RestCollector {
  readonly #rested: Rested;
  #keptBytes = 0;

  constructor(rested: Rested = thisThread()) {
    this.#rested = rested;
  }

  /** Looks now and then, and keeps no process alive. */
  start(clock: Clock): Timer {
    let quiet: Timer | undefined;
    const looks = clock.every(LOOK_MS, () => {
      quiet?.cancel();
      if (this.isDue()) quiet = after(clock, QUIET_MS, () => this.collectIfQuiet());
    });
    return {
      cancel() {
        looks.cancel();
        quiet?.cancel();
      },
    };
  }

  /** Whether the thread rested since the last look, and its heap has grown. */
  isDue(): boolean {
    if (this.#rested.utilization() > REST_UTILIZATION_MAX) return false;
    const heldBytes = this.#rested.heapBytes();
    if (heldBytes >= this.#keptBytes + GROWN_BYTES) return this.#rested.usedBytes() <= USED_BYTES_MAX;
    this.#keptBytes = Math.min(this.#keptBytes, heldBytes);
    return false;
  }

  /** Collects if nothing came since it was due. */
  collectIfQuiet(): void {
    if (this.#rested.utilization() > QUIET_UTILIZATION_MAX) return;
    this.#rested.collect();
    this.#keptBytes = this.#rested.heapBytes();
  }
}

function thisThread(): Rested {
  let before: EventLoopUtilization | undefined;
  return {
    utilization() {
      const now = performance.eventLoopUtilization();
      const { utilization } = before === undefined ? now : performance.eventLoopUtilization(now, before);
      before = now;
      return utilization;
    },
    heapBytes: () => getHeapStatistics().total_physical_size,
    usedBytes: () => getHeapStatistics().used_heap_size,
    collect: collectAll,
  };
}
