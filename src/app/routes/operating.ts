import { type HttpRequest, jsonResponse, type Route } from '../../kit/http/message.ts';
import { readMetrics } from '../../kit/observe/metrics.ts';
import type { TenantLimits } from '../../limits/limits.ts';
import { type App, part } from '../app.ts';

/** Tenants of one answer, those with the most series. */
const TENANTS_MAX = 10_000;
const SAMPLES = 'pallium_discarded_samples_total';
const METADATA = 'pallium_discarded_metadata_total';

/** Counts by reason, since the process started. */
type ByReason = Readonly<Record<string, number>>;

interface Discarded {
  readonly samples: ByReason;
  readonly metadata: ByReason;
}

const NOTHING: Discarded = { samples: {}, metadata: {} };

/** `/api/v1/status/process`: the process, its services and loops. For operators. */
export function processRoutes(app: App): Route[] {
  return [
    {
      path: '/api/v1/status/process',
      methods: ['GET'],
      needs: 'admin',
      failures: 'api',
      async handle() {
        const { config, version, startTimeMs, clock, services, loops } = app;
        const { rss, heapUsed } = process.memoryUsage();
        return success({
          version,
          node: process.version,
          target: config.process.target,
          startTimeMs,
          nowMs: clock.nowMs(),
          memoryBytes: rss,
          mainHeapBytes: heapUsed,
          notReady: services?.notReady() ?? ['starting'],
          services: (services?.states ?? []).map(([name, state]) => ({ name, state })),
          loops: await loops.all(),
        });
      },
    },
  ];
}

/**
 * Use beside limits: `/api/v1/status/tenant` for one tenant, `/api/v1/status/tenants` of all for operators. For a process with
 * distributor and ingester.
 * @param rateOf samples a second that a tenant sends
 */
export function tenantUseRoutes(app: App, rates: { of(tenant: string): number; readonly tenants: string[] }): Route[] {
  const { limits, registry } = app;
  const ingester = part(app, 'ingester');
  const shown = (tenant: string, series: number, discarded: Discarded) => ({
    tenant,
    series,
    samplesPerSecond: rates.of(tenant),
    limits: limitsOf(limits.of(tenant)),
    discarded,
  });
  const one = async ({ tenant }: HttpRequest) => {
    const [series, discarded] = await Promise.all([ingester.seriesOf(tenant), discardedIn(registry)]);
    return success({ ...shown(tenant, series, discarded.get(tenant) ?? NOTHING), sinceMs: app.startTimeMs });
  };
  const all = async () => {
    const [seriesOf, discarded] = await Promise.all([ingester.tenantSeries(), discardedIn(registry)]);
    const series = new Map(seriesOf.map((each) => [each.tenant, each.series]));
    const names = [...new Set([...series.keys(), ...rates.tenants, ...discarded.keys()])]
      .map((tenant) => ({ tenant, size: series.get(tenant) ?? 0 }))
      .sort((a, b) => b.size - a.size || (a.tenant < b.tenant ? -1 : 1));
    return success({
      total: names.length,
      sinceMs: app.startTimeMs,
      tenants: names
        .slice(0, TENANTS_MAX)
        .map(({ tenant, size }) => shown(tenant, size, discarded.get(tenant) ?? NOTHING)),
    });
  };
  const route = { methods: ['GET'], failures: 'api' } as const;
  return [
    { ...route, path: '/api/v1/status/tenant', needs: 'read', tenant: 'one', cors: true, handle: one },
    { ...route, path: '/api/v1/status/tenants', needs: 'admin', handle: all },
  ];
}

/** The limits that use is held against; 0: none. */
function limitsOf(limits: TenantLimits) {
  const { maxSeriesPerUser, maxGlobalSeriesPerUser, ingestionRate, ingestionBurstSize } = limits;
  const set = [maxSeriesPerUser, maxGlobalSeriesPerUser].filter((limit) => limit > 0);
  return {
    series: set.length === 0 ? 0 : Math.min(...set),
    samplesPerSecond: ingestionRate,
    burst: ingestionBurstSize,
  };
}

/** Discarded samples and metadata by tenant: from the counters, which all that is refused goes through. */
async function discardedIn(registry: App['registry']): Promise<ReadonlyMap<string, Discarded>> {
  const found = new Map<string, { samples: Record<string, number>; metadata: Record<string, number> }>();
  for (const { name, values } of await readMetrics(registry, [])) {
    if (name !== SAMPLES && name !== METADATA) continue;
    for (const { labels, value } of values) {
      const { user, reason } = labels as { user?: string; reason?: string };
      if (user === undefined || reason === undefined) continue;
      let own = found.get(user);
      if (own === undefined) {
        own = { samples: {}, metadata: {} };
        found.set(user, own);
      }
      own[name === SAMPLES ? 'samples' : 'metadata'][reason] = Number(value);
    }
  }
  return found;
}

function success(data: unknown) {
  return jsonResponse({ status: 'success', data });
}
