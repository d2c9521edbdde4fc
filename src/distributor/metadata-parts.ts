import type { MetricMetadata } from '../model/metric-metadata.ts';

/** Characters of metadata that a target takes in one go. */
const METADATA_PART_CHARS = 256 * 1024;

/** Entries in parts, so that others come in between. */
export function* metadataParts(entries: readonly MetricMetadata[]): Generator<readonly MetricMetadata[], void> {
  let from = 0;
  let chars = 0;
  for (const [i, { metric, help, unit }] of entries.entries()) {
    chars += metric.length + help.length + unit.length;
    if (chars < METADATA_PART_CHARS) continue;
    yield entries.slice(from, i + 1);
    from = i + 1;
    chars = 0;
  }
  if (from < entries.length) yield entries.slice(from);
}
