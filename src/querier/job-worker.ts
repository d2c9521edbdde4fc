import type { AnswerTaker, Job, JobHead, JobSource, OpenSeat, QuerierSeat } from '../contract/jobs.ts';
import type { Logger } from '../kit/observe/log.ts';
import { backoffMs } from '../lib/backoff.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import { AppError } from '../model/errors.ts';
import { peerErrors } from '../model/errors-peer.ts';
import { processErrors } from '../model/errors-process.ts';

export interface JobWorkerOptions extends QuerierSeat {
  readonly run: (job: Job, signal: AbortSignal) => Promise<JobOutcome>;
  /** The front end at an address. */
  readonly answers: (address: string) => AnswerTaker;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: Random;
}

/** An answer, as it goes out. */
export interface JobOutcome {
  readonly head: JobHead;
  readonly bytes: Uint8Array;
  /** Where present, follows `bytes`: to be taken to its end or left by `return`. */
  readonly parts?: AsyncIterable<Uint8Array>;
}

/** Bytes of an answer that go out at once. */
const PART_BYTES = 512 * 1024;
const AGAIN = { minMs: 100, maxMs: 2_000, triesMax: 1 };
/** Tries to say that a job is through. */
const DONE_AGAIN = { minMs: 100, maxMs: 2_000, triesMax: 5 };

interface Loop {
  readonly ends: AbortController;
  seat: OpenSeat | undefined;
  readonly jobs: Map<string, AbortController>;
  /** Jobs that came over the seat. */
  received: number;
}

/** Asks schedulers for work over connections that it opens, works at it, and answers the front ends that wait for it. */
export class JobWorker {
  readonly #options: JobWorkerOptions;
  readonly #loops = new Map<string, Loop>();
  #isStopping = false;
  /** Called when a job is through. */
  #idle = Promise.withResolvers<void>();

  constructor(options: JobWorkerOptions) {
    this.#options = options;
  }

  /** Addresses of schedulers that give it work. */
  get seated(): string[] {
    return [...this.#loops].filter(([, { seat }]) => seat !== undefined).map(([address]) => address);
  }

  /** Jobs under way. */
  get running(): number {
    return [...this.#loops.values()].reduce((sum, { jobs }) => sum + jobs.size, 0);
  }

  /** Takes work from a scheduler until it is removed. */
  add(address: string, source: JobSource): void {
    if (this.#loops.has(address) || this.#isStopping) return;
    const loop: Loop = { ends: new AbortController(), seat: undefined, jobs: new Map(), received: 0 };
    this.#loops.set(address, loop);
    void this.#ask(address, source, loop);
  }

  remove(address: string): void {
    const loop = this.#loops.get(address);
    if (loop === undefined) return;
    this.#loops.delete(address);
    loop.ends.abort(processErrors.shuttingDown({}));
  }

  /** Takes no more jobs, answers those under way, and leaves. @param signal ends them at once */
  async stop(signal: AbortSignal): Promise<void> {
    this.#isStopping = true;
    await Promise.allSettled([...this.#loops.values()].map((loop) => this.#endPlaces(loop, signal)));
    const now = () => this.#idle.resolve();
    signal.addEventListener('abort', now, { once: true });
    while (this.running > 0 && !signal.aborted) await this.#idle.promise;
    for (const { ends } of this.#loops.values()) ends.abort(processErrors.shuttingDown({}));
    this.#loops.clear();
  }

  /** Resolves when the scheduler gives no more jobs, and all that it gave are here. */
  async #endPlaces(loop: Loop, signal: AbortSignal): Promise<void> {
    const { seat } = loop;
    const given = await seat?.resize({ places: 0, heavyPlaces: 0 });
    while (given !== undefined && loop.seat === seat && loop.received < given && !signal.aborted) {
      await this.#options.clock.turn();
    }
  }

  /** Places at each of so many schedulers, so that all of them together are not more than there are. */
  #places(schedulers: number): Omit<QuerierSeat, 'id'> {
    const { places, heavyPlaces } = this.#options;
    const share = (all: number) => Math.max(1, Math.floor(all / Math.max(1, schedulers)));
    return { places: share(places), heavyPlaces: share(heavyPlaces) };
  }

  #resize(): void {
    // those that end have none
    if (this.#isStopping) return;
    const places = this.#places(this.seated.length);
    // a seat that has ended is opened anew, with the right number
    for (const { seat } of this.#loops.values()) seat?.resize(places).catch(() => {});
  }

  async #ask(address: string, source: JobSource, loop: Loop): Promise<void> {
    const { id, clock, random, log } = this.#options;
    const { signal } = loop.ends;
    let failures = 0;
    while (!signal.aborted && !this.#isStopping) {
      const ends = new AbortController();
      try {
        const places = this.#places(this.seated.length + 1);
        const seat = await source.seat({ id, ...places }, AbortSignal.any([signal, ends.signal]));
        failures = 0;
        loop.seat = seat;
        loop.received = 0;
        this.#resize();
        for await (const order of seat.orders) {
          if (order.kind === 'cancel') loop.jobs.get(order.id)?.abort(processErrors.callCancelled({}));
          else {
            loop.received++;
            void this.#work(order.job, seat, loop, ends);
          }
        }
      } catch (error) {
        if (signal.aborted) break;
        if (failures === 0 || loop.seat !== undefined) {
          log.warn({ address, err: (error as Error).message }, 'no work from a scheduler: it is asked again');
        }
        failures++;
      } finally {
        if (loop.seat !== undefined) {
          loop.seat = undefined;
          this.#resize();
        }
        // whoever waits for them has been told
        const gone = peerErrors.peerGone({ peer: address, reason: 'its seat has ended' });
        ends.abort(gone);
        for (const job of loop.jobs.values()) job.abort(gone);
      }
      await clock.sleep(backoffMs(AGAIN, Math.max(1, failures), random), signal).catch(() => {});
    }
  }

  async #work(job: Job, seat: OpenSeat, loop: Loop, seatEnds: AbortController): Promise<void> {
    const cancel = new AbortController();
    loop.jobs.set(job.id, cancel);
    let failure: AppError | undefined;
    try {
      await this.#answer(job, await this.#options.run(job, cancel.signal), cancel.signal);
    } catch (error) {
      // nobody waits for the answer of a cancelled one
      if (!cancel.signal.aborted) {
        failure = AppError.from(error);
        // parts that nobody takes are made no more
        cancel.abort(failure);
      }
    }
    await this.#done(job, failure, seat, loop, seatEnds);
    loop.jobs.delete(job.id);
    this.#idle.resolve();
    this.#idle = Promise.withResolvers();
  }

  /** Tells the scheduler that a job is through; one that does not hear of it has the seat no more, and tells whoever waits. */
  async #done(
    { id }: Job,
    failure: AppError | undefined,
    seat: OpenSeat,
    loop: Loop,
    seatEnds: AbortController,
  ): Promise<void> {
    const { clock, random } = this.#options;
    for (let tries = 1; ; tries++) {
      try {
        return await seat.done(id, failure);
      } catch (error) {
        // a scheduler that is gone has told whoever waits
        if (loop.seat !== seat) return;
        if (tries >= DONE_AGAIN.triesMax) return seatEnds.abort(error);
      }
      await clock.sleep(backoffMs(DONE_AGAIN, tries, random), seatEnds.signal).catch(() => {});
      if (loop.seat !== seat) return;
    }
  }

  async #answer(job: Job, { head, bytes, parts }: JobOutcome, signal: AbortSignal): Promise<void> {
    const taker = this.#options.answers(job.answersTo);
    const said = { job: job.id, querier: this.#options.id };
    const told = parts === undefined ? { ...head, answerBytes: bytes.length } : head;
    let isFirst = true;
    const send = async (some: Uint8Array, isLast: boolean) => {
      signal.throwIfAborted();
      await taker.answer({ ...said, ...(isFirst && { head: told }), bytes: some, isLast });
      isFirst = false;
    };
    const sendAll = async (all: Uint8Array, isLast: boolean) => {
      let at = 0;
      do {
        const some = all.subarray(at, at + PART_BYTES);
        at += some.length;
        await send(some, isLast && at >= all.length);
      } while (at < all.length);
    };
    if (parts === undefined) return sendAll(bytes, true);
    await sendAll(bytes, false);
    for await (const part of parts) await sendAll(part, false);
    await send(new Uint8Array(0), true);
  }
}
