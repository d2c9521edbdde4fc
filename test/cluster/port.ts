import type { Transferable } from 'node:worker_threads';
import { Channel, type Port, type Role, serve } from '../../src/kit/thread/channel.ts';
import { copyMessage } from './message-copy.ts';
import type { SimProcess } from './process.ts';

/** How long a message between threads of one process takes, ms. */
const THREAD_MS = 0.02;

type Listener = (message: unknown) => void;

/** Decides over messages on their way. */
export interface Route {
  /** How long a message takes, ms; undefined: it never arrives. */
  delayMs(): number | undefined;
  /** In order: none overtakes another. */
  readonly isOrdered: boolean;
  /** How long after its owner died the other end hears of it, ms; undefined: never. */
  goneMs(): number | undefined;
}

/** One end of a connection; messages are copied, so that no member ever sees what another changes. */
export class SimPort implements Port {
  readonly #owner: SimProcess;
  readonly #route: Route;
  #other: SimPort | undefined;
  readonly #onMessage: Listener[] = [];
  readonly #onClose: Listener[] = [];
  #arrivesMs = 0;
  #isClosed = false;

  private constructor(owner: SimProcess, route: Route) {
    this.#owner = owner;
    this.#route = route;
    owner.ports.add(this);
  }

  /** @param there, back how messages to the second and to the first travel */
  static pair(first: SimProcess, second: SimProcess, there: Route, back: Route): [SimPort, SimPort] {
    const ends: [SimPort, SimPort] = [new SimPort(first, there), new SimPort(second, back)];
    ends[0].#other = ends[1];
    ends[1].#other = ends[0];
    return ends;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  postMessage(message: unknown, transfer: readonly Transferable[] = []): void {
    const copy = copyMessage(message, transfer);
    const other = this.#other!;
    const delayMs = this.#route.delayMs();
    if (this.#isClosed || delayMs === undefined) return;
    if (!other.#owner.isAlive) {
      // its machine knows of no such connection, and says so
      this.#owner.after(2 * delayMs, () => this.#closed());
      return;
    }
    const { world } = this.#owner;
    let atMs = world.atMs + delayMs;
    if (this.#route.isOrdered) {
      atMs = Math.max(atMs, this.#arrivesMs);
      this.#arrivesMs = atMs;
    }
    other.#owner.after(atMs - world.atMs, () => {
      if (!other.#isClosed) for (const each of other.#onMessage) each(copy);
    });
  }

  // biome-ignore lint/suspicious/noExplicitAny: as in Port
  on(event: 'message' | 'close', listener: (message: any) => void): void {
    (event === 'message' ? this.#onMessage : this.#onClose).push(listener);
  }

  /** Breaks the connection: this end knows at once, the other when the news arrives. */
  close(): void {
    if (this.#isClosed) return;
    this.#closed();
    this.#tellOther();
  }

  /** Its process died. */
  ownerGone(): void {
    this.#isClosed = true;
    this.#tellOther();
  }

  #tellOther(): void {
    const goneMs = this.#route.goneMs();
    if (goneMs !== undefined) this.#other!.#owner.after(goneMs, () => this.#other!.#closed());
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#owner.ports.delete(this);
    for (const each of this.#onClose) each(undefined);
  }
}

const BETWEEN_THREADS: Route = { delayMs: () => THREAD_MS, isOrdered: true, goneMs: () => THREAD_MS };

/** A role of the process, as if in a thread of its own. */
export function connectThread<R extends Role>(process: SimProcess, role: R): Channel<R> {
  const [near, far] = SimPort.pair(process, process, BETWEEN_THREADS, BETWEEN_THREADS);
  serve(far, role);
  return new Channel<R>(near);
}
