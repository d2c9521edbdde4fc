import { jsonResponse, type Route } from '../../kit/http/message.ts';

/** A tenant's numbers, in Cortex' names. */
export interface UserStats {
  readonly ingestionRate: number;
  readonly numSeries: number;
}

/** `/api/v1/user_stats` */
export function statsRoutes(statsOf: (tenant: string) => Promise<UserStats>): Route[] {
  return [
    {
      path: '/api/v1/user_stats',
      methods: ['GET'],
      needs: 'read',
      tenant: 'one',
      cors: true,
      handle: async ({ tenant }) => jsonResponse(cortexStats(await statsOf(tenant))),
    },
  ];
}

/** `/distributor/all_user_stats`, `/ingester/all_user_stats`: for operators, all tenants. */
export function allStatsRoutes(all: () => Promise<readonly (UserStats & { readonly userID: string })[]>): Route[] {
  return ['/distributor/all_user_stats', '/ingester/all_user_stats'].map((path) => ({
    path,
    methods: ['GET'],
    needs: 'admin' as const,
    handle: async () => jsonResponse((await all()).map(({ userID, ...stats }) => ({ userID, ...cortexStats(stats) }))),
  }));
}

function cortexStats({ ingestionRate, numSeries }: UserStats) {
  return { ingestionRate, numSeries, APIIngestionRate: ingestionRate, RuleIngestionRate: 0 };
}
