import type { Clock } from './clock.ts';
import { FairQueue } from './fair-queue.ts';
import { leastOf } from './least.ts';
import { fitsShare } from './shared-room.ts';

/** A place of work: a thread, or another process. */
interface SeatOptions<T> {
  readonly who: T;
  /** Calls that it has under way at once. */
  readonly callsMax: number;
  /** Heavy ones among them: more would only take longer. Default: 4. */
  readonly heavyMax?: number;
}

export class Seat<T> {
  readonly who: T;
  callsMax: number;
  heavyMax: number;
  /** When each call under way began, the oldest first. */
  readonly calls: number[] = [];
  /** Those of them that are heavy. */
  heavy = 0;
  /** When it last answered one. */
  answeredMs = 0;
  /** Before it is, calls go to others where there are any. */
  ready = true;

  constructor({ who, callsMax, heavyMax = HEAVY_CALLS_MAX }: SeatOptions<T>) {
    this.who = who;
    this.callsMax = callsMax;
    this.heavyMax = heavyMax;
  }
}

/** A call that looks for a seat. */
export interface SeatCall<T> {
  /** Whose turn it takes; `OWN`: the process itself, which is never held back. */
  readonly owner: string;
  /** Work that it is estimated to be: cheap calls of an owner come before dear ones, and a seat is kept free for them. */
  readonly costMs?: number | undefined;
  /** Higher ones of an owner come first. Default: 0. */
  readonly priority?: number | undefined;
  /** Whether calls of its kind go to one seat while it keeps up: what they run is compiled there once, and what is kept is kept there. */
  readonly gathers?: boolean | undefined;
  /** Whether a seat may have it. Default: any. */
  fits?(who: T): boolean;
  /** Called once a seat was found for one that waited. */
  seated(taken: TakenSeat<T>): void;
}

export interface TakenSeat<T> {
  readonly seat: Seat<T>;
  readonly sinceMs: number;
}

interface SeatsOptions {
  /** Calls that wait; one more is refused. */
  readonly waitingMax: number;
  /** Calls of one owner that a seat has under way while other owners call, too. Default: no bound but the share of all. */
  readonly callsPerOwnerMax?: number | undefined;
  readonly clock: Clock;
}

/** The owner of calls of the process itself. */
export const OWN = '';

/** A call of more work than this is heavy. */
const HEAVY_MS = 150;
export const HEAVY_CALLS_MAX = 4;
/** The weight of a heavy call, in calls, for a light one that looks for a seat. */
const HEAVY_LOAD = 4;
/** A call waits for cheaper ones of its kind that come later: up to so many times what they cost less, as estimates are rough. */
const COST_WAIT = 200;
/** From this cost on the wait grows with each doubling only, of which there are so many, so that the dearest ones have their turn, too. */
const STEEP_COST_MS = 300;
const DOUBLING_WAIT_MS = 10_000;
const DOUBLINGS_MAX = 9;
/** Beyond all times and costs: heavy calls come after light ones, which cannot take their places, and before both goes priority. */
const HEAVY_RANK = 2 ** 40;
const PRIORITY_RANK = 2 ** 42;

interface Caller {
  readonly owner: string;
  readonly atMs: number;
}

const NOBODY: Caller = { owner: OWN, atMs: Number.NEGATIVE_INFINITY };

/** An owner that called within this time is one that others make room for. */
const OTHERS_MS = 5_000;

/** With fewer places than this a share of them would be none. */
const SHARED_PLACES_MIN = 4;

/** A seat that has calls and has not answered any for so long is held up, or has long ones only. */
const SILENT_MS = 50;
/** As many calls more it seems to have. */
const SILENT_CALLS = 4;

/** The seat of calls that gather may have so many more calls than the least busy one, and must have answered some within this time. */
const GATHERED_CALLS = 4;
const GATHERED_SILENT_MS = 500;

/**
 * Seats that come and go, and calls that wait for one in a bounded queue: owners have turns, within an owner priority and estimated cost
 * decide, none has all seats while others call, and heavy calls leave a seat to light ones. It does no work itself: threads of a process
 * and queriers of a cluster are given it by the same rules.
 */
export class Seats<T> {
  readonly #options: SeatsOptions;
  readonly #clock: Clock;
  readonly #seats = new Set<Seat<T>>();
  readonly #queue: FairQueue<SeatCall<T>>;
  /** The owner that called last, and the last other one. */
  readonly #callers: [last: Caller, other: Caller] = [NOBODY, NOBODY];
  /** Calls under way, by owner. */
  readonly #running = new Map<string, number>();
  /** Those of them that are heavy. */
  readonly #runningHeavy = new Map<string, number>();
  /** When the last light call of an owner came, and the one before it. */
  #lightMs = Number.NEGATIVE_INFINITY;
  #lightBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(options: SeatsOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#queue = new FairQueue({ capacity: options.waitingMax });
  }

  /** Calls that wait. */
  get waiting(): number {
    return this.#queue.size;
  }

  waitingOf(owner: string): number {
    return this.#queue.sizeOf(owner);
  }

  /** The owner of these that has the fewest calls under way and waiting. */
  quietest(owners: readonly string[]): string {
    return leastOf(owners, (owner) => (this.#running.get(owner) ?? 0) + this.#queue.sizeOf(owner));
  }

  add(seat: Seat<T>): void {
    this.#seats.add(seat);
  }

  /** Gives it no more calls; those under way are still to be freed. */
  remove(seat: Seat<T>): void {
    this.#seats.delete(seat);
  }

  /** Notes that an owner calls, before its call looks for a seat. */
  note({ owner, costMs = 0 }: Pick<SeatCall<T>, 'owner' | 'costMs'>): void {
    if (owner === OWN) return;
    const nowMs = this.#clock.monotonicMs();
    const [last] = this.#callers;
    if (last.owner !== owner) this.#callers[1] = last;
    this.#callers[0] = { owner, atMs: nowMs };
    if (costMs >= HEAVY_MS) return;
    this.#lightBeforeMs = this.#lightMs;
    this.#lightMs = nowMs;
  }

  /** A seat for a call at once; undefined: it has to wait, for room or for its owner's turn. */
  take(call: SeatCall<T>): TakenSeat<T> | undefined {
    // whoever waits already may have no turn now; those of others are not in its way
    if (this.#queue.sizeOf(call.owner) > 0 || !this.#mayRun(call)) return undefined;
    const seat = this.#leastBusy(isHeavy(call), call);
    return seat && this.#took(call, seat);
  }

  /** Lets a call wait for its turn. False: there is no room for it. */
  wait(call: SeatCall<T>): boolean {
    const { owner, costMs = 0, priority = 0 } = call;
    const kind = (isHeavy(call) ? HEAVY_RANK : 0) - priority * PRIORITY_RANK;
    const rank = this.#clock.monotonicMs() + waitMs(costMs) + kind;
    return this.#queue.push(owner, call, rank);
  }

  /** Takes out a call that no longer waits. */
  leave(call: SeatCall<T>): void {
    this.#queue.remove(call.owner, call);
  }

  /** The next call that waits, taken out without a seat. */
  shift(): SeatCall<T> | undefined {
    return this.#queue.shift();
  }

  /** Gives a seat back, and to those that wait. */
  free(call: Pick<SeatCall<T>, 'owner' | 'costMs'>, { seat, sinceMs }: TakenSeat<T>): void {
    const { owner } = call;
    if (isHeavy(call)) {
      seat.heavy--;
      const heavy = this.#runningHeavy.get(owner)! - 1;
      if (heavy > 0) this.#runningHeavy.set(owner, heavy);
      else this.#runningHeavy.delete(owner);
    }
    const left = this.#running.get(owner)! - 1;
    if (left > 0) this.#running.set(owner, left);
    else this.#running.delete(owner);
    seat.calls.splice(seat.calls.indexOf(sinceMs), 1);
    seat.answeredMs = this.#clock.monotonicMs();
    this.fill();
  }

  /** Seats calls that wait, as long as there is a place for one. */
  fill(): void {
    while (this.#queue.size > 0) {
      const light = this.#leastBusy(false);
      if (light === undefined) return;
      const heavy = this.#leastBusy(true);
      let seat: Seat<T> | undefined;
      const next = this.#queue.shift(
        () => true,
        (call) => {
          const any = isHeavy(call) ? heavy : light;
          if (any === undefined || !this.#mayRun(call)) return false;
          const isOpen = call.fits === undefined && call.gathers !== true;
          seat = isOpen ? any : this.#leastBusy(isHeavy(call), call);
          return seat !== undefined;
        },
      );
      if (next === undefined) return;
      next.seated(this.#took(next, seat!));
    }
  }

  /** Whether an owner may have one more call under way: those that have none yet always find a seat that has room. */
  #mayRun(call: SeatCall<T>): boolean {
    const { owner } = call;
    const all = this.#running.get(owner) ?? 0;
    // heavy ones have places of their own
    const own = isHeavy(call) ? all : all - (this.#runningHeavy.get(owner) ?? 0);
    if (owner === OWN || own === 0) return true;
    const { callsPerOwnerMax } = this.#options;
    let places = 0;
    let taken = 0;
    for (const { calls, callsMax } of this.#seats) {
      places += callsMax;
      taken += calls.length;
    }
    if (callsPerOwnerMax !== undefined && own >= this.#seats.size * callsPerOwnerMax && this.#anyOther(owner))
      return false;
    return places < SHARED_PLACES_MIN || fitsShare(own, 1, places - taken);
  }

  /** Whether another owner has called lately. */
  #anyOther(owner: string): boolean {
    const [last, other] = this.#callers;
    return this.#clock.monotonicMs() - (last.owner === owner ? other : last).atMs < OTHERS_MS;
  }

  #leastBusy(heavily: boolean, call?: SeatCall<T>): Seat<T> | undefined {
    const open: Seat<T>[] = [];
    let anyReady = false;
    for (const seat of this.#seats) {
      if (seat.calls.length >= seat.callsMax || call?.fits?.(seat.who) === false) continue;
      anyReady ||= seat.ready;
      open.push(seat);
    }
    const some = anyReady ? open.filter(({ ready }) => ready) : open;
    const may = heavily ? this.#openToHeavy(some) : some;
    let best: Seat<T> | undefined;
    for (const seat of may) {
      if (best === undefined || this.#load(seat, heavily) < this.#load(best, heavily)) best = seat;
    }
    return best !== undefined && call?.gathers === true && this.#keepsUp(may[0]!, best) ? may[0] : best;
  }

  /** Whether a seat is so little busier than the least busy one that calls may gather there. */
  #keepsUp(seat: Seat<T>, { calls, heavy }: Seat<T>): boolean {
    if (this.#silentMs(seat) >= GATHERED_SILENT_MS || seat.heavy > heavy) return false;
    return seat.calls.length < calls.length + GATHERED_CALLS;
  }

  /** Seats that a heavy call may have: while light ones come, and not just one, one has none of the heavy ones, where there are several. */
  #openToHeavy(open: readonly Seat<T>[]): readonly Seat<T>[] {
    const some = open.filter(({ heavy, heavyMax }) => heavy < heavyMax);
    if (this.#clock.monotonicMs() - this.#lightBeforeMs >= OTHERS_MS) return some;
    let untouched = 0;
    for (const { heavy } of this.#seats) if (heavy === 0) untouched++;
    if (untouched > 1 || untouched === this.#seats.size) return some;
    return some.filter(({ heavy }) => heavy > 0);
  }

  /** Calls under way; a seat that has not answered for a while may be held up by one of them, and counts as if it had more. */
  #load(seat: Seat<T>, heavily: boolean): number {
    const { calls, heavy } = seat;
    return calls.length + (this.#silentMs(seat) >= SILENT_MS ? SILENT_CALLS : 0) + (heavily ? 0 : heavy * HEAVY_LOAD);
  }

  /** For how long it has had calls and not answered any. */
  #silentMs({ calls: [oldestMs], answeredMs }: Seat<T>): number {
    return oldestMs === undefined ? 0 : this.#clock.monotonicMs() - Math.max(oldestMs, answeredMs);
  }

  #took(call: SeatCall<T>, seat: Seat<T>): TakenSeat<T> {
    const { owner } = call;
    if (isHeavy(call)) {
      seat.heavy++;
      this.#runningHeavy.set(owner, (this.#runningHeavy.get(owner) ?? 0) + 1);
    }
    this.#running.set(owner, (this.#running.get(owner) ?? 0) + 1);
    const sinceMs = this.#clock.monotonicMs();
    seat.calls.push(sinceMs);
    return { seat, sinceMs };
  }
}

/** Time for which cheaper calls that come later are before one that costs so much; those that cost nothing have none. */
function waitMs(costMs: number): number {
  if (costMs <= STEEP_COST_MS) return costMs * COST_WAIT;
  const doublings = Math.min(Math.log2(costMs / STEEP_COST_MS), DOUBLINGS_MAX);
  return STEEP_COST_MS * COST_WAIT + doublings * DOUBLING_WAIT_MS;
}

/** Whether a call is of so much work that it has places of its own. */
export function isHeavy({ costMs = 0 }: { readonly costMs?: number | undefined }): boolean {
  return costMs >= HEAVY_MS;
}
