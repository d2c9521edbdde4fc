import { CLOSE, difference, sorted } from '../harness/compare.ts';
import { isPrometheus3Installed } from '../harness/peers.ts';
import { HISTOGRAM_METRICS } from './data.ts';
import type { Question } from './question.ts';

export interface Reply {
  readonly status: number;
  readonly text: string;
}

export interface Verdict {
  /** Where the answers differ first; undefined: nowhere. */
  readonly why: string | undefined;
  /** Whether Prometheus' version or rounding explains it. */
  readonly excused: boolean;
}

/** @param want the answer of a real Prometheus */
export function judge(question: Question, want: Reply, got: Reply): Verdict {
  const why = compare(question, want, got);
  const excused = why !== undefined && (isOfVersion(question, why) || isRounding(question, why));
  return { why, excused };
}

function compare({ query, range }: Question, want: Reply, got: Reply): string | undefined {
  if (want.status !== got.status) {
    return `status ${want.status} wanted, there is ${got.status}: ${want.text.slice(0, 200)} | ${got.text.slice(0, 200)}`;
  }
  if (want.status !== 200) return undefined;
  // the order means something where it was asked for and is whole
  const inOrder = range === undefined && query.startsWith('sort_by_label') && haveSortLabels(want.text);
  // warnings and infos differ between versions
  const data = (text: string) => {
    const answer = { data: (JSON.parse(text, withoutNaNBuckets) as { data: unknown }).data };
    return inOrder ? answer : sorted(answer);
  };
  return difference(data(want.text), data(got.text), CLOSE);
}

/**
 * Whether all series have the labels that are sorted by. Of a value and none Prometheus says either way round that the second comes
 * later, and then the order is that of its sort's steps; here series without the label come first.
 */
function haveSortLabels(text: string): boolean {
  const { data } = JSON.parse(text) as { data: { result: { metric: Record<string, string> }[] } };
  return data.result.every(({ metric }) => 'instance' in metric && 'job' in metric);
}

/** Infinity times an empty bucket; which empty buckets there are is a matter of how chunks were cut. */
function withoutNaNBuckets(key: string, value: unknown): unknown {
  return key === 'buckets' ? (value as unknown[][]).filter(([, , , count]) => count !== 'NaN') : value;
}

const HISTOGRAMS = new RegExp(HISTOGRAM_METRICS.map(({ name }) => name.slice(0, -1)).join('|'));
const COUNTING = /\b(rate|increase|irate|resets|smoothed)\b/;

/** Whether Prometheus 3.14, whose answers are the measure, differs from the one that is asked. */
function isOfVersion({ query }: Question, why: string): boolean {
  // 2.42 does not look for doubles where nothing matches
  if (!isPrometheus3Installed && /^status 200 wanted.*"result":\[\].*multiple matches/.test(why)) return true;
  // where only sums and counts are asked for, Prometheus reads no buckets, and then sees fewer resets of what is no counter
  if (/histogram_(count|sum|avg)/.test(query) && /pool_usag|gauge_floa/.test(query) && COUNTING.test(query))
    return true;
  // a bucket that falls from -1 to 0 is no reset, one that is gone is: whether there are empty ones is a matter of how chunks were cut
  if (HISTOGRAMS.test(query) && COUNTING.test(query) && /-\(|\(-|\) - \(/.test(query) && /:.*\]/.test(query))
    return true;
  // Prometheus looks for the samples of another time than the one that is asked for (docs/promql.md)
  if (/timestamp\(.*offset .*@/.test(query)) return true;
  // of less than nothing no rank is reached, and the answer is the last bucket, an empty one too: see above
  if (HISTOGRAMS.test(query) && /histogram_quantile\(.*-\(/.test(query)) return true;
  // sums of histograms with other zero buckets depend on the order, which is that in which series began there, of labels here
  if (HISTOGRAMS.test(query) && /\b(sum|avg)\b/.test(query) && /\.buckets(\[|:)/.test(why)) return true;
  // and what is cut off of them takes other buckets
  if (HISTOGRAMS.test(query) && /\b(sum|avg)\b.*[<>]\//.test(query)) return true;
  // 3.16 reads no buckets for these either, and then has other hints of resets, which may collide
  if (HISTOGRAMS.test(query) && /\b(timestamp|absent)\(.*[+-]/.test(query)) return true;
  // 3.14 multiplies the value above an exact rank by 0 and adds it, whatever it is; 3.16 does not
  return /quantile|mad_over_time/.test(query) && /wanted ".*", there is "NaN"$/.test(why);
}

/** What may differ in its last digits: by the order in which series are added up, or between the languages' functions. */
const INEXACT = /stddev|stdvar|\^|\b(exp|ln|log2|log10|a?sinh?|a?cosh?|a?tanh?|atan2)\b/;
/** What makes a large difference of a small one. */
const STEPPED = /%|\b(floor|ceil|round|sgn|changes|resets|deriv)\b/;

/** Whether only a last digit differs that something else in the question made visible. */
function isRounding({ query }: Question, why: string): boolean {
  const [, want, got] = /wanted "([^"]*)", there is "([^"]*)"$/.exec(why) ?? [];
  if (want === undefined) return false;
  // deviations of few equal values are 0 or next to it
  if (/stddev|stdvar/.test(query) && Math.abs(Number(want) - Number(got)) <= 1e-6) return true;
  // of a deviation that falls by its last digit a counter's reset is made
  if (/\b(rate|increase|irate)\(.*std(dev|var)/.test(query)) return true;
  return INEXACT.test(query) && STEPPED.test(query);
}
