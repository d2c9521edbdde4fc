import type { ApiResponse } from '../../contract/api.ts';
import { getOrMake } from '../../lib/map.ts';
import { type Labels, METRIC_NAME } from '../../model/labels.ts';
import { type MatchTurn, matchesInTurns, PacedTurn } from '../../model/match-turn.ts';
import type { LabelMatcher } from '../../model/matcher.ts';
import { checkSelectors, SelectorSize } from '../../promql/plan/size.ts';
import { success } from '../answer.ts';
import type { Call } from '../call.ts';
import { pacerFor, turnsOf } from '../context.ts';
import { ApiError } from '../error.ts';
import { dayOf, EVERYTHING, sizeOf } from './day.ts';
import { Largest } from './largest.ts';
import { countingContext, walkSeries } from './series-walk.ts';

const DROP_LABELS_MAX = 100;
const LABEL_CHARS_MAX = 1_024;
const LISTED_USUAL = 20;
const LISTED_MAX = 1_000;
const LIMIT_MAX = 1e12;
/** A number in a set of V8. */
const HASH_BYTES = 40;
const METRIC_BYTES = 160;

/** Rules and limits whose effect is asked for. */
interface Rules {
  /** Series that match any of these go. */
  readonly drop: readonly (readonly LabelMatcher[])[];
  /** Labels that go from all series. */
  readonly dropLabels: ReadonlySet<string>;
  /** 0: none. */
  readonly seriesPerMetricMax: number;
  readonly seriesMax: number;
}

/** Series of a metric: on the day, by drop rules, and left once labels are gone. */
interface MetricUse {
  series: number;
  dropped: number;
  left: number;
}

/**
 * `/api/v1/cardinality/savings`: the series of a day that rules or limits would leave. `drop[]` selectors of series that go,
 * `drop_label[]` names of labels that go from all, `max_series_per_metric`, `max_series`; `date`, `limit` of the list.
 */
export async function savings(call: Call): Promise<ApiResponse> {
  const listed = sizeOf(call, 'limit', LISTED_USUAL, LISTED_MAX);
  const day = dayOf(call, 'date');
  const rules = await rulesOf(call);
  const context = countingContext(call);
  const turn = new PacedTurn(pacerFor(call, context));
  let metrics = new Map<string, MetricUse>();
  let seen = new Set<number>();
  let heldBytes = 0;
  const hold = (bytes: number) => {
    heldBytes += bytes;
    context.budget.addMemory(bytes);
  };
  const { startMs, endMs } = day;
  const request = { matchers: EVERYTHING, startMs, endMs, labelsOnly: true };
  const warnings = await walkSeries(call, request, context, {
    async visit(labels) {
      const name = labels.metricName;
      const own = getOrMake(metrics, name, () => {
        hold(METRIC_BYTES + 2 * name.length);
        return { series: 0, dropped: 0, left: 0 };
      });
      own.series++;
      if (await isDropped(labels, rules.drop, turn)) {
        own.dropped++;
        return;
      }
      if (rules.dropLabels.size > 0) {
        const hash = hashWithout(labels, rules.dropLabels);
        if (seen.has(hash)) return;
        seen.add(hash);
        hold(HASH_BYTES);
      }
      own.left++;
    },
    reset() {
      metrics = new Map();
      seen = new Set();
      hold(-heldBytes);
    },
  });
  const largest = new Largest<MetricUse & { readonly name: string; readonly size: number }>(listed);
  const sum = { series: 0, byDrop: 0, byLabels: 0, byMetricLimit: 0 };
  for (const [name, own] of metrics) {
    const { seriesPerMetricMax: max } = rules;
    const kept = max > 0 ? Math.min(own.left, max) : own.left;
    sum.series += own.series;
    sum.byDrop += own.dropped;
    sum.byLabels += own.series - own.dropped - own.left;
    sum.byMetricLimit += own.left - kept;
    if (kept < own.series) largest.add({ ...own, name, left: kept, size: own.series - kept });
  }
  const before = sum.series - sum.byDrop - sum.byLabels - sum.byMetricLimit;
  const left = rules.seriesMax > 0 ? Math.min(before, rules.seriesMax) : before;
  const data = {
    date: day.date,
    series: sum.series,
    left,
    saved: sum.series - left,
    saved_by: {
      drop: sum.byDrop,
      drop_label: sum.byLabels,
      max_series_per_metric: sum.byMetricLimit,
      max_series: before - left,
    },
    metrics: largest.list().map(({ name, series, left }) => ({ name, series, left })),
  };
  return success(call.limits, { warnings }, (out) => out.json(data));
}

async function rulesOf(call: Call): Promise<Rules> {
  const { params } = call;
  const dropLabels = params.all('drop_label[]').filter((name) => name !== '');
  if (dropLabels.length > DROP_LABELS_MAX) throw ApiError.badData(`more than ${DROP_LABELS_MAX} drop_label[]`);
  if (dropLabels.some((name) => name.length > LABEL_CHARS_MAX)) {
    throw ApiError.invalidParam('drop_label[]', `a label name of more than ${LABEL_CHARS_MAX} characters`);
  }
  if (dropLabels.includes(METRIC_NAME)) throw ApiError.invalidParam('drop_label[]', 'the metric name cannot go');
  const texts = params.all('drop[]').filter((text) => text !== '');
  checkSelectors(texts.length);
  const size = new SelectorSize();
  const turns = turnsOf(call);
  const drop: (readonly LabelMatcher[])[] = [];
  for (const text of texts) {
    const matchers = await params.selector(text, turns, 'drop[]');
    size.add(matchers);
    drop.push(matchers);
  }
  const limit = (name: string) => (params.get(name) === '' ? 0 : sizeOf(call, name, 0, LIMIT_MAX));
  return {
    drop,
    dropLabels: new Set(dropLabels),
    seriesPerMetricMax: limit('max_series_per_metric'),
    seriesMax: limit('max_series'),
  };
}

async function isDropped(
  labels: Labels,
  drop: readonly (readonly LabelMatcher[])[],
  turn: MatchTurn,
): Promise<boolean> {
  for (const matchers of drop) {
    let all = true;
    for (const matcher of matchers) {
      if (turn.isDue()) await turn.pause();
      all = await matchesInTurns(matcher, labels.get(matcher.name), turn);
      if (!all) break;
    }
    if (all) return true;
  }
  return false;
}

const FNV = 0x01000193;
const SECOND = 0x85ebca6b;

/** 52 bits of hash of what is left of a series: a few in a billion are taken for another. */
function hashWithout({ pairs }: Labels, names: ReadonlySet<string>): number {
  let a = 0x811c9dc5;
  let b = 0x9747b28c;
  const add = (text: string) => {
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      a = Math.imul(a ^ unit, FNV);
      b = Math.imul(b ^ unit, SECOND) ^ (b >>> 13);
    }
    a = Math.imul(a ^ 0x1ffff, FNV);
    b = Math.imul(b ^ 0x1ffff, SECOND) ^ (b >>> 15);
  };
  for (let i = 0; i < pairs.length; i += 2) {
    if (names.has(pairs[i]!)) continue;
    add(pairs[i]!);
    add(pairs[i + 1]!);
  }
  return (a >>> 12) * 2 ** 32 + (b >>> 0);
}
