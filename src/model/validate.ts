import type { AppError, ErrorMaker } from './errors.ts';
import { writeErrors } from './errors-write.ts';
import { compareUtf8, Labels, METRIC_NAME } from './labels.ts';

/** The limits of a tenant on labels; 0: no limit. Lengths in bytes of UTF-8. */
export interface LabelLimits {
  readonly maxLabelNamesPerSeries: number;
  readonly maxLabelNameLength: number;
  readonly maxLabelValueLength: number;
  readonly maxLabelsSizeBytes: number;
}

/**
 * The fault of a series' labels, if they have any; the error's `reason` is that of the counter of discarded samples.
 * @param pairs name, value, … ascending by name, as `sortPairs` gives them
 */
export function labelsFault(pairs: readonly string[], limits: LabelLimits): AppError | undefined {
  return findLabelsFault(pairs, limits)?.error();
}

/** A fault that was found: the reason at once, the error with its text only where somebody is told it. */
export interface Fault {
  readonly reason: string;
  error(): AppError;
}

/** `labelsFault` for requests with many faults: no text is made. */
export function findLabelsFault(pairs: readonly string[], limits: LabelLimits): Fault | undefined {
  return nameFault(pairs) ?? orderFault(pairs) ?? limitFault(pairs, limits);
}

/** @param values of the error's text; they are asked for once the text is */
export function faultOf<Values>(maker: ErrorMaker<Values>, values: () => Values): Fault {
  return { reason: maker.reason, error: () => maker(values()) };
}

/** Sorted by name and without empty values, which mean that the label is not there. Names given twice stay, to be found. */
export function sortPairs(pairs: readonly string[]): readonly string[] {
  let sorted = true;
  for (let i = 0; i < pairs.length && sorted; i += 2) {
    sorted = pairs[i + 1] !== '' && (i === 0 || compareUtf8(pairs[i - 2]!, pairs[i]!) <= 0);
  }
  if (sorted) return pairs;
  const order: number[] = [];
  for (let i = 0; i < pairs.length; i += 2) if (pairs[i + 1] !== '' || pairs[i] === '') order.push(i);
  order.sort((a, b) => compareUtf8(pairs[a]!, pairs[b]!));
  return order.flatMap((i) => [pairs[i]!, pairs[i + 1]!]);
}

/** Without a name a series cannot be found again. Any UTF-8 is a name but the empty one. */
function nameFault(pairs: readonly string[]): Fault | undefined {
  let found = false;
  for (let i = 0; i < pairs.length; i += 2) {
    const name = pairs[i]!;
    const value = pairs[i + 1]!;
    if (name === METRIC_NAME) {
      found = value !== '';
      if (!value.isWellFormed())
        return faultOf(writeErrors.metricNameInvalid, () => ({ name: shortened(value.toWellFormed()) }));
    }
    if (name === '') return labelInvalid(pairs, '""', 'the name is empty');
    if (!name.isWellFormed()) return labelInvalid(pairs, name.toWellFormed(), 'the name is not UTF-8');
    if (!value.isWellFormed()) return labelInvalid(pairs, name, 'the value is not UTF-8');
  }
  return found ? undefined : faultOf(writeErrors.missingMetricName, () => ({ series: seriesText(pairs) }));
}

function labelInvalid(pairs: readonly string[], label: string, reason: string): Fault {
  return faultOf(writeErrors.labelInvalid, () => ({ series: seriesText(pairs), label: shortened(label), reason }));
}

function orderFault(pairs: readonly string[]): Fault | undefined {
  for (let i = 2; i < pairs.length; i += 2) {
    const label = pairs[i]!;
    const order = compareUtf8(pairs[i - 2]!, label);
    if (order === 0)
      return faultOf(writeErrors.duplicateLabelNames, () => ({ series: seriesText(pairs), label: shortened(label) }));
    if (order > 0)
      return faultOf(writeErrors.labelsNotSorted, () => ({ series: seriesText(pairs), label: shortened(label) }));
  }
  return undefined;
}

function limitFault(pairs: readonly string[], limits: LabelLimits): Fault | undefined {
  const { maxLabelNamesPerSeries, maxLabelNameLength, maxLabelValueLength, maxLabelsSizeBytes } = limits;
  const count = pairs.length / 2;
  if (exceeds(count, maxLabelNamesPerSeries)) {
    return faultOf(writeErrors.maxLabelNamesPerSeries, () => ({
      series: seriesText(pairs),
      count,
      limit: maxLabelNamesPerSeries,
    }));
  }
  let total = 0;
  for (let i = 0; i < pairs.length; i += 2) {
    const label = pairs[i]!;
    const nameBytes = utf8Length(label);
    const valueBytes = utf8Length(pairs[i + 1]!);
    total += nameBytes + valueBytes;
    if (exceeds(nameBytes, maxLabelNameLength)) {
      const limit = maxLabelNameLength;
      return faultOf(writeErrors.labelNameTooLong, () => ({
        series: seriesText(pairs),
        label: shortened(label),
        bytes: nameBytes,
        limit,
      }));
    }
    if (exceeds(valueBytes, maxLabelValueLength)) {
      return faultOf(writeErrors.labelValueTooLong, () => ({
        series: seriesText(pairs),
        label: shortened(label),
        bytes: valueBytes,
        limit: maxLabelValueLength,
      }));
    }
  }
  if (!exceeds(total, maxLabelsSizeBytes)) return undefined;
  return faultOf(writeErrors.labelsSizeBytesExceeded, () => ({
    series: seriesText(pairs),
    bytes: total,
    limit: maxLabelsSizeBytes,
  }));
}

function exceeds(value: number, limit: number): boolean {
  return limit > 0 && value > limit;
}

export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    // a pair of surrogates is two units and four bytes
    bytes += unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 1 : 2;
  }
  return bytes;
}

/** Longer ones say nothing more, and would fill logs. */
const TEXT_MAX = 200;

/** A text as errors have it. */
export function shortened(text: string): string {
  return text.length <= TEXT_MAX ? text : `${text.slice(0, TEXT_MAX).toWellFormed()}…`;
}

/** A series as errors name it: shortened before its text is made, however many labels it has. */
export function seriesText(pairs: readonly string[]): string {
  const told = pairs.slice(0, TEXT_MAX).map(shortened);
  return shortened(Labels.fromSortedPairs(told).toString());
}
