/** Types of metrics by their number in remote write; what is beyond is unknown. */
export const METRIC_TYPES = [
  'unknown',
  'counter',
  'gauge',
  'histogram',
  'gaugehistogram',
  'summary',
  'info',
  'stateset',
] as const;

export type MetricType = (typeof METRIC_TYPES)[number];

/** A metric's type, help and unit, as senders tell them. */
export interface MetricMetadata {
  readonly metric: string;
  readonly type: string;
  readonly help: string;
  readonly unit: string;
}
