import { queryErrors } from '../../model/errors-query.ts';
import { compareUtf8, type Labels, METRIC_NAME } from '../../model/labels.ts';
import { RegexSyntaxError, RegexTooLargeError } from '../../model/regex/regex.ts';
import { CapturingRegex, parseTemplate } from '../../model/regex/template.ts';
import type { OutputSeries } from '../row/row.ts';

/** A function's change to a series' labels. */
export type Relabel = (series: OutputSeries) => OutputSeries;

/** Called before a label value of so many characters is made. @throws where the query may not */
export type AdmitLabel = (labels: Labels, name: string, chars: number) => void;

/** `label_replace(v, dst, replacement, src, regex)`. @throws where `regex` or `dst` is none */
export function labelReplace(dst: string, replacement: string, src: string, regex: string, admit: AdmitLabel): Relabel {
  const { pattern, template } = compiled(regex, replacement);
  if (!isLabelName(dst)) {
    throw queryErrors.queryFailed({ text: `invalid destination label name in label_replace(): ${dst}` });
  }
  return (series) => {
    let filled: string[] | undefined;
    try {
      filled = pattern.expand(series.labels.get(src), [template], (chars) => admit(series.labels, dst, chars));
    } catch (thrown) {
      throw thrown instanceof RegexTooLargeError ? refused(thrown) : thrown;
    }
    return filled === undefined ? series : relabelled(series, dst, filled[0]!);
  };
}

function compiled(regex: string, replacement: string) {
  try {
    const template = parseTemplate(replacement);
    return { pattern: CapturingRegex.compile(regex, [template]), template };
  } catch (thrown) {
    if (thrown instanceof RegexTooLargeError) throw refused(thrown);
    if (!(thrown instanceof RegexSyntaxError)) throw thrown;
    throw queryErrors.queryFailed({ text: `invalid regular expression in label_replace(): ${regex}` });
  }
}

function refused({ message }: RegexTooLargeError) {
  return queryErrors.queryFailed({ text: `label_replace(): ${message}` });
}

/** `label_join(v, dst, separator, src…)`. @throws where one of the names is none */
export function labelJoin(dst: string, separator: string, sources: readonly string[], admit: AdmitLabel): Relabel {
  for (const source of sources) {
    if (!isLabelName(source)) {
      throw queryErrors.queryFailed({ text: `invalid source label name in label_join(): ${source}` });
    }
  }
  if (!isLabelName(dst)) {
    throw queryErrors.queryFailed({ text: `invalid destination label name in label_join(): ${dst}` });
  }
  return (series) => {
    const values = sources.map((source) => series.labels.get(source));
    let chars = Math.max(0, values.length - 1) * separator.length;
    for (const value of values) chars += value.length;
    admit(series.labels, dst, chars);
    return relabelled(series, dst, values.join(separator));
  };
}

function relabelled(series: OutputSeries, dst: string, value: string): OutputSeries {
  const labels: Labels = series.labels.with(dst, value);
  // who sets the name means it to stay
  return { labels, dropName: dst === METRIC_NAME ? false : series.dropName };
}

/** In UTF-8 names anything goes, but for nothing at all and what is no Unicode. */
export function isLabelName(name: string): boolean {
  return name !== '' && name.isWellFormed() && !name.includes('\uFFFD');
}

/**
 * Whether `a` comes before `b` where runs of digits count as numbers, those that an int64 holds; all else by its bytes.
 * Source: facette/natsort, as Prometheus uses it.
 */
export function naturallyBefore(a: string, b: string): boolean {
  const chunksA = a.match(/\d+|\D+/g) ?? [''];
  const chunksB = b.match(/\d+|\D+/g) ?? [''];
  for (let i = 0; i < chunksA.length; i++) {
    if (i >= chunksB.length) return false;
    const x = chunksA[i]!;
    const y = chunksB[i]!;
    const numberX = wholeNumber(x);
    const numberY = wholeNumber(y);
    if (numberX !== undefined && numberY !== undefined) {
      if (numberX !== numberY) return numberX < numberY;
    } else if (x !== y) {
      return compareUtf8(x, y) < 0;
    }
    if (i === chunksA.length - 1) return true;
    if (i === chunksB.length - 1) return false;
  }
  return false;
}

const INT64_MAX = 2n ** 63n - 1n;

function wholeNumber(chunk: string): bigint | undefined {
  // a label's value may be all digits: leading zeros apart, 19 hold every number that counts
  const digits = /^0*(\d{1,19})$/.exec(chunk)?.[1];
  const value = digits === undefined ? undefined : BigInt(digits);
  return value !== undefined && value <= INT64_MAX ? value : undefined;
}
