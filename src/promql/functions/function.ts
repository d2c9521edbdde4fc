import type { FloatHistogram } from '../../model/histogram.ts';
import type { AdmitLabel, Relabel } from './labels.ts';
import type { RateKind } from './rate.ts';
import type { WindowFunction } from './window.ts';

export type ValueType = 'none' | 'scalar' | 'vector' | 'matrix' | 'string';

/** The arguments that a function takes, and the type that it gives. */
export interface Signature {
  readonly argTypes: readonly ValueType[];
  readonly returnType: ValueType;
  /** How many arguments more than all but the last may follow; -1: any number; 0: exactly `argTypes`. */
  readonly variadic: number;
  /** Only with `experimentalFunctions`. */
  readonly experimental: boolean;
}

/** A function of the language: everything about it that others need to know. The table has one for each name. */
export interface PromFunction {
  readonly name: string;
  readonly signature: Signature;
  readonly open: Opening;
  /** The result is still a value of the metric: its name stays. */
  readonly keepsName?: boolean;
  /** The result has the labels that the selector in its argument pins down. */
  readonly absent?: boolean;
  /** Its second argument only carries matchers, and is not evaluated. */
  readonly info?: boolean;
  /** `false`: there may be something to say of its rows, so that none may be left out. */
  readonly silent?: boolean;
  /** It is told how often something was found in its arguments. */
  readonly counts?: boolean;
  /** The result may vary with the step although the arguments do not. */
  readonly stepDependent?: boolean;
  /** The part that it reads of the histograms within its arguments; absent: the part that is read around it. */
  readonly histograms?: 'stats' | 'buckets';
  /** Range vectors with these modifiers are taken. */
  readonly anchorable?: boolean;
  readonly smoothable?: boolean;
  /** Sees start timestamps. */
  readonly starts?: boolean;
  /** Means something of counters only: what is not named like one is probably a mistake. */
  readonly ofCounters?: boolean;
}

/** The times of the whole query. */
export interface QueryTimes {
  readonly startMs: number;
  readonly endMs: number;
  /** 0 for an instant query. */
  readonly stepMs: number;
}

/** How a call becomes part of a plan or an operator. `arg` and others are indexes of arguments. */
export type Opening =
  /** A number that the plan knows. */
  | { readonly kind: 'query'; readonly seconds: (times: QueryTimes) => number }
  | { readonly kind: 'time' }
  | { readonly kind: 'constant'; readonly value: number }
  /** Each window of the range vector among the arguments; the others are scalars. */
  | {
      readonly kind: 'range';
      readonly window: WindowFunction;
      readonly rows?: RowMethod;
      /** ROW_LAST … ROW_PRESENT of storage/row-layout.ts, where it has no `rows`. */
      readonly program?: number;
    }
  /** Each float of a vector; histograms are left out. */
  | { readonly kind: 'floats'; readonly map: (value: number) => number }
  /** A part of the date at a Unix time in seconds: the floats of a vector or, without one, the time of the step. */
  | { readonly kind: 'date'; readonly part: (seconds: number) => number }
  /** Each histogram of a vector; floats are left out. */
  | { readonly kind: 'histograms'; readonly map: (histogram: FloatHistogram) => number }
  /** One of two scalars. */
  | { readonly kind: 'pick'; readonly pick: (a: number, b: number) => number }
  | { readonly kind: 'scalar' | 'vector' | 'absent' | 'round' | 'info' }
  | { readonly kind: 'clamp'; readonly min: number | undefined; readonly max: number | undefined }
  | { readonly kind: 'timestamp'; readonly of: 'sample' | 'start' }
  /** Other labels, found from the strings behind the vector. */
  | { readonly kind: 'relabel'; readonly relabel: (texts: readonly string[], admit: AdmitLabel) => Relabel }
  | { readonly kind: 'sort'; readonly by: 'value' | 'label'; readonly descending: boolean }
  | { readonly kind: 'quantile' | 'quantiles' | 'fraction' };

/** How whole rows of floats can be had at once. */
export type RowMethod =
  | { readonly kind: 'rate'; readonly rate: RateKind }
  | { readonly kind: 'extreme'; readonly sign: 1 | -1 }
  | { readonly kind: 'transitions'; readonly falls: boolean };
