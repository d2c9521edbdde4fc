import { getHeapStatistics } from 'node:v8';
import type { Clock } from '../../lib/clock.ts';
import { UseTimer } from '../../lib/use-timer.ts';
import { collectAll } from './collect-all.ts';

const IDLE_MS = 500;
const GROWN_BYTES = 64 * 2 ** 20;
/** Not to be left lying while other threads do the next large piece of work: collected between two pieces, idle or not. */
const GROWN_BYTES_MAX = 128 * 2 ** 20;

/**
 * Gives back what a thread no longer holds when it has nothing to do: V8 itself collects when memory is asked for, so what one large
 * piece of work held would stay until there is another.
 */
export class IdleCollector {
  #keptBytes = 0;
  readonly #clock: Clock;
  readonly #use: UseTimer;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#use = new UseTimer(clock, IDLE_MS, () => this.#onIdle());
  }

  begin(): void {
    this.#use.begin();
  }

  end(): void {
    this.#use.end();
    if (this.#use.isUsed) return;
    if (bytesHeld() > this.#keptBytes + GROWN_BYTES_MAX) void this.#clock.turn().then(() => this.#onIdle());
  }

  #onIdle(): void {
    if (this.#use.isUsed) return;
    const heldBytes = bytesHeld();
    if (heldBytes < this.#keptBytes + GROWN_BYTES) {
      this.#keptBytes = Math.min(this.#keptBytes, heldBytes);
      return;
    }
    this.collect();
  }

  /** Collects at once: what began with the thread and ends there is given back, the room of young objects too. */
  collect(): void {
    collectAll();
    this.#keptBytes = bytesHeld();
  }
}

function bytesHeld(): number {
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + external_memory;
}
