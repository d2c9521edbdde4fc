export interface SimEvent {
  readonly atMs: number;
  /** Place among those of one moment; set by the queue. */
  order: number;
  readonly run: () => void;
  isCancelled: boolean;
}

/** Events by time, then in the order they came: a binary heap. */
export class EventQueue {
  readonly #heap: SimEvent[] = [];
  #lastOrder = 0;

  push(event: SimEvent): void {
    event.order = ++this.#lastOrder;
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  /** Takes the first that is due by then. Cancelled ones are left out. */
  popUntil(endMs: number): SimEvent | undefined {
    for (;;) {
      const [first] = this.#heap;
      if (first === undefined || (first.atMs > endMs && !first.isCancelled)) return undefined;
      this.#pop();
      if (!first.isCancelled) return first;
    }
  }

  #pop(): void {
    const heap = this.#heap;
    const moved = heap.pop()!;
    const { length } = heap;
    if (length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= length) break;
      if (child + 1 < length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, moved)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = moved;
  }
}

function isBefore(a: SimEvent, b: SimEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
