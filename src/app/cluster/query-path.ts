import type { TenantLimits } from '../../limits/limits.ts';
import type { Config } from '../config.ts';
import { isClustered } from './clustered.ts';

/**
 * Checks the settings of who asks whom for queries.
 * @throws Error that names the setting
 */
export function checkQueryPath(config: Config): void {
  const { frontend, frontendWorker, process, queryScheduler, ruler } = config;
  const { target } = process;
  const with_ = (name: string) => target.includes(name);
  const both = ['all', 'querier', 'ruler'].find(with_);
  if (with_('query-frontend') && both !== undefined) {
    throw new Error(`-target query-frontend,${both} is refused: both answer queries at the same addresses`);
  }
  const { frontendAddress, schedulerAddress } = frontendWorker;
  if (frontendAddress.length > 0 && schedulerAddress.length > 0) {
    throw new Error('-querier.frontend-address and -querier.scheduler-address are refused together: give one of them');
  }
  const refused = idleLimits(config, config.limits);
  if (refused !== undefined) throw new Error(`limits: ${refused}`);
  if (isClustered(config)) return;
  const idle = {
    '-frontend.scheduler-address': frontend.schedulerAddress.length > 0,
    '-querier.frontend-address': frontendAddress.length > 0,
    '-querier.scheduler-address': schedulerAddress.length > 0,
    '-querier.id': frontendWorker.id !== '',
    '-ruler.frontend-address': ruler.frontendAddress.length > 0,
    '-query-scheduler.querier-forget-delay': queryScheduler.querierForgetDelayMs > 0,
  };
  for (const [flag, isSet] of Object.entries(idle)) {
    if (isSet) throw new Error(`${flag} is refused with -target ${target.join(',')}: one process asks itself`);
  }
}

/** Limits of a tenant that do nothing in this process, as an error names them. */
export function idleLimits(config: Config, { queryPriority }: Partial<TenantLimits>): string | undefined {
  if (isClustered(config) || queryPriority === undefined || queryPriority.reserved.length === 0) return undefined;
  return 'query_priority: reserved_queriers is refused in one process: it is of query front ends with several queriers';
}
