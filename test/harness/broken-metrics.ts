/** An exposition that breaks each rule of names. */
export const brokenMetrics = `# HELP a_count Words.
# TYPE a_count gauge
a_count 1
# HELP b_total Words.
# TYPE b_total gauge
b_total{quantile="0.5",le="1",aB="}\\""} 1
# TYPE c counter
c 1
c 2
# HELP d_gauge_days Words.
# TYPE d_gauge_days gauge
d_gauge_days 1
# HELP e:mS_kilobytes_ms Words.
# TYPE e:mS_kilobytes_ms gauge
e:mS_kilobytes_ms 1
# HELP fine_seconds Words.
# TYPE fine_seconds histogram
fine_seconds_bucket{le="1"} 1
fine_seconds_bucket{le="+Inf"} 1
fine_seconds_sum 1
fine_seconds_count 1
untyped_total_count 1
`;

/** The problems of `brokenMetrics`, in the words of `promtool check metrics`. */
export const brokenMetricsProblems = [
  'a_count non-histogram and non-summary metrics should not have "_count" suffix',
  'b_total non-counter metrics should not have "_total" suffix',
  'b_total non-summary metrics should not have "quantile" label',
  'b_total non-histogram metrics should not have "le" label',
  `b_total label names should be written in 'snake_case' not 'camelCase'`,
  'c no help text',
  'c counter metrics should have "_total" suffix',
  'c metric not unique',
  'd_gauge_days use base unit "seconds" instead of "days"',
  `d_gauge_days metric name should not include type 'gauge'`,
  'e:mS_kilobytes_ms use base unit "bytes" instead of "kilobytes"',
  `e:mS_kilobytes_ms metric names should not contain ':'`,
  `e:mS_kilobytes_ms metric names should be written in 'snake_case' not 'camelCase'`,
  'e:mS_kilobytes_ms metric names should not contain abbreviated units',
  'untyped_total_count no help text',
];
