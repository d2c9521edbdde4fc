import type { FloatHistogram } from '../model/histogram.ts';

/** A write as it came off HTTP: still compressed, not yet looked into. */
export interface PushRequest {
  readonly tenant: string;
  /** Lower-case names: `content-type`, `content-encoding`, `user-agent`, `x-prometheus-remote-write-version`. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Handed over: the caller does not use it again. */
  readonly body: Uint8Array;
  /** Samples older than the newest of their series are refused, whatever window the tenant has for them. */
  readonly inOrder?: boolean;
}

/** `text` is empty on success. */
export interface PushResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

/** Takes writes. Never rejects: what goes wrong is a status. */
export interface PushBackend {
  push(request: PushRequest, signal: AbortSignal): Promise<PushResponse>;
}

/** Series that a part of Pallium writes, as a ruler does. */
export interface SeriesPush {
  readonly tenant: string;
  readonly series: readonly PushedSeries[];
  /** Further ones, as fields of a `prometheus.WriteRequest`. Only read until the answer is there. */
  readonly encoded?: readonly Uint8Array[];
  /** Samples older than the newest of their series are refused, whatever window the tenant has for them. */
  readonly inOrder?: boolean;
}

export interface PushedSeries {
  /** name, value, … in any order. */
  readonly pairs: readonly string[];
  /** Ascending by time. */
  readonly samples: readonly PushedSample[];
}

/** Times in Unix ms. A stale one says that the series ended. */
export type PushedSample =
  | { readonly timeMs: number; readonly value: number }
  | { readonly timeMs: number; readonly histogram: FloatHistogram }
  | { readonly timeMs: number; readonly stale: true };

/** Takes series with the checks and limits that a tenant's own writes have. Never rejects. */
export interface SeriesBackend {
  pushSeries(request: SeriesPush, signal: AbortSignal): Promise<PushResponse>;
}
