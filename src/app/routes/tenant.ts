import { settingsInForce } from '../../kit/config/section.ts';
import { masked } from '../../kit/config/show.ts';
import { apiError } from '../../kit/http/failure.ts';
import { AddressParams } from '../../kit/http/form.ts';
import { jsonResponse, type Route } from '../../kit/http/message.ts';
import { limitsConfig, type TenantLimits } from '../../limits/limits.ts';
import type { QueryBook, TopQuery } from '../../querier/query-book.ts';
import type { RunningQueries, ShownQuery } from '../../querier/running-queries.ts';

/** Facts that tenants may know of themselves. */
export interface TenantSources {
  limits(tenant: string): TenantLimits;
  readonly book: QueryBook;
  readonly running: RunningQueries;
}

const TOP_MAX = 1000;

/**
 * `/api/v1/user_limits`, `/api/v1/status/active_queries`, `/api/v1/status/cancel_query`, `/api/v1/status/top_queries`, and
 * `/api/v1/status/running_queries` of all tenants for operators.
 */
export function tenantRoutes(sources: TenantSources): Route[] {
  type Answer = (tenant: string, params: AddressParams, signal: AbortSignal) => unknown;
  const get = (path: string, answer: Answer): Route => ({
    path,
    methods: ['GET'],
    needs: 'read',
    tenant: 'one',
    cors: true,
    handle: async ({ tenant, query, signal }) => jsonResponse(await answer(tenant, AddressParams.of(query), signal)),
  });
  /** Queries under way; those of all tenants tell whose they are. */
  const running = async (tenant: string | undefined, signal: AbortSignal) => {
    const { queries, warnings } = await sources.running.running(tenant, signal);
    return {
      status: 'ok',
      data: queries.map((each) =>
        tenant === undefined ? { tenant: each.tenant, ...shownQuery(each) } : shownQuery(each),
      ),
      ...(warnings.length > 0 && { warnings }),
    };
  };
  return [
    get('/api/v1/user_limits', (tenant) => shownLimits(sources.limits(tenant))),
    get('/api/v1/status/active_queries', (tenant, _, signal) => running(tenant, signal)),
    {
      path: '/api/v1/status/running_queries',
      methods: ['GET'],
      needs: 'admin',
      failures: 'api',
      handle: async ({ signal }) => jsonResponse(await running(undefined, signal)),
    },
    {
      path: '/api/v1/status/cancel_query',
      methods: ['POST'],
      needs: 'edit',
      tenant: 'one',
      cors: true,
      handle: async ({ tenant, query, signal }) => {
        const id = AddressParams.of(query).get('id') ?? '';
        return (await sources.running.cancel(tenant, id, signal))
          ? jsonResponse({ status: 'ok' })
          : jsonResponse(apiError('not_found', `there is no query ${id} under way`), { status: 404 });
      },
    },
    get('/api/v1/status/top_queries', (tenant, params) => {
      const top = bounded(params.get('topN'), 20, TOP_MAX);
      const withinMs = bounded(params.get('maxLifetimeSeconds'), 600, 86_400) * 1e3;
      const queries = sources.book.ended(tenant, withinMs);
      const average = ({ sumDurationSeconds, count }: TopQuery) => sumDurationSeconds / count;
      const by = (measure: (query: TopQuery) => number) =>
        queries.toSorted((a, b) => measure(b) - measure(a)).slice(0, top);
      return {
        status: 'ok',
        topN: top,
        topByCount: by(({ count }) => count).map(({ query, timeRangeSeconds, count }) => ({
          query,
          timeRangeSeconds,
          count,
        })),
        topByAvgDuration: by(average).map((each) => ({
          query: each.query,
          timeRangeSeconds: each.timeRangeSeconds,
          avgDurationSeconds: average(each),
          count: each.count,
        })),
        topBySumDuration: by(({ sumDurationSeconds }) => sumDurationSeconds),
      };
    }),
  ];
}

function shownQuery({ id, process, query, start, end, step, forMs }: ShownQuery) {
  const where = process === '' ? {} : { process };
  return { id, ...where, duration: `${(forMs / 1e3).toFixed(3)}s`, query, start, end, step };
}

const settings = settingsInForce({ limits: limitsConfig });

function shownLimits(limits: TenantLimits): Record<string, unknown> {
  return Object.fromEntries(
    settings.map(({ name, path, field }) => [
      path.slice(limitsConfig.name.length + 1),
      masked(field.print(limits[name as keyof TenantLimits])),
    ]),
  );
}

function bounded(text: string | null, otherwise: number, max: number): number {
  const value = Number(text ?? otherwise);
  return Number.isFinite(value) && value >= 1 ? Math.min(Math.floor(value), max) : otherwise;
}
