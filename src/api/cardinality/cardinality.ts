import type { ApiResponse } from '../../contract/api.ts';
import { BytesError } from '../../lib/bytes.ts';
import { inTurns } from '../../lib/turns.ts';
import { METRIC_NAME } from '../../model/labels.ts';
import type { LabelMatcher } from '../../model/matcher.ts';
import { success } from '../answer.ts';
import type { Call } from '../call.ts';
import { pacerFor } from '../context.ts';
import { ApiError } from '../error.ts';
import type { Weight } from '../sources.ts';
import { type Day, dayOf, isWhole, oneSelector, sizeOf } from './day.ts';
import { decodingCounts, encodingCounts } from './kept-counts.ts';
import { LabelCounts } from './label-counts.ts';
import { Largest } from './largest.ts';
import { countingContext, walkSeries } from './series-walk.ts';
import { type DayWeights, dayWeights } from './weights.ts';

/** Values that are counted at a time, of all labels of a day. */
const VALUES_MAX = 1_000_000;
const LISTED_USUAL = 20;
const LISTED_MAX = 1_000;
const FOCUS_CHARS_MAX = 1_024;

/** An entry of a list: its size on the day, and on the day that it is compared with. */
interface Entry {
  readonly name: string;
  readonly size: number;
  readonly before: number | undefined;
  readonly label?: string;
}

/**
 * `/api/v1/cardinality/day`: series of a day by metric, label, and pair of a label and its value, beside those of another day.
 * `match[]`, `date`, `compare`, `focus` (a label whose values are listed), `weights` (samples and bytes, too), `limit` of each list.
 */
export async function cardinalityOfDay(call: Call): Promise<ApiResponse> {
  const { params } = call;
  const listed = sizeOf(call, 'limit', LISTED_USUAL, LISTED_MAX);
  const focus = params.get('focus');
  if (focus.length > FOCUS_CHARS_MAX) {
    throw ApiError.invalidParam('focus', `a label name of more than ${FOCUS_CHARS_MAX} characters`);
  }
  const day = dayOf(call, 'date');
  const other = params.get('compare') === '' ? undefined : dayOf(call, 'compare');
  const matchers = await oneSelector(call);
  const counted = await countedDay(call, day, matchers);
  const compared = other === undefined ? undefined : await countedDay(call, other, matchers);
  const { counts, warnings } = counted;
  const weights = isTrue(params.get('weights'))
    ? await dayWeights(call, day, matchers, counts, counted.context)
    : undefined;
  const valuesOf = (name: string) => largestValues(counts, compared?.counts, name, listed);
  const data = {
    date: day.date,
    series: counts.series,
    label_pairs: counts.pairs,
    count_error_max: counts.errorMax,
    ...(other === undefined || compared === undefined
      ? {}
      : { compared: { date: other.date, series: compared.counts.series, label_pairs: compared.counts.pairs } }),
    series_by_metric: valuesOf(METRIC_NAME).map(({ name, size, before }) => ({ name, series: size, before })),
    ...(compared === undefined ? {} : { changed_metrics: changedMetrics(counts, compared.counts, listed) }),
    values_by_label: largestLabels(counts, compared?.counts, listed).map(({ name, size, before }) => ({
      name,
      values: size,
      before,
    })),
    series_by_pair: largestPairs(counts, compared?.counts, listed).map(({ label, name, size, before }) => ({
      label,
      value: name,
      series: size,
      before,
    })),
    ...(weights === undefined ? {} : weightsOf(weights, counts, listed)),
    ...(focus === ''
      ? {}
      : {
          focus: {
            label: focus,
            values: counts.valuesOf(focus),
            series_by_value: valuesOf(focus).map(({ name, size, before }) => ({ value: name, series: size, before })),
          },
        }),
  };
  return success(call.limits, { warnings: [...warnings, ...(compared?.warnings ?? [])] }, (out) => out.json(data));
}

async function countedDay(call: Call, day: Day, matchers: readonly LabelMatcher[]) {
  const context = countingContext(call);
  const { startMs, endMs } = day;
  const options = { valuesMax: VALUES_MAX, budget: context.budget };
  let counts = new LabelCounts(options);
  if (startMs > endMs) return { counts, context, warnings: [] };
  const question = JSON.stringify(['cardinality', matchers.map(({ name, op, value }) => [name, op, value])]);
  const kept = isWhole(day) ? await call.sources.keptDay?.(question, day, context.signal) : undefined;
  const turns = pacerFor(call, context);
  if (kept?.value !== undefined) {
    try {
      return { counts: await inTurns(decodingCounts(kept.value, options), turns), context, warnings: [] };
    } catch (thrown) {
      // counted anew
      if (!(thrown instanceof BytesError)) throw thrown;
    }
  }
  const warnings = await walkSeries(call, { matchers, startMs, endMs, labelsOnly: true }, context, {
    visit: (labels) => counts.add(labels),
    reset: () => {
      counts.close();
      counts = new LabelCounts(options);
    },
  });
  if (kept !== undefined && warnings.length === 0) {
    const bytes = await inTurns(encodingCounts(counts), turns);
    if (bytes !== undefined) await kept.keep(bytes);
  }
  return { counts, context, warnings };
}

/** Metrics by the bytes that they take. */
function weightsOf(weights: DayWeights, counts: LabelCounts, listed: number) {
  const { byMetric, samples, bytes, recentSamples, recentUnknown } = weights;
  const largest = new Largest<Entry & Weight>(listed);
  for (const [name, own] of byMetric) largest.add({ name, size: own.bytes, before: undefined, ...own });
  return {
    samples: Math.round(samples),
    bytes: Math.round(bytes),
    recent_samples: Math.round(recentSamples),
    ...(recentUnknown === undefined ? {} : { recent_unknown: recentUnknown }),
    weight_by_metric: largest.list().map(({ name, samples: own, bytes: taken }) => ({
      name,
      series: counts.seriesOf(METRIC_NAME, name),
      samples: Math.round(own),
      bytes: Math.round(taken),
    })),
  };
}

function isTrue(text: string): boolean {
  return text === 'true' || text === '1';
}

function largestValues(counts: LabelCounts, compared: LabelCounts | undefined, name: string, listed: number): Entry[] {
  const largest = new Largest<Entry>(listed);
  for (const [value, size] of counts.of(name)) {
    largest.add({ name: value, size, before: compared?.seriesOf(name, value) });
  }
  return largest.list();
}

function largestLabels(counts: LabelCounts, compared: LabelCounts | undefined, listed: number): Entry[] {
  const largest = new Largest<Entry>(listed);
  for (const name of counts.labels()) {
    largest.add({ name, size: counts.valuesOf(name), before: compared?.valuesOf(name) });
  }
  return largest.list();
}

/** Pairs without those of the metric name, which have a list of their own. */
function largestPairs(counts: LabelCounts, compared: LabelCounts | undefined, listed: number): Entry[] {
  const largest = new Largest<Entry>(listed);
  for (const label of counts.labels()) {
    if (label === METRIC_NAME) continue;
    for (const [value, size] of counts.of(label)) {
      largest.add({ label, name: value, size, before: compared?.seriesOf(label, value) });
    }
  }
  return largest.list();
}

/** Metrics whose number of series changed most, either way; of both days. */
function changedMetrics(counts: LabelCounts, compared: LabelCounts, listed: number) {
  const largest = new Largest<Entry & { readonly now: number }>(listed);
  const add = (name: string) => {
    const [now, before] = [counts.seriesOf(METRIC_NAME, name), compared.seriesOf(METRIC_NAME, name)];
    if (now !== before) largest.add({ name, size: Math.abs(now - before), before, now });
  };
  for (const name of counts.of(METRIC_NAME).keys()) add(name);
  for (const name of compared.of(METRIC_NAME).keys()) if (counts.seriesOf(METRIC_NAME, name) === 0) add(name);
  return largest.list().map(({ name, now, before }) => ({ name, series: now, before }));
}
