import type { QueryNotes } from '../contract/query.ts';
import type { FloatHistogram } from '../model/histogram.ts';
import type { Labels } from '../model/labels.ts';
import type { QueryStats } from './stats.ts';

/** The answer of a query. Times in Unix ms. */
export type QueryValue =
  | { readonly type: 'scalar'; readonly timeMs: number; readonly value: number }
  | { readonly type: 'string'; readonly timeMs: number; readonly value: string }
  | { readonly type: 'vector'; readonly samples: readonly VectorSample[] }
  | { readonly type: 'matrix'; readonly series: readonly MatrixSeries[] };

export interface VectorSample {
  readonly labels: Labels;
  readonly timeMs: number;
  /** NaN where `histogram` is set. */
  readonly value: number;
  readonly histogram: FloatHistogram | undefined;
}

/** The points of one series, ascending by time; columns of equal length. */
export interface MatrixSeries {
  readonly labels: Labels;
  readonly times: Float64Array;
  readonly values: Float64Array;
  /** Where present, the points that have one are histograms and not values. */
  readonly histograms: readonly (FloatHistogram | undefined)[] | undefined;
}

export interface QueryResult {
  readonly value: QueryValue;
  /** In the form of the API: `PromQL warning: … (1:5)`. */
  readonly warnings: readonly string[];
  readonly infos: readonly string[];
  readonly stats: QueryStats;
  /** Only where it was asked for. */
  readonly explain: ExplainNode | undefined;
  /** Only of a part of a query's steps. */
  readonly notes?: QueryNotes;
}

/** A part of a query: what it was and did. */
export interface ExplainNode {
  readonly what: string;
  readonly steps: number;
  readonly series: number;
  /** Points that its rows held; those of a row read twice counted twice. */
  readonly points: number;
  /** Time spent on its rows, with that of its children. */
  readonly ms: number;
  readonly children: readonly ExplainNode[];
}
