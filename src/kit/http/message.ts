import type { IncomingHttpHeaders } from 'node:http';
import type { Right } from './users.ts';

/** A request as handlers see it, whatever listens. */
export interface HttpRequest {
  readonly method: string;
  /** Decoded, without query. A byte that is no UTF-8 stands as the lone surrogate U+DC00 + byte. */
  readonly path: string;
  /** The text after `?`, not decoded. */
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
  /** As it came: not inflated. Empty where the method has none. */
  readonly body: Uint8Array;
  /** Empty for routes without a tenant; where a route takes several, maybe a joined name. */
  readonly tenant: string;
  /** The parts of the path that the route names, each decoded once: one may hold slashes. */
  readonly params?: Readonly<Record<string, string>>;
  /** Name of the user that asks; empty where nobody has to say. */
  readonly user?: string;
  /** The client's address. */
  readonly address: string;
  /** Aborted when the client is gone before its answer. */
  readonly signal: AbortSignal;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** A stream is asked for its next piece only when the client has taken most of those before. */
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array>;
  /** Nobody else has the memory of its body, which goes with the answer. */
  readonly isOwn?: boolean;
}

export type Need = Right | 'nothing';

/** The need of one method of a route. */
export function needOf({ needs }: Pick<Route, 'needs'>, method: string): Need {
  if (typeof needs === 'string') return needs;
  return needs[method === 'HEAD' ? 'GET' : method] ?? 'admin';
}

/** How a route words what fails: as plain text, or as the Prometheus API. */
export type FailureStyle = 'text' | 'api';

/** A path and what answers it. */
export interface Route {
  /** `/api/v1/label/:name/values` */
  readonly path: string;
  readonly methods: readonly string[];
  handle(request: HttpRequest): HttpResponse | Promise<HttpResponse>;
  /** The right that a user needs for it; `nothing`: it is answered without authentication. By method where they differ. */
  readonly needs: Need | Readonly<Record<string, Need>>;
  /** The tenants that the handler wants: one from the header, as tenancy and authentication allow, or several by a joined name. */
  readonly tenant?: 'one' | 'several';
  /** How what fails is worded. Default `text`. */
  readonly failures?: FailureStyle;
  /** HEAD is answered as GET without a body. Default true; the Prometheus API refuses it. */
  readonly head?: boolean;
  /** Scripts of origins that are named may call it. */
  readonly cors?: boolean;
  /** Size of a body as it comes; more is 413. */
  readonly bodyBytesMax?: number;
  /** Answered while the process starts, where its listener is there that early (`HttpListener.early`). */
  readonly early?: boolean;
  /** The setting that `bodyBytesMax` comes from, for the error. */
  readonly bodyLimit?: string;
  /** Where several threads listen: the handler that each of them has itself. Absent: the main thread handles it for them. */
  readonly inFront?: 'writes' | 'queries';
}

export function textResponse(
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): HttpResponse {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8', ...headers }, body };
}

export function jsonResponse(
  value: unknown,
  more: { readonly status?: number; readonly headers?: Readonly<Record<string, string>> } = {},
): HttpResponse {
  return {
    status: more.status ?? 200,
    headers: { 'content-type': 'application/json', ...more.headers },
    body: JSON.stringify(value),
  };
}

export function htmlResponse(body: string): HttpResponse {
  return { status: 200, headers: { 'content-type': 'text/html; charset=utf-8' }, body };
}
