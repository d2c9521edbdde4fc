import type { RuleSettings } from './rules.ts';

/** A request of the Prometheus API, taken off HTTP: what crosses from the listener to a query worker. */
export interface ApiRequest {
  /** One, or several by a joined name (`model/tenants.ts`). */
  readonly tenant: string;
  readonly method: string;
  /** Without prefix, decoded: `/api/v1/query_range`, `/api/v1/label/job/values`. */
  readonly path: string;
  /** Query string and form body together, in order, as [name, value]. */
  readonly params: readonly (readonly [string, string])[];
  /** The header `Accept`, where the answer has several forms. */
  readonly accept?: string;
  /** Whether no answer of before is to be taken, nor this one kept (`Cache-Control: no-store`). */
  readonly noStore?: boolean;
  /** Who asks, for the counts of what is asked for; absent: nobody in particular. */
  readonly asker?: ApiAsker;
  /** The body as it came, where the request is no form (remote read). */
  readonly body?: Uint8Array;
  /** The answer may come in parts. */
  readonly takesParts?: boolean;
  /** Name of the user that asks, where a change is kept with it. */
  readonly user?: string;
  /** Who asks, by its headers. */
  readonly caller?: ApiCaller;
  /** The caller's trace, as the header `traceparent` has it. */
  readonly trace?: string | undefined;
  /** Settings that the tenant's rules are evaluated with, where rules are to be tried. */
  readonly rules?: RuleSettings;
}

/** Who makes a request: a rule, a dashboard, or anything else that calls the API. */
export interface ApiAsker {
  /** Empty where nobody has to say. */
  readonly user: string;
  readonly source: 'rule' | 'dashboard' | 'api';
}

/** The sender of a request, as its headers tell; empty where they do not. */
export interface ApiCaller {
  readonly userAgent: string;
  /** Grafana's dashboard and panel. */
  readonly dashboardUid: string;
  readonly panelId: string;
}

/** The answer; it is not yet compressed. */
export interface ApiResponse {
  readonly status: number;
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Its memory belongs to whoever takes the answer. */
  readonly body: Uint8Array;
  /** Whether its expression is small, and was not evaluated where its connection is: the next time it may be. Absent: it is not known. */
  readonly isSmall?: boolean;
  /** Where present, follows `body`: made as it is taken, and to be taken to its end or left by `return`. */
  readonly parts?: AsyncIterable<Uint8Array>;
}

/** Answers API requests: in the same thread, a worker, or another process. Never rejects but for an abort. */
export interface ApiBackend {
  handle(request: ApiRequest, signal: AbortSignal): Promise<ApiResponse>;
}
