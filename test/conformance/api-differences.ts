/** Recorded cases that end otherwise than in Prometheus. A case that is in neither list must be equal. */
export interface Differences {
  /** Meant so, and why. */
  readonly intended: Readonly<Record<string, string>>;
  /** Not there yet: what is missing. Whoever makes one pass takes it off this list. */
  readonly missing: Readonly<Record<string, string>>;
}

export const apiDifferences: Differences = {
  intended: {
    mgmt_reload_off: 'limits, users and certificates can be read again without a switch for it',
    search_off: 'the search API is on by default: pages complete names by it',
  },
  missing: {},
};

const METADATA = 'metadata of remote write 1.0 is kept and served; Prometheus drops it';
const REFUSED = 'the specification wants 4xx; Prometheus drops the series and answers 204';
const TOLD = 'a sample that is refused is told to its sender; Prometheus answers 204';
const LENGTH = 'label names and values have a greatest length here (max_label_name_length, max_label_value_length)';

export const writeDifferences: Differences = {
  intended: {
    v1_metadata_only: METADATA,
    v1_series_and_metadata: METADATA,
    v1_duplicate_label_name: REFUSED,
    v1_empty_label_name: REFUSED,
    v1_empty_metric_name: REFUSED,
    v1_no_labels: REFUSED,
    v1_invalid_utf8_value: REFUSED,
    v1_out_of_order_one_request: TOLD,
    v1_duplicate_sample_in_request: TOLD,
    v1_encoding_upper: 'the encoding is read in any case, as HTTP has it',
    v1_ts_zero: 'samples without a time are refused (min_sample_time)',
    v1_ts_negative: 'look-ups of series do not reach behind 1970',
    v1_too_old: 'late samples of a new series are kept, however old',
    v1_huge_label_value: LENGTH,
    v1_long_label_name_1025: LENGTH,
    v2_series_without_samples:
      'taken, since senders put exemplars into series without samples; Prometheus answers 400, the specification allows both',
  },
  missing: {},
};

/** Prints what differs, with the reason, and returns the names that neither list explains. */
export function unexplained(
  set: string,
  { intended, missing }: Differences,
  differing: ReadonlyMap<string, string>,
): string[] {
  const wrong: string[] = [];
  for (const [name, why] of differing) {
    const reason = intended[name] ?? missing[name];
    console.log(`  ${name}: ${reason === undefined ? why : `${intended[name] ? 'intended' : 'missing'}: ${reason}`}`);
    if (reason === undefined) wrong.push(`${set} ${name}: ${why}`);
  }
  const equal = [...Object.keys(intended), ...Object.keys(missing)].filter((name) => !differing.has(name));
  if (equal.length > 0) console.log(`  equal by now, take them off the list of ${set}: ${equal.join(', ')}`);
  return wrong;
}
