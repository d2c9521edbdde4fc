import { after, type Clock } from '../../lib/clock.ts';
import { getOrMake } from '../../lib/map.ts';

/** Work that takes longer waits for something itself: it no longer keeps others from their turn. */
const TURN_MS_MAX = 100;
/** Counted for each call beside the bytes of its body: short ones are not free. */
const CALL_BYTES = 2048;

export interface CallTurnsOptions {
  /** Bytes of bodies that are worked at side by side. */
  readonly runningBytesMax: number;
  /** Calls that are, whatever their bytes: while one is read, another is appended. */
  readonly runningMin: number;
  readonly runningMax: number;
  /** Calls that wait, of all peers. */
  readonly waitingMax: number;
  readonly clock: Clock;
}

interface WaitingCall {
  readonly cost: number;
  readonly work: () => Promise<void>;
}

interface PeerCalls {
  /** Work done for the peer so far, on a scale that all peers with work share. */
  done: number;
  readonly calls: WaitingCall[];
}

/**
 * Calls of several peers, few at a time: next is always the peer for which the least was done. So who floods is served as long as
 * nobody else asks, and others wait for no more than what is being worked at.
 */
export class CallTurns {
  readonly #options: CallTurnsOptions;
  /** Peers with calls that wait, and those that were just served. */
  readonly #peers = new Map<string, PeerCalls>();
  #waiting = 0;
  #running = 0;
  #runningBytes = 0;
  /** Work done for the peer that was served last, when it was: who comes anew begins there. */
  #now = 0;

  constructor(options: CallTurnsOptions) {
    this.#options = options;
  }

  /** Does the work when its peer has its turn. False: too much waits. */
  run(peer: string, bytes: number, work: () => Promise<void>): boolean {
    if (this.#waiting >= this.#options.waitingMax) return false;
    const own = getOrMake(this.#peers, peer, () => ({ done: this.#now, calls: [] as WaitingCall[] }));
    // nobody saves turns by asking for nothing
    if (own.calls.length === 0) own.done = Math.max(own.done, this.#now);
    own.calls.push({ cost: CALL_BYTES + bytes, work });
    this.#waiting++;
    this.#next();
    return true;
  }

  #next(): void {
    const { runningMin, runningMax, runningBytesMax } = this.#options;
    while (this.#running < runningMin || (this.#running < runningMax && this.#runningBytes < runningBytesMax)) {
      const call = this.#take();
      if (call === undefined) return;
      this.#running++;
      this.#runningBytes += call.cost;
      let isOver = false;
      const over = () => {
        if (isOver) return;
        isOver = true;
        timer.cancel();
        this.#running--;
        this.#runningBytes -= call.cost;
        this.#next();
      };
      const timer = after(this.#options.clock, TURN_MS_MAX, over);
      void call.work().finally(over);
    }
  }

  #take(): WaitingCall | undefined {
    let least: PeerCalls | undefined;
    for (const [name, peer] of this.#peers) {
      if (peer.calls.length === 0) {
        if (peer.done <= this.#now) this.#peers.delete(name);
      } else if (least === undefined || peer.done < least.done) least = peer;
    }
    const call = least?.calls.shift();
    if (call === undefined || least === undefined) return undefined;
    this.#now = least.done;
    least.done += call.cost;
    this.#waiting--;
    return call;
  }
}
