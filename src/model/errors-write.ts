import { catalogue } from './errors.ts';

/** Errors of writes: of what is sent, of the limits it meets, and of the head and log that take it. */
export const writeErrors = catalogue({
  sampleOutOfOrder: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { series: string; timeMs: number; lastMs: number }) =>
      `out of order sample: ${v.series} at ${v.timeMs}, the newest is at ${v.lastMs}`,
  },
  perUserSeriesLimit: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { limit: number; name?: string }) =>
      `per-user series limit of ${v.limit} exceeded (${v.name ?? 'max_series_per_user'})`,
  },
  inflatedTooLarge: {
    http: 413,
    promType: 'bad_data',
    retry: false,
    text: (v: { bytes: number; limit: number }) =>
      `the body says that it inflates to ${v.bytes} bytes, more than ${v.limit} (distributor.max-recv-msg-size)`,
  },
  writeItemsTooMany: {
    http: 413,
    promType: 'bad_data',
    retry: false,
    text: (v: { bytes: number }) =>
      `the limit on parts of a write request is exceeded: its ${v.bytes} bytes, inflated, hold more series, labels, samples and so on than as many bytes of valid ones can`,
  },
  writeTooMany: {
    http: 413,
    promType: 'bad_data',
    retry: false,
    text: (v: { limit: number; what: string }) => `a write request may have at most ${v.limit} ${v.what}: send several`,
  },
  writtenOutTooLarge: {
    http: 413,
    promType: 'bad_data',
    retry: false,
    text: (v: { limit: number }) =>
      `the labels of the request take more than ${v.limit} bytes once its symbols are written out (distributor.max-recv-msg-size)`,
  },
  unsupportedMedia: {
    http: 415,
    promType: 'bad_data',
    retry: false,
    text: (v: { type: string; want: string }) => `content type ${v.type} is not accepted, send ${v.want}`,
  },
  unsupportedEncoding: {
    http: 415,
    promType: 'bad_data',
    retry: false,
    text: (v: { encoding: string; want: string }) =>
      `${v.encoding} encoding (compression) is not accepted, send ${v.want}`,
  },
  rateLimited: {
    http: 429,
    promType: 'bad_data',
    retry: true,
    text: (v: { rate: number; samples: number; metadata: number }) =>
      `ingestion rate limit (${v.rate}) exceeded while adding ${v.samples} samples and ${v.metadata} metadata`,
  },
  newValueForTimestamp: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { series: string; timeMs: number }) =>
      `duplicate sample for timestamp ${v.timeMs}; overrides not allowed: ${v.series} has another value there`,
  },
  sampleTooOld: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { series: string; timeMs: number; windowMs: number }) =>
      `too old sample: ${v.series} at ${v.timeMs} is out of order by more than ${v.windowMs} ms (out_of_order_time_window)`,
  },
  tooManyOldWindows: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { series: string; timeMs: number; limit: number }) =>
      `too many windows of old samples: ${v.series} at ${v.timeMs} would begin another beyond ${v.limit} (max_old_windows_per_user) or beyond the share that is left; send again when what came before is in the store`,
  },
  greaterThanMaxSampleAge: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { series: string; timeMs: number; maxAgeMs: number }) =>
      `out of bounds: timestamp ${v.timeMs} of ${v.series} is older than ${v.maxAgeMs} ms (reject_old_samples_max_age)`,
  },
  sampleOlderThanRetention: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { series: string; timeMs: number; retentionMs: number }) =>
      `out of bounds: timestamp ${v.timeMs} of ${v.series} is older than ${v.retentionMs} ms, for which samples are kept (retention_period)`,
  },
  sampleWithoutTime: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { series: string; timeMs: number; minMs: number }) =>
      `out of bounds: timestamp ${v.timeMs} of ${v.series} is no time in milliseconds since 1970, or before ${v.minMs} (min_sample_time)`,
  },
  tooFarInFuture: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { series: string; timeMs: number; graceMs: number }) =>
      `out of bounds: timestamp ${v.timeMs} of ${v.series} is too far in the future, more than ${v.graceMs} ms (creation_grace_period)`,
  },
  exemplarLabelsTooLong: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { series: string; runes: number; limit: number }) =>
      `the labels of an exemplar of ${v.series} have ${v.runes} characters, at most ${v.limit} are taken`,
  },
  perMetricSeriesLimit: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { series: string; limit: number; name: string }) =>
      `per-metric series limit of ${v.limit} exceeded (${v.name}): ${v.series}`,
  },
  sampleTooLarge: {
    http: 413,
    promType: 'bad_data',
    retry: false,
    text: (v: { bytes: number; limit: number }) =>
      `a sample or exemplar of ${v.bytes} bytes, more than the ${v.limit} that a record of the write-ahead log takes (sample_bytes_max)`,
  },
  seriesLabelsTooLong: {
    http: 413,
    promType: 'bad_data',
    retry: false,
    text: (v: { limit: number }) =>
      `the labels of a series have more than ${v.limit} bytes, which no series may have (labels_bytes_max)`,
  },
  logUnavailable: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { reason: string }) => `the write-ahead log cannot be written, nothing is taken on: ${v.reason}`,
  },
  lateSamplesUnmarked: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { reason: string }) =>
      `late samples cannot be acknowledged while cached answers of their days cannot be marked: ${v.reason}`,
  },
  windowChanged: {
    http: 500,
    promType: 'internal',
    retry: false,
    text: (v: { folder: string; hadMs: number; wantMs: number }) =>
      `${v.folder} holds samples in windows of ${v.hadMs} ms, not ${v.wantMs}: start with the old -ingester.window, POST /ingester/flush?wait=true, stop, then change it`,
  },
  deleted: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { series: string; timeMs: number; untilMs: number }) =>
      `deleted sample: a delete request covers ${v.series} at ${v.timeMs}; it may come again from ${v.untilMs} on`,
  },
  tooManyDeletions: {
    http: 422,
    promType: 'execution',
    retry: false,
    text: (v: { count: number; limit: number }) =>
      `${v.count} delete requests of a tenant are kept, more than ${v.limit} (tenant_deletions_max)`,
  },
  tooFewReplicas: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { wanted: number; found: number; reasons: readonly string[] }) =>
      `at least ${v.wanted} live replicas required, could only find ${v.found}${v.reasons.length > 0 ? ` (${v.reasons.join('; ')})` : ''}`,
  },
  ownerAway: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { reason: string }) => v.reason,
  },
  ringUnknownToWriter: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (_: Record<string, never>) => 'no version of the ring is known yet: nobody can tell where samples belong',
  },
  ringMoves: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { number: number }) => `the ring is at version ${v.number} or beyond, and changes while this is written`,
  },
  headFull: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { usedBytes: number; limitBytes: number }) =>
      `the head holds ${v.usedBytes} of ${v.limitBytes} bytes while the store is behind; send again later`,
  },
  snappyInvalid: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { reason: string }) => `the body is not valid snappy: ${v.reason}`,
  },
  writeRequestInvalid: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { version: string; reason: string }) =>
      `the body is not a remote-write ${v.version} request: ${v.reason}`,
  },
  histogramInvalid: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { series: string; reason: string }) => `invalid native histogram of ${v.series}: ${v.reason}`,
  },
  expositionInvalid: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { line: number; reason: string }) => `line ${v.line}: ${v.reason}`,
  },
  missingMetricName: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { series: string }) => `series ${v.series} has no metric name`,
  },
  metricNameInvalid: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { name: string }) => `invalid metric name: ${v.name}`,
  },
  maxLabelNamesPerSeries: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { series: string; count: number; limit: number }) =>
      `series ${v.series} has ${v.count} labels, more than ${v.limit} (max_label_names_per_series)`,
  },
  labelInvalid: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { series: string; label: string; reason: string }) =>
      `series ${v.series} has an invalid label ${v.label}: ${v.reason}`,
  },
  labelNameTooLong: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { series: string; label: string; bytes: number; limit: number }) =>
      `series ${v.series} has a label name of ${v.bytes} bytes, more than ${v.limit} (max_label_name_length): ${v.label}`,
  },
  labelValueTooLong: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { series: string; label: string; bytes: number; limit: number }) =>
      `series ${v.series} has a value of ${v.bytes} bytes in label ${v.label}, more than ${v.limit} (max_label_value_length)`,
  },
  labelsSizeBytesExceeded: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { series: string; bytes: number; limit: number }) =>
      `the labels of series ${v.series} take ${v.bytes} bytes, more than ${v.limit} (max_labels_size_bytes)`,
  },
  duplicateLabelNames: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { series: string; label: string }) => `duplicate label name: series ${v.series} has ${v.label} twice`,
  },
  labelsNotSorted: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { series: string; label: string }) =>
      `labels not sorted: in series ${v.series} label ${v.label} stands after one of a greater name`,
  },
});
