import type { Service, Stop } from '../kit/service/service.ts';
import type { Clock } from '../lib/clock.ts';
import type { Scheduler } from './scheduler.ts';

/** The scheduler's wire, as far as it begins and ends. */
export interface SchedulerWire {
  /** Tells front ends to leave jobs elsewhere. */
  going(): void;
  /** Ends all connections' streams. */
  close(): void;
}

export interface SchedulerServiceOptions {
  readonly scheduler: Scheduler;
  readonly server: SchedulerWire;
  readonly clock: Clock;
}

/** How often it is seen whether jobs are through, when it ends. */
const LOOK_MS = 50;

/** A queue of queries as a part of its process: it ends when the jobs that queriers have are through. */
export class SchedulerService implements Service {
  readonly name = 'query-scheduler';
  readonly #options: SchedulerServiceOptions;

  constructor(options: SchedulerServiceOptions) {
    this.#options = options;
  }

  notReady(): string | undefined {
    return this.#options.scheduler.queriers === 0 ? 'no querier asks for work' : undefined;
  }

  async stop(stop: Stop): Promise<void> {
    const { scheduler, server, clock } = this.#options;
    server.going();
    scheduler.close();
    while (scheduler.running > 0 && !stop.signal.aborted) {
      stop.progress(`${scheduler.running} jobs are under way`);
      await clock.sleep(LOOK_MS, stop.signal).catch(() => {});
    }
    server.close();
  }
}
