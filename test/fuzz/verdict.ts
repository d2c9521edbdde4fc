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
  /** The name of what explains it; undefined: nothing. */
  readonly excuse: string | undefined;
}

/** @param want the answer of a real Prometheus */
export function judge(question: Question, want: Reply, got: Reply): Verdict {
  const why = compare(question, want, got);
  const excuse = why === undefined ? undefined : EXCUSES.find(({ fits }) => fits(question, found(why)))?.name;
  return { why, excuse };
}

/** Warnings and infos are compared as sets, whole texts with their positions. */
function compare({ query, range }: Question, want: Reply, got: Reply): string | undefined {
  if (want.status !== got.status) {
    return `status ${want.status} wanted, there is ${got.status}: ${want.text.slice(0, 200)} | ${got.text.slice(0, 200)}`;
  }
  if (want.status !== 200) return undefined;
  // the order means something where it was asked for and is whole
  const inOrder = range === undefined && query.startsWith('sort_by_label') && haveSortLabels(want.text);
  const data = (text: string) => {
    const answer: unknown = JSON.parse(text, withoutNaNBuckets);
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

/** A difference as `difference` says it, in its parts. */
interface Found {
  readonly text: string;
  /** `.data.result[0].value[1]` */
  readonly path: string;
  /** Where two texts or numbers differ. */
  readonly want: string | undefined;
  readonly got: string | undefined;
}

function found(why: string): Found {
  const [, path, want, got] = /^(\S*): wanted "(.*)", there is "(.*)"$/s.exec(why) ?? [];
  return { text: why, path: path ?? '', want, got };
}

/** A difference that is meant, or cannot be helped: by what is asked and by the very number or text that differs. */
interface Excuse {
  readonly name: string;
  /** Only for Prometheus 2. */
  readonly legacy?: boolean;
  readonly fits: (question: Question, found: Found) => boolean;
}

const HISTOGRAM = `(?:${HISTOGRAM_METRICS.map(({ name }) => name.slice(0, -1)).join('|')})`;

/** The value of one point of a series. */
const isValue = ({ path }: Found): boolean => /\.values?(?:\[\d+\])?\[1\]$/.test(path);

/** Prometheus adds up what operators give in an order of chance: asked again, it answered the same. */
export const BY_CHANCE = 'the order in which Prometheus took operands';

/** Each has a question in kept.jsonl that needs it. */
export const EXCUSES: readonly Excuse[] = [
  {
    // Prometheus adds what was noted at each step to all of the steps before it, and those to themselves
    name: 'samples of a range that had to be monotonic',
    fits: ({ query, range }, { path, want, got }) => {
      const withoutCount = (text = '') => text.replace(/over \d+ samples/, '');
      const several = range !== undefined || /:[^\]]*\]/.test(query);
      return several && /^\.infos\[\d+\]$/.test(path) && withoutCount(want) === withoutCount(got);
    },
  },
  {
    // between windows that are apart Prometheus forgets the histogram before, and then hints do not collide
    name: 'resets between windows that are apart',
    fits: ({ query, range }, { text }) =>
      range !== undefined &&
      /histogram_(?:count|sum|avg)|timestamp|absent/.test(query) &&
      /^\.warnings: not wanted, there is \["PromQL warning: conflicting counter resets during histogram \w+ \(\d+:\d+\)"\]$/.test(
        text,
      ),
  },
  {
    // a bucket that falls from -1 to 0 is no reset, one that is gone is: whether there are empty ones is a matter of how chunks were cut
    name: 'negative buckets of a subquery that are empty or gone',
    fits: ({ query }, at) =>
      isValue(at) &&
      new RegExp(`\\b(?:rate|increase|irate|resets)\\(.*(?:-\\(|\\) - \\().*${HISTOGRAM}.*\\[[^\\]]*:`).test(query),
  },
  {
    // of less than nothing no rank is reached, and the answer is the last bucket, an empty one, too
    name: 'quantiles of negative buckets',
    fits: ({ query }, at) => isValue(at) && new RegExp(`histogram_quantiles?\\(.*-\\(.*${HISTOGRAM}`).test(query),
  },
  {
    // Prometheus looks for the samples of another time than the one that is asked for, and finds fewer (docs/promql.md)
    name: 'times of samples with offset and @',
    fits: ({ query }, { text }) =>
      /timestamp\(\w+(?:\{[^}]*\})? offset \S+ @ /.test(query) && /^\.data\.result: \d+ elements wanted/.test(text),
  },
  {
    // of a last digit a whole one is made, a remainder, or a counter's reset
    name: 'a last digit that something makes visible',
    fits: ({ query }, at) => {
      if (!isValue(at)) return false;
      const inexact = String.raw`(?:stddev|stdvar|\^|\b(?:exp|ln|log2|log10|a?sinh?|a?cosh?|a?tanh?|atan2)\b)`;
      const [want, got] = [Number(at.want), Number(at.got)];
      const followedBy = (what: string) => new RegExp(`${what}.*${inexact}|${inexact}.*${what}`).test(query);
      if (Number.isSafeInteger(want) && Number.isSafeInteger(got))
        return followedBy(String.raw`\b(?:floor|ceil|round|sgn|changes|resets)\b`);
      if (Math.abs(want - got) <= 1e-3 * Math.abs(want)) return followedBy(String.raw`\bderiv\b`);
      return followedBy(String.raw`(?:%|\b(?:rate|increase|irate)\b)`);
    },
  },
  {
    // 2.42 does not look for doubles where nothing matches
    name: 'doubles that Prometheus 2 does not look for',
    legacy: true,
    fits: (_, { text }) => !isPrometheus3Installed && /^status 200 wanted.*"result":\[\].*multiple matches/.test(text),
  },
];
