import type { JobScheduler } from '../../contract/jobs.ts';
import type { JobDesk } from '../../frontend/job-desk.ts';
import type { Service } from '../../kit/service/service.ts';
import { peerErrors } from '../../model/errors-peer.ts';
import { type App, part } from '../app.ts';
import { SchedulerLinks } from '../cluster/scheduler-links.ts';
import { FrontendThreads } from '../threads/frontend-threads.ts';
import { jobDeskIn } from './job-desk.ts';
import type { Module } from './module.ts';
import { queryService, queryThreads } from './querier.ts';
import { schedulerIn } from './query-scheduler.ts';

/** Splits queries, caches and merges their answers; queriers elsewhere evaluate. */
export const queryFrontendModule: Module = {
  needs: ['observer', 'limits', 'peers', 'threads', 'web'],
  target: 'Splits queries, and leaves their parts to queriers.',
  build(app) {
    const { config, log, clock } = app;
    const peers = part(app, 'peers');
    const desk = jobDeskIn(app);
    const threads = queryThreads(app, { desk });
    const { services } = queryService(app, threads, new FrontendThreads(threads, desk));
    const { schedulerAddress, schedulerDnsLookupPeriodMs: periodMs } = config.frontend;
    if (schedulerAddress.length === 0) return [...schedulerHere(app, desk), ...services];
    const links = new SchedulerLinks({
      names: schedulerAddress,
      periodMs,
      desk,
      peers,
      loops: app.loops,
      log,
      clock,
    });
    return [links, ...services];
  },
};

/** The front end's own queue, where there is no scheduler elsewhere. */
function schedulerHere(app: App, desk: JobDesk): readonly Service[] {
  // another target of this process may have made it
  const service = app.parts.scheduler === undefined ? [schedulerIn(app)] : [];
  const scheduler = part(app, 'scheduler');
  const own: JobScheduler = {
    async enqueue(job) {
      scheduler.enqueue(job, ({ id }, failure) => {
        if (failure !== undefined) desk.failed(id, failure.error, failure.querier);
      });
    },
    cancel: (id) => scheduler.cancel(id),
  };
  const stop = async () => desk.remove(own, peerErrors.peerGone({ peer: 'this process', reason: 'it ends' }));
  desk.add(own);
  return [...service, { name: 'query-desk', stop }];
}
