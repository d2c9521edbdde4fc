/** Metrics of one convention that tell rate, errors and duration of requests. */
export interface RedFamily {
  readonly id: string;
  readonly title: string;
  /** A counter of requests; for a histogram alone its `_count`. */
  readonly requests: string;
  /** Matchers that make a request a failed one; series have the label of one of them. */
  readonly failed: readonly string[];
  /** The histogram of durations, without suffix. */
  readonly duration: string | undefined;
  /** Durations are native histograms, by the name without suffix; where there is no counter, requests are what they count. */
  readonly native: boolean;
  /** Seconds that one unit of the durations is. */
  readonly durationScale: number;
  /** Matchers that all of its queries have. */
  readonly only: string;
  /** Labels that it may be broken down by, best first. */
  readonly labels: readonly string[];
  /** Series that belong to whom these labels name, and not to their job. */
  readonly owner: { readonly namespace: string; readonly name: string } | undefined;
}

const SERVER_ERRORS = ['code=~"5.."', 'status_code=~"5.."', 'status=~"5.."'];
const GRPC_ERRORS = 'Unknown|DeadlineExceeded|Unimplemented|Internal|Unavailable|DataLoss|ResourceExhausted';

function family(id: string, title: string, requests: string, more: Partial<RedFamily>): RedFamily {
  return {
    id,
    title,
    requests,
    failed: SERVER_ERRORS,
    duration: undefined,
    native: false,
    durationScale: 1,
    only: '',
    labels: [],
    owner: undefined,
    ...more,
  };
}

/** All conventions, the most telling first: where a service has several, the first is its face. */
export const RED_FAMILIES: readonly RedFamily[] = [
  family('otel-http', 'HTTP server', 'http_server_request_duration_seconds_count', {
    failed: ['http_response_status_code=~"5.."', 'error_type!=""'],
    duration: 'http_server_request_duration_seconds',
    labels: ['http_route', 'http_request_method'],
  }),
  family('micrometer', 'HTTP server (Micrometer)', 'http_server_requests_seconds_count', {
    failed: ['status=~"5.."', 'outcome="SERVER_ERROR"'],
    duration: 'http_server_requests_seconds',
    labels: ['uri', 'method'],
  }),
  family('http', 'HTTP', 'http_requests_total', {
    duration: 'http_request_duration_seconds',
    labels: ['handler', 'route', 'path', 'method'],
  }),
  family('http-histogram', 'HTTP', 'http_request_duration_seconds_count', {
    duration: 'http_request_duration_seconds',
    labels: ['handler', 'route', 'path', 'method'],
  }),
  family('go-kit', 'Requests', 'request_duration_seconds_count', {
    failed: ['status_code=~"5..|error"'],
    duration: 'request_duration_seconds',
    labels: ['route', 'method'],
  }),
  family('grpc', 'gRPC server', 'grpc_server_handled_total', {
    failed: [`grpc_code=~"${GRPC_ERRORS}"`],
    duration: 'grpc_server_handling_seconds',
    labels: ['grpc_method', 'grpc_service'],
  }),
  family('otel-rpc', 'RPC server', 'rpc_server_duration_milliseconds_count', {
    failed: ['rpc_grpc_status_code=~"2|4|8|12|13|14|15"'],
    duration: 'rpc_server_duration_milliseconds',
    durationScale: 1e-3,
    labels: ['rpc_method', 'rpc_service'],
  }),
  family('istio', 'Mesh (Istio)', 'istio_requests_total', {
    failed: ['response_code=~"5.."'],
    duration: 'istio_request_duration_milliseconds',
    durationScale: 1e-3,
    only: 'reporter="destination"',
    labels: ['source_workload', 'response_code'],
    owner: { namespace: 'destination_workload_namespace', name: 'destination_workload' },
  }),
  family('nginx', 'Ingress (nginx)', 'nginx_ingress_controller_requests', {
    failed: ['status=~"5.."'],
    duration: 'nginx_ingress_controller_request_duration_seconds',
    labels: ['ingress', 'host', 'path'],
  }),
  family('traefik', 'Traefik', 'traefik_service_requests_total', {
    failed: ['code=~"5.."'],
    duration: 'traefik_service_request_duration_seconds',
    labels: ['service', 'method'],
  }),
];

/** The same convention with native histograms; undefined: it has no durations. */
export function nativeOf(classic: RedFamily): RedFamily | undefined {
  const { id, requests, duration } = classic;
  if (duration === undefined) return undefined;
  return { ...classic, id: `${id}-native`, native: true, requests: isOwnCounter(classic) ? requests : duration };
}

/** Whether requests have a counter beside the durations. */
export function isOwnCounter({ requests, duration }: RedFamily): boolean {
  return requests !== `${duration}_count` && requests !== duration;
}

/** All conventions, each with native histograms and with classic ones. */
export const RED_VARIANTS: readonly RedFamily[] = RED_FAMILIES.flatMap((family) => {
  const native = nativeOf(family);
  return native === undefined ? [family] : [native, family];
});

/** Whether metrics are those of a family. A name without suffix is a native histogram where no classic one nor summary has it. */
export function isOfFamily({ requests, duration, native }: RedFamily, has: (metric: string) => boolean): boolean {
  return has(requests) && (!native || (has(duration!) && !has(`${duration}_count`)));
}

/** Parts of a selector, joined; empty ones are left out. */
export function matchersOf(...parts: readonly string[]): string {
  const list = parts.filter((part) => part !== '');
  return list.length === 0 ? '' : `{${list.join(',')}}`;
}

export function byOf(labels: readonly string[]): string {
  return labels.length === 0 ? '' : ` by (${labels.join(', ')})`;
}

/** Queries of a family. @param selector matchers of the service; @param range a PromQL duration */
export function redQueries(family: RedFamily, by: readonly string[], selector: string, range: string) {
  const { requests, failed, duration, durationScale, only, native } = family;
  const summed = (expr: string, labels = by) => `sum${byOf(labels)} (${expr})`;
  const rated = (metric: string, ...more: string[]) =>
    `rate(${metric}${matchersOf(selector, only, ...more)}[${range}])`;
  const scaled = (expr: string) => (durationScale === 1 ? expr : `${durationScale} * ${expr}`);
  // requests that a native histogram counts
  const counted = (expr: string) => (native && requests === duration ? `histogram_count(${expr})` : expr);
  const rate = summed(counted(rated(requests)));
  // no failed request is a share of nothing, not an unknown one
  const errors = summed(failed.map((matcher) => counted(rated(requests, matcher))).join(' or '));
  const quantile = (q: number) =>
    native
      ? `histogram_quantile(${q}, ${summed(rated(duration!))})`
      : `histogram_quantile(${q}, ${summed(rated(`${duration}_bucket`), ['le', ...by])})`;
  const mean = native
    ? `${summed(`histogram_sum(${rated(duration!)})`)} / (${summed(`histogram_count(${rated(duration!)})`)} > 0)`
    : `${summed(rated(`${duration}_sum`))} / (${summed(rated(`${duration}_count`))} > 0)`;
  return {
    rate,
    errors,
    errorRatio: `(${errors} or 0 * ${rate}) / (${rate} > 0)`,
    quantile: (q: number) => (duration === undefined ? undefined : scaled(quantile(q))),
    mean: duration === undefined ? undefined : scaled(mean),
    events: summed(counted(`increase(${requests}${matchersOf(selector, only)}[${range}])`)),
  };
}
