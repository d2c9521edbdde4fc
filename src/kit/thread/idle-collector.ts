import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const IDLE_MS = 500;
const GROWN_BYTES = 64 * 2 ** 20;
/** Not to be left lying while other threads do the next large piece of work: collected between two pieces, idle or not. */
const GROWN_BYTES_MAX = 128 * 2 ** 20;

/**
 * Gives back what a thread no longer holds when it has nothing to do: V8 itself collects when memory is asked for, so what one large
 * piece of work held would stay until there is another.
 */
export class IdleCollector {
  #running = 0;
  #keptBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #collect: (() => void) | undefined;

  begin(): void {
    this.#running++;
  }

  end(): void {
    this.#running--;
    if (this.#running > 0) return;
    if (bytesHeld() > this.#keptBytes + GROWN_BYTES_MAX) setImmediate(() => this.#onIdle());
    if (this.#timer === undefined) {
      this.#timer = setTimeout(() => this.#onIdle(), IDLE_MS);
      this.#timer.unref();
    } else this.#timer.refresh();
  }

  #onIdle(): void {
    if (this.#running > 0) return;
    const heldBytes = bytesHeld();
    if (heldBytes < this.#keptBytes + GROWN_BYTES) {
      this.#keptBytes = Math.min(this.#keptBytes, heldBytes);
      return;
    }
    this.#collect ??= collector();
    this.#collect();
    this.#keptBytes = bytesHeld();
  }
}

function bytesHeld(): number {
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + external_memory;
}

function collector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}
