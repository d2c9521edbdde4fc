import type { ReplicaAnswer } from '../contract/replica.ts';
import { after, type Clock, type Timer } from '../lib/clock.ts';

/** Something that happened in one of the streams. */
export type ReplicaEvent<T> =
  | { readonly kind: 'opened'; readonly id: string; readonly answer: Omit<ReplicaAnswer<unknown>, 'value'> }
  | { readonly kind: 'item'; readonly id: string; readonly item: T }
  | { readonly kind: 'ended'; readonly id: string }
  | { readonly kind: 'failed'; readonly id: string; readonly error: unknown }
  /** It has kept others waiting for `slowMs`, or as a hedge for less. Told once of each. */
  | { readonly kind: 'slow'; readonly id: string; readonly isHedge: boolean };

export type OpenStream<T> = (signal: AbortSignal) => Promise<ReplicaAnswer<AsyncIterable<T>>>;

interface Stream<T> {
  readonly id: string;
  readonly abort: AbortController;
  iterator: AsyncIterator<T> | undefined;
  timer: Timer | undefined;
  hedge: Timer | undefined;
  isSlow: boolean;
}

export interface StreamHedge {
  readonly delayMs: number;
  /** Whether one that took longer counts as slow. */
  take(): boolean;
  /** An answer has begun after so long, or has not by then. */
  note(ms: number): void;
}

export interface ReplicaStreamsOptions {
  readonly clock: Clock;
  readonly slowMs: number;
  /** Decides about members that are late with the beginning of their answer. Absent: they have until `slowMs`. */
  readonly hedge?: StreamHedge | undefined;
  /** Streams that run side by side, slow ones apart: each holds at most one item that nobody has taken, and has asked for another. */
  readonly streamsMax: number;
}

/** The answers of several members, side by side. */
export class ReplicaStreams<T> {
  readonly #options: ReplicaStreamsOptions;
  readonly #signal: AbortSignal;
  readonly #running = new Set<Stream<T>>();
  readonly #waiting: { readonly id: string; readonly open: OpenStream<T> }[] = [];
  readonly #events: { readonly stream: Stream<T>; readonly event: ReplicaEvent<T> }[] = [];
  #slow = 0;
  #wake: (() => void) | undefined;
  readonly #onAbort = () => this.#wake?.();

  constructor(options: ReplicaStreamsOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  start(id: string, open: OpenStream<T>): void {
    this.#waiting.push({ id, open });
    this.#startWaiting();
  }

  #startWaiting(): void {
    while (this.#waiting.length > 0 && this.#running.size - this.#slow < this.#options.streamsMax) {
      const { id, open } = this.#waiting.shift()!;
      const stream: Stream<T> = {
        id,
        abort: new AbortController(),
        iterator: undefined,
        timer: undefined,
        hedge: undefined,
        isSlow: false,
      };
      this.#running.add(stream);
      void this.#open(stream, open);
    }
  }

  /** Never rejects: what goes wrong is an event. */
  async #open(stream: Stream<T>, open: OpenStream<T>): Promise<void> {
    const { id } = stream;
    const { clock, hedge } = this.#options;
    const startMs = clock.monotonicMs();
    let isLate = false;
    if (hedge !== undefined) {
      stream.hedge = after(clock, hedge.delayMs, () => {
        isLate = true;
        hedge.note(clock.monotonicMs() - startMs);
        if (hedge.take()) this.#isSlow(stream, true);
      });
    }
    try {
      const { value, ...answer } = await this.#timed(stream, () => open(stream.abort.signal));
      stream.hedge?.cancel();
      if (!isLate) hedge?.note(clock.monotonicMs() - startMs);
      stream.iterator = value[Symbol.asyncIterator]();
      if (this.#running.has(stream)) this.#tell(stream, { kind: 'opened', id, answer });
      else await stream.iterator.return?.();
    } catch (error) {
      this.#tell(stream, { kind: 'failed', id, error });
    }
  }

  /** Never rejects. */
  async #advance(stream: Stream<T>): Promise<void> {
    const { id } = stream;
    try {
      const next = await this.#timed(stream, () => stream.iterator!.next());
      this.#tell(stream, next.done === true ? { kind: 'ended', id } : { kind: 'item', id, item: next.value });
    } catch (error) {
      this.#tell(stream, { kind: 'failed', id, error });
    }
  }

  async #timed<V>(stream: Stream<T>, work: () => Promise<V>): Promise<V> {
    if (!stream.isSlow) {
      stream.timer = after(this.#options.clock, this.#options.slowMs, () => this.#isSlow(stream, false));
    }
    try {
      return await work();
    } finally {
      stream.timer?.cancel();
    }
  }

  #isSlow(stream: Stream<T>, isHedge: boolean): void {
    if (!stream.isSlow) {
      stream.isSlow = true;
      this.#slow++;
    }
    this.#tell(stream, { kind: 'slow', id: stream.id, isHedge });
    this.#startWaiting();
  }

  #tell(stream: Stream<T>, event: ReplicaEvent<T>): void {
    if (!this.#running.has(stream)) return;
    this.#events.push({ stream, event });
    this.#wake?.();
  }

  /** The next event, of whichever stream. @throws the reason of the signal */
  async next(): Promise<ReplicaEvent<T>> {
    while (this.#events.length === 0) {
      this.#signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    this.#signal.throwIfAborted();
    const { stream, event } = this.#events.shift()!;
    if (event.kind === 'ended' || event.kind === 'failed') {
      this.#end(stream);
      this.#startWaiting();
    } else if (event.kind !== 'slow') {
      // asked for before this one is used, so that members and reader work side by side
      void this.#advance(stream);
    }
    return event;
  }

  #end(stream: Stream<T>): void {
    this.#running.delete(stream);
    if (stream.isSlow) this.#slow--;
    stream.timer?.cancel();
    stream.hedge?.cancel();
  }

  /** Ends all streams; nobody hears of them any more. */
  close(): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#waiting.length = 0;
    this.#events.length = 0;
    for (const stream of this.#running) {
      this.#end(stream);
      stream.abort.abort(this.#signal.aborted ? this.#signal.reason : new Error('the answer is not needed any more'));
      // a call under way fails by the signal, so this settles
      stream.iterator?.return?.().catch(() => {});
    }
  }
}
