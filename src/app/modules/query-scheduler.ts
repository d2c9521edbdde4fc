import { getOrMake } from '../../lib/map.ts';
import type { TenantLimits } from '../../limits/limits.ts';
import { JobBoardServer } from '../../peer/job-role.ts';
import { schedulerMetrics } from '../../scheduler/metrics.ts';
import { Scheduler, type SchedulerLimits } from '../../scheduler/scheduler.ts';
import { SchedulerService } from '../../scheduler/service.ts';
import { type App, part } from '../app.ts';
import type { Module } from './module.ts';

/** Jobs that wait, of all tenants. */
const WAITING_MAX = 20_000;

/** The queue between query front ends and queriers. */
export const querySchedulerModule: Module = {
  needs: ['observer', 'limits', 'peers'],
  target: 'Holds the queue of queries, for front ends and queriers.',
  build: (app) => [schedulerIn(app)],
};

/** Makes the queue of this process, and serves it to others. */
export function schedulerIn(app: App): SchedulerService {
  const { config, limits, registry, clock } = app;
  const metrics = schedulerMetrics(registry);
  const known = new WeakMap<TenantLimits, SchedulerLimits>();
  const scheduler = new Scheduler({
    limits: (tenant) => getOrMake(known, limits.of(tenant), () => shareOf(limits.of(tenant))),
    waitingMax: WAITING_MAX,
    forgetMs: config.queryScheduler.querierForgetDelayMs,
    metrics,
    clock,
  });
  const server = new JobBoardServer(scheduler, (frontends) => metrics.frontends.set(frontends));
  part(app, 'peers').answer(server.role);
  app.parts.scheduler = scheduler;
  return new SchedulerService({ scheduler, server, clock });
}

function shareOf(limits: TenantLimits): SchedulerLimits {
  return {
    outstandingMax: limits.maxOutstandingRequestsPerTenant,
    max: limits.maxQueriersPerTenant,
    reserved: limits.queryPriority.reserved,
  };
}
