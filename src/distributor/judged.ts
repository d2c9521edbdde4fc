import type { MetricMetadata } from '../model/metric-metadata.ts';
import { noRefusals, type Refusals } from './refusals.ts';

/** A request, as it is known once its body is read. */
export interface Judged {
  /** Series in the body. */
  series: number;
  /** Floats, histograms and exemplars that are sent on. */
  samples: number;
  histograms: number;
  exemplars: number;
  metadata: readonly MetricMetadata[];
  /** They fail no request: its samples matter more. */
  readonly metadataRefusals: Refusals;
  /** Ends of frames among the slow path's, exclusive: one for each series that takes it without a fault. */
  readonly ends: number[];
  readonly refusals: Refusals;
}

export function nothingJudged(): Judged {
  return {
    series: 0,
    samples: 0,
    histograms: 0,
    exemplars: 0,
    metadata: [],
    ends: [],
    refusals: noRefusals(),
    metadataRefusals: noRefusals(),
  };
}
