import {
  type CallOptions,
  Channel,
  type RequestOf,
  type ResponseOf,
  type Role,
  serve,
} from '../../src/kit/thread/channel.ts';
import { after } from '../../src/lib/clock.ts';
import type { Random } from '../../src/lib/random.ts';
import { processErrors } from '../../src/model/errors-process.ts';
import { type Route, SimPort } from './port.ts';
import type { SimProcess } from './process.ts';
import type { World } from './world.ts';

/** Chances of messages on their way from one machine to another. */
export interface Weather {
  /** Share of messages that are lost, 0 to 1: their connection breaks. */
  lossShare: number;
  delayMsMin: number;
  delayMsMax: number;
}

/** How long a connection takes to break where messages are lost, ms. */
const BREAK_MS_MAX = 15_000;
/** Longest that a call waits for its answer. */
const CALL_MS_MAX = 20_000;

interface Listening {
  readonly process: SimProcess;
  readonly role: Role;
}

/**
 * Connections between processes. Messages are copied, delayed each by itself (so they overtake each other), lost, and stopped where
 * the way is cut, which may be in one direction only. A lost message breaks its connection some time later.
 */
export class Network {
  readonly weather: Weather = { lossShare: 0, delayMsMin: 0.2, delayMsMax: 2 };
  readonly #world: World;
  readonly #random: Random;
  readonly #listening = new Map<string, Listening>();
  /** Directions that are cut: `from to`. */
  readonly #cut = new Set<string>();

  constructor(world: World) {
    this.#world = world;
    this.#random = world.random('network');
  }

  /** The role answers to whoever calls the machine, as long as the process lives or until another one listens there. */
  listen(process: SimProcess, role: Role): void {
    this.#listening.set(process.machine.name, { process, role });
  }

  /** Stops all messages in one direction. */
  cut(from: string, to: string): void {
    this.#cut.add(`${from} ${to}`);
  }

  heal(): void {
    this.#cut.clear();
  }

  isCut(from: string, to: string): boolean {
    return this.#cut.has(`${from} ${to}`);
  }

  /** The role that listens on a machine, as a process elsewhere calls it. */
  client<R extends Role>(from: SimProcess, to: string): RemoteRole<R> {
    return new RemoteRole<R>(from, () => this.#connect(from, to));
  }

  async #connect(from: SimProcess, to: string): Promise<SimPort> {
    const away = () => processErrors.workerGone({ worker: to, reason: 'cannot be reached' });
    const there = this.#route(from.machine.name, to, () => near);
    const back = this.#route(to, from.machine.name, () => near);
    let near: SimPort | undefined;
    const goes = there.delayMs();
    const comes = back.delayMs();
    if (goes === undefined || comes === undefined) {
      await from.clock.sleep(this.#random() * BREAK_MS_MAX);
      throw away();
    }
    await from.clock.sleep(goes + comes);
    const found = this.#listening.get(to);
    if (found === undefined || !found.process.isAlive) throw away();
    const [nearEnd, far] = SimPort.pair(from, found.process, there, back);
    near = nearEnd;
    serve(far, found.role);
    return nearEnd;
  }

  #route(from: string, to: string, connection: () => SimPort | undefined): Route {
    const delayMs = () => {
      const { lossShare, delayMsMin, delayMsMax } = this.weather;
      const isLost = this.isCut(from, to) || this.#random() < lossShare;
      if (!isLost) return delayMsMin + this.#random() ** 3 * (delayMsMax - delayMsMin);
      // nobody sends on a connection that lost something: TCP gives up
      this.#world.after(this.#random() * BREAK_MS_MAX, () => connection()?.close());
      return undefined;
    };
    const goneMs = () => (this.isCut(from, to) ? undefined : this.weather.delayMsMax);
    return { delayMs, isOrdered: false, goneMs };
  }
}

function timedOut(): Error {
  return new DOMException('The operation was aborted due to timeout', 'TimeoutError');
}

/** Calls over connections that are made as needed, each with a time limit. */
export class RemoteRole<R extends Role> {
  readonly #from: SimProcess;
  readonly #connect: () => Promise<SimPort>;
  #open: Promise<{ readonly port: SimPort; readonly channel: Channel<R> }> | undefined;

  constructor(from: SimProcess, connect: () => Promise<SimPort>) {
    this.#from = from;
    this.#connect = connect;
  }

  async call<M extends keyof R & string>(
    method: M,
    request: RequestOf<R, M>,
    { signal }: Pick<CallOptions, 'signal'> = {},
  ): Promise<ResponseOf<R, M>> {
    signal?.throwIfAborted();
    const ends = new AbortController();
    const abort = () => ends.abort(signal?.reason);
    // cheaper than signals that are joined, and there are many calls
    signal?.addEventListener('abort', abort, { once: true });
    const limit = after(this.#from.clock, CALL_MS_MAX, () => ends.abort(timedOut()));
    try {
      const { channel } = await this.#connection();
      return await channel.call(method, request, { signal: ends.signal });
    } finally {
      limit.cancel();
      signal?.removeEventListener('abort', abort);
    }
  }

  async #connection() {
    const open = await this.#open?.catch(() => undefined);
    if (open !== undefined && !open.port.isClosed) return open;
    const opening = this.#connect().then((port) => ({ port, channel: new Channel<R>(port) }));
    opening.catch(() => {});
    this.#open = opening;
    return opening;
  }
}
