import type { Labels } from '../model/labels.ts';
import type { LabelMatcher } from '../model/matcher.ts';
import type { QueryContext } from './queryable.ts';

export interface ExemplarSeries {
  readonly labels: Labels;
  /** Ascending by time. */
  readonly exemplars: readonly { readonly labels: Labels; readonly value: number; readonly timeMs: number }[];
}

export interface ExemplarSource {
  /** Series that any of the lists matches, ascending by labels. */
  exemplars(
    tenant: string,
    request: {
      readonly matchers: readonly (readonly LabelMatcher[])[];
      readonly startMs: number;
      readonly endMs: number;
    },
    context: QueryContext,
  ): Promise<readonly ExemplarSeries[]>;
}
