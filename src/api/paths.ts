import type { Route } from '../kit/http/message.ts';

/** A path of the API, apart from what answers it: whoever listens needs no more, and loads no more. */
export interface ApiPath {
  /** `/api/v1/label/:name/values` */
  readonly path: string;
  readonly methods: readonly string[];
  /** The right that a user needs for it, by method where they differ. Default `read`. */
  readonly needs?: Route['needs'];
  /** Whether it reads several tenants as one. Default: one only. */
  readonly tenants?: Route['tenant'];
  /** Its body is no form. */
  readonly takesBody?: boolean;
}

const GET = ['GET'];
const POST = ['POST'];
const GET_POST = ['GET', 'POST'];
const POST_PUT = ['POST', 'PUT'];
/** Paths that read what tenants have. */
const SEVERAL = { tenants: 'several' } as const;

/** All of the API. */
export const apiPaths = [
  { path: '/api/v1/query', methods: GET_POST, ...SEVERAL },
  { path: '/api/v1/query_range', methods: GET_POST, ...SEVERAL },
  { path: '/api/v1/query_explain', methods: GET_POST, ...SEVERAL },
  { path: '/api/v1/query_range_explain', methods: GET_POST, ...SEVERAL },
  { path: '/api/v1/query_exemplars', methods: GET_POST, ...SEVERAL },
  { path: '/api/v1/format_query', methods: GET_POST, ...SEVERAL },
  { path: '/api/v1/parse_query', methods: GET_POST, ...SEVERAL },
  { path: '/api/v1/series', methods: GET_POST, ...SEVERAL },
  { path: '/api/v1/labels', methods: GET_POST, ...SEVERAL },
  { path: '/api/v1/label/:name/values', methods: GET, ...SEVERAL },
  { path: '/api/v1/metadata', methods: GET, ...SEVERAL },
  { path: '/api/v1/rules', methods: GET },
  { path: '/api/v1/alerts', methods: GET },
  { path: '/api/v1/rule_preview', methods: POST },
  { path: '/api/v1/rule_test', methods: POST },
  { path: '/api/v1/targets', methods: GET },
  { path: '/api/v1/targets/metadata', methods: GET },
  { path: '/api/v1/scrape_pools', methods: GET },
  { path: '/api/v1/alertmanagers', methods: GET },
  { path: '/api/v1/status/buildinfo', methods: GET, ...SEVERAL },
  { path: '/api/v1/status/config', methods: GET, needs: 'admin' },
  { path: '/api/v1/status/flags', methods: GET, needs: 'admin' },
  { path: '/api/v1/status/runtimeinfo', methods: GET },
  { path: '/api/v1/status/tsdb', methods: GET },
  { path: '/api/v1/status/tsdb/blocks', methods: GET },
  { path: '/api/v1/status/walreplay', methods: GET },
  { path: '/api/v1/features', methods: GET, ...SEVERAL },
  { path: '/api/v1/notifications', methods: GET },
  { path: '/api/v1/search/metric_names', methods: GET_POST, ...SEVERAL },
  { path: '/api/v1/search/label_names', methods: GET_POST, ...SEVERAL },
  { path: '/api/v1/search/label_values', methods: GET_POST, ...SEVERAL },
  { path: '/api/v1/cardinality/day', methods: GET_POST },
  { path: '/api/v1/cardinality/savings', methods: GET_POST },
  {
    path: '/api/v1/admin/tsdb/delete_series',
    methods: ['GET', 'POST', 'PUT'],
    needs: { GET: 'read', POST: 'edit', PUT: 'edit' },
  },
  { path: '/api/v1/admin/tsdb/delete_series/preview', methods: GET_POST },
  { path: '/api/v1/admin/tsdb/cancel_delete_request', methods: POST_PUT, needs: 'edit' },
  { path: '/api/v1/admin/tsdb/clean_tombstones', methods: POST_PUT, needs: 'edit' },
  { path: '/api/v1/admin/tsdb/snapshot', methods: POST_PUT, needs: 'edit' },
  { path: '/api/v1/read', methods: POST, ...SEVERAL, takesBody: true },
  { path: '/federate', methods: GET, ...SEVERAL },
] as const satisfies readonly ApiPath[];

export type ApiPathName = (typeof apiPaths)[number]['path'];
