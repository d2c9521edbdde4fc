import {
  type Job,
  type JobBoard,
  type JobEnded,
  type JobOrder,
  type QuerierSeat,
  RULES_OF,
  type SeatedQuerier,
} from '../contract/jobs.ts';
import type { Clock } from '../lib/clock.ts';
import { Seat, type SeatCall, Seats, type TakenSeat } from '../lib/seats.ts';
import { processErrors } from '../model/errors-process.ts';
import { tenantsOf } from '../model/tenants.ts';
import type { schedulerMetrics } from './metrics.ts';
import { type QuerierShare, queriersOf } from './tenant-queriers.ts';

/** Settings of a tenant, as far as its jobs go by them. */
export interface SchedulerLimits extends QuerierShare {
  /** Queries that wait. */
  readonly outstandingMax: number;
}

export interface SchedulerOptions {
  readonly limits: (tenant: string) => SchedulerLimits;
  /** Jobs that wait, of all tenants. */
  readonly waitingMax: number;
  /** A querier whose connection broke still counts for so long among those that tenants are spread over. */
  readonly forgetMs: number;
  readonly metrics: ReturnType<typeof schedulerMetrics>;
  readonly clock: Clock;
}

interface Querier {
  readonly id: string;
  readonly order: (order: JobOrder) => void;
  readonly jobs: Map<string, Known>;
  /** Jobs that it was given. */
  given: number;
}

/** Tenants whose queriers are remembered. */
const SHARES_MAX = 10_000;

/** A job, from when it came until it is through. */
interface Known extends SeatCall<Querier> {
  readonly job: Job;
  /** The tenant whose settings it goes by: of several the one with the fewest jobs. */
  readonly tenant: string;
  readonly ended: JobEnded;
  readonly sinceMs: number;
  taken: TakenSeat<Querier> | undefined;
  isCancelled: boolean;
}

/**
 * The queue between front ends and queriers: fair turns between tenants, within a tenant by priority and estimated cost, each tenant by
 * its own queriers. It neither reads jobs nor sees answers.
 */
export class Scheduler implements JobBoard {
  readonly #options: SchedulerOptions;
  readonly #seats: Seats<Querier>;
  readonly #jobs = new Map<string, Known>();
  /** Jobs that wait, by tenant and query. */
  readonly #waiting = new Map<string, Map<string, number>>();
  /** Jobs that wait or run, by query: see `queryOf`. */
  readonly #queries = new Map<string, number>();
  /** Connections of queriers by their names, but for those that take no more jobs. */
  readonly #connected = new Map<string, number>();
  /** Names of queriers that tenants are spread over. */
  readonly #names = new Set<string>();
  /** The queriers of each tenant, until one comes or goes or its settings are others. */
  readonly #shares = new Map<
    string,
    { readonly limits: SchedulerLimits; readonly queriers: ReadonlyMap<string, number> | undefined }
  >();

  constructor(options: SchedulerOptions) {
    this.#options = options;
    const { waitingMax, clock } = options;
    this.#seats = new Seats({ waitingMax, clock });
  }

  /** Jobs that wait. */
  get waiting(): number {
    return this.#seats.waiting;
  }

  /** Jobs that queriers have. */
  get running(): number {
    return this.#jobs.size - this.#seats.waiting;
  }

  /** Queriers that ask for work. */
  get queriers(): number {
    return this.#connected.size;
  }

  /** Opens a seat. @param order is told what the querier is to do */
  connect({ id, places, heavyPlaces }: QuerierSeat, order: (order: JobOrder) => void): SeatedQuerier {
    const querier: Querier = { id, order, jobs: new Map(), given: 0 };
    const seat = new Seat({ who: querier, callsMax: places, heavyMax: heavyPlaces });
    let isCounted = places > 0;
    if (isCounted) this.#joined(id);
    this.#seats.add(seat);
    this.#seats.fill();
    let isGone = false;
    return {
      resize: ({ places: now, heavyPlaces: heavyNow }) => {
        seat.callsMax = now;
        seat.heavyMax = heavyNow;
        if (isGone) return querier.given;
        if (isCounted !== now > 0) {
          isCounted = now > 0;
          // jobs that only it could have had go to others
          if (isCounted) this.#joined(id);
          else this.#left(id, false);
        }
        this.#seats.fill();
        return querier.given;
      },
      done: (job, error) => {
        const known = querier.jobs.get(job);
        if (known === undefined) return;
        this.#through(known);
        known.ended(known.job, error && { error, querier: id });
      },
      leave: (reason) => {
        if (isGone) return;
        isGone = true;
        this.#seats.remove(seat);
        if (isCounted) this.#left(id, reason !== undefined);
        const error = processErrors.querierGone({ querier: id, reason: reason ?? 'it ends' });
        for (const known of [...querier.jobs.values()]) {
          this.#through(known);
          known.ended(known.job, { error, querier: id });
        }
        // their last querier may have been this one
        this.#seats.fill();
      },
    };
  }

  /** @throws tooManyOutstandingRequests, workerQueueFull */
  enqueue(job: Job, ended: JobEnded): void {
    const { clock, metrics, limits, waitingMax } = this.#options;
    const { costMs, priority } = job;
    const tenants = tenantsOf(job.tenant);
    const tenant = this.#seats.quietest(tenants);
    const owner = job.isOfRules ? `${RULES_OF}${tenant}` : tenant;
    const known: Known = {
      job,
      tenant,
      owner,
      costMs,
      priority,
      ended,
      sinceMs: clock.monotonicMs(),
      taken: undefined,
      isCancelled: false,
      fits: (querier) => this.#mayHave(tenant, job, querier),
      seated: (taken) => {
        this.#noWait(known);
        this.#give(known, taken);
      },
    };
    this.#seats.note(known);
    const taken = this.#seats.take(known);
    if (taken !== undefined) {
      this.#keep(known);
      this.#give(known, taken);
      return;
    }
    const outstandingMax = Math.min(...tenants.map((each) => limits(each).outstandingMax));
    const queries = this.#waiting.get(owner);
    // parts of a query that waits or runs already are none more
    if (queries !== undefined && queries.size >= outstandingMax && !this.#queries.has(queryOf(job))) {
      metrics.discarded.inc({ user: tenant });
      throw processErrors.tooManyOutstandingRequests({ limit: outstandingMax });
    }
    if (!this.#seats.wait(known)) {
      metrics.discarded.inc({ user: tenant });
      throw processErrors.workerQueueFull({ pool: 'query-scheduler', limit: waitingMax });
    }
    this.#keep(known);
    const own = queries ?? new Map<string, number>();
    own.set(job.query, (own.get(job.query) ?? 0) + 1);
    this.#waiting.set(owner, own);
    this.#tellWaiting(tenant);
    // it may pass others that find no querier
    this.#seats.fill();
  }

  /** Nobody waits for the job: its querier is told at once. */
  cancel(id: string): void {
    const known = this.#jobs.get(id);
    if (known === undefined || known.isCancelled) return;
    known.isCancelled = true;
    this.#options.metrics.cancelled.inc();
    if (known.taken !== undefined) {
      known.taken.seat.who.order({ kind: 'cancel', id });
      return;
    }
    this.#seats.leave(known);
    this.#drop(known);
    this.#noWait(known);
    known.ended(known.job);
  }

  /** Fails all that waits: another scheduler may have it. */
  close(): void {
    const error = processErrors.shuttingDown({});
    for (let next = this.#seats.shift(); next !== undefined; next = this.#seats.shift()) {
      const known = next as Known;
      this.#drop(known);
      this.#noWait(known);
      known.ended(known.job, { error, querier: undefined });
    }
  }

  #keep(known: Known): void {
    const { job } = known;
    this.#jobs.set(job.id, known);
    const query = queryOf(job);
    this.#queries.set(query, (this.#queries.get(query) ?? 0) + 1);
  }

  #drop({ job }: Known): void {
    this.#jobs.delete(job.id);
    const query = queryOf(job);
    const left = this.#queries.get(query)! - 1;
    if (left > 0) this.#queries.set(query, left);
    else this.#queries.delete(query);
  }

  #give(known: Known, taken: TakenSeat<Querier>): void {
    const { clock, metrics } = this.#options;
    known.taken = taken;
    const { who } = taken.seat;
    who.jobs.set(known.job.id, known);
    who.given++;
    metrics.waited.observe((clock.monotonicMs() - known.sinceMs) / 1000);
    metrics.running.inc();
    who.order({ kind: 'job', job: known.job });
  }

  #through(known: Known): void {
    const { taken, job } = known;
    this.#drop(known);
    taken!.seat.who.jobs.delete(job.id);
    this.#options.metrics.running.dec();
    this.#seats.free(known, taken!);
  }

  #noWait({ owner, tenant, job }: Known): void {
    const queries = this.#waiting.get(owner)!;
    const left = queries.get(job.query)! - 1;
    if (left > 0) queries.set(job.query, left);
    else queries.delete(job.query);
    if (queries.size === 0) this.#waiting.delete(owner);
    this.#tellWaiting(tenant);
  }

  /** Counts a tenant's jobs that wait, those of its rules among them. */
  #tellWaiting(tenant: string): void {
    const { metrics } = this.#options;
    const waiting = this.#seats.waitingOf(tenant) + this.#seats.waitingOf(`${RULES_OF}${tenant}`);
    if (waiting > 0) metrics.length.set({ user: tenant }, waiting);
    else metrics.length.remove({ user: tenant });
  }

  #mayHave(tenant: string, { priority, avoid }: Job, { id }: Querier): boolean {
    const own = this.#queriersOf(tenant);
    const least = own === undefined ? Number.NEGATIVE_INFINITY : own.get(id);
    if (least === undefined || priority < least) return false;
    if (!avoid.includes(id)) return true;
    for (const other of this.#connected.keys()) {
      if (avoid.includes(other)) continue;
      const its = own === undefined ? Number.NEGATIVE_INFINITY : own.get(other);
      if (its !== undefined && priority >= its) return false;
    }
    return true;
  }

  #queriersOf(tenant: string): ReadonlyMap<string, number> | undefined {
    const limits = this.#options.limits(tenant);
    const known = this.#shares.get(tenant);
    if (known?.limits === limits) return known.queriers;
    if (this.#shares.size >= SHARES_MAX) this.#shares.clear();
    const queriers = queriersOf(tenant, this.#names, limits);
    this.#shares.set(tenant, { limits, queriers });
    return queriers;
  }

  #changed(): void {
    this.#shares.clear();
    this.#options.metrics.queriers.set(this.#connected.size);
  }

  #joined(id: string): void {
    this.#connected.set(id, (this.#connected.get(id) ?? 0) + 1);
    this.#names.add(id);
    this.#changed();
  }

  #left(id: string, isLost: boolean): void {
    const { clock, forgetMs } = this.#options;
    const connections = this.#connected.get(id)! - 1;
    if (connections > 0) {
      this.#connected.set(id, connections);
      return;
    }
    this.#connected.delete(id);
    const forget = () => {
      if (this.#connected.has(id)) return;
      this.#names.delete(id);
      this.#changed();
    };
    if (!isLost || forgetMs === 0) {
      forget();
      return;
    }
    this.#changed();
    void clock.sleep(forgetMs).then(() => {
      forget();
      this.#seats.fill();
    });
  }
}

/** A name for a job's query that those of other tenants do not have, whichever of several tenants its jobs are counted for. */
function queryOf({ tenant, query }: Job): string {
  return `${tenant}/${query}`;
}
