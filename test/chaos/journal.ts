import type { Refusal, StoreOutage } from './refusal-verdict.ts';

/** A fault that was made, from its beginning until it had ended. */
export interface MadeFault {
  readonly what: string;
  /** One process was touched, and nothing that all need. */
  readonly single: boolean;
  readonly startMs: number;
  endMs: number | undefined;
}

/** A request that failed. */
export interface Failure {
  /** When it was sent, and when it had failed. */
  readonly startMs: number;
  readonly atMs: number;
  readonly kind: 'write' | 'query';
  readonly why: string;
}

/** Time until all was well again after a fault. */
export interface Heal {
  readonly fault: MadeFault;
  /** Until the last request that failed was sent; 0: none failed. */
  readonly ms: number;
  /** Until that had failed. */
  readonly failedMs: number;
  readonly why: string;
}

const WRONG_MAX = 50;

/** Events of a run. */
export class Journal {
  readonly #startedMs = Date.now();
  readonly faults: MadeFault[] = [];
  readonly failures: Failure[] = [];
  readonly wrong: string[] = [];
  writes = 0;
  samples = 0;
  queries = 0;
  /** Queries that were answered that the store is away, while it was. */
  storeFailures = 0;
  /** Writes that were answered with 429, of those that were sent again. */
  throttled = 0;
  readonly refusals: Refusal[] = [];
  readonly storeOutages: StoreOutage[] = [];
  /** Samples that the store has at the end, as text; undefined: they were not counted. */
  stored: string | undefined;
  /** Samples that Prometheus sent again or not at all, as text; undefined: none wrote. */
  scraped: string | undefined;
  #wrongCount = 0;

  /** Says something that happened, with the time since the beginning. */
  say(text: string): void {
    const seconds = (Date.now() - this.#startedMs) / 1000;
    process.stdout.write(`${seconds.toFixed(1).padStart(7)} s  ${text}\n`);
  }

  began(what: string, single: boolean): MadeFault {
    this.say(what);
    const fault: MadeFault = { what, single, startMs: Date.now(), endMs: undefined };
    this.faults.push(fault);
    return fault;
  }

  beganStoreOutage(what: string): MadeFault {
    const fault = this.began(what, false);
    this.storeOutages.push(fault);
    return fault;
  }

  /** Begins with the first time that it was refused; each try moves its end. */
  refused(startMs: number): Refusal {
    const refusal: Refusal = { startMs, endMs: Date.now() };
    this.refusals.push(refusal);
    return refusal;
  }

  ended(fault: MadeFault): void {
    fault.endMs = Date.now();
    this.say(`  over: ${fault.what}`);
  }

  failed(kind: Failure['kind'], startMs: number, why: string): void {
    this.failures.push({ startMs, atMs: Date.now(), kind, why });
    if (process.env.VERBOSE === '1') this.say(`    ${kind} failed after ${Date.now() - startMs} ms: ${why}`);
  }

  wasWrong(what: string): void {
    this.#wrongCount++;
    if (this.wrong.length < WRONG_MAX) {
      this.wrong.push(what);
      this.say(`WRONG: ${what}`);
    }
  }

  /** Time until the last request that failed was sent, after faults of a single process that had the time for themselves. */
  heals(): Heal[] {
    const found: Heal[] = [];
    for (const fault of this.faults) {
      if (!fault.single) continue;
      const { startMs } = fault;
      const others = this.faults.filter((other) => other !== fault);
      // what began before and is not long over
      if (
        others.some(
          (other) => other.startMs <= startMs && (other.endMs ?? Number.POSITIVE_INFINITY) > startMs - QUIET_MS,
        )
      )
        continue;
      const untilMs = Math.min(Date.now(), ...others.map((other) => other.startMs).filter((ms) => ms > startMs));
      const last = this.failures.findLast(
        (each) =>
          each.startMs >= startMs &&
          each.startMs < untilMs &&
          // the next fault ended it
          !(each.atMs >= untilMs && each.startMs > untilMs - SHORTLY_MS),
      );
      const { startMs: sentMs, atMs, why } = last ?? { startMs, atMs: startMs, why: '' };
      found.push({ fault, ms: sentMs - startMs, failedMs: atMs - startMs, why });
    }
    return found;
  }

  get wrongCount(): number {
    return this.#wrongCount;
  }
}

/** Time after a fault before the next counts as the only one. */
const QUIET_MS = 3_000;
/** Time for which a request may be under way when all is well: a large query, on a busy machine. */
const SHORTLY_MS = 5_000;
