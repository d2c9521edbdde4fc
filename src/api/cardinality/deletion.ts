import type { ApiResponse } from '../../contract/api.ts';
import { AppError } from '../../model/errors.ts';
import { METRIC_NAME } from '../../model/labels.ts';
import { SampleColumns } from '../../storage/columns.ts';
import { success } from '../answer.ts';
import type { Call } from '../call.ts';
import { lookupContext, turnsOf } from '../context.ts';
import { ApiError } from '../error.ts';
import { timesOf } from '../labels.ts';
import { sizeOf } from './day.ts';
import { LabelCounts } from './label-counts.ts';
import { Largest } from './largest.ts';
import { countingContext, walkSeries } from './series-walk.ts';

const METRICS_MAX = 100_000;
const LISTED_USUAL = 20;
const LISTED_MAX = 1_000;
/** Series up to which samples are counted: they have to be read. */
const READ_SERIES_MAX = 100_000;

/**
 * `/api/v1/admin/tsdb/delete_series/preview`: what a deletion with the same `match[]`, `start` and `end` would hit. It deletes nothing,
 * and is there where deletes are switched off, too: `enabled` says so, `flag` by what they are switched on.
 */
export async function deletionPreview(call: Call): Promise<ApiResponse> {
  const { params, sources } = call;
  if (params.all('match[]').length === 0) throw ApiError.badData('no match[] parameter provided');
  const listed = sizeOf(call, 'limit', LISTED_USUAL, LISTED_MAX);
  const { startMs, endMs: endsMs } = timesOf(call);
  const endMs = Math.min(endsMs, sources.clock.nowMs());
  if (endMs < startMs) throw ApiError.badData('the range ends before it starts, or starts in the future');
  const selectors = await params.matchers(turnsOf(call));
  if (selectors.length > 1) throw ApiError.invalidParam('match[]', 'one selector is wanted');
  const request = { matchers: selectors[0]!, startMs, endMs };

  const context = countingContext(call);
  let counts = new LabelCounts({ valuesMax: METRICS_MAX, budget: context.budget });
  const nameOnly = new Set([METRIC_NAME]);
  const warnings = await walkSeries(call, { ...request, labelsOnly: true }, context, {
    visit: (labels) => counts.add(labels.keep(nameOnly)),
    reset: () => {
      counts.close();
      counts = new LabelCounts({ valuesMax: METRICS_MAX, budget: context.budget });
    },
  });
  const largest = new Largest<{ readonly name: string; readonly size: number }>(listed);
  for (const [name, size] of counts.of(METRIC_NAME)) largest.add({ name, size });
  const data = {
    series: counts.series,
    ...(await samplesOf(call, counts.series, request)),
    metrics: counts.valuesOf(METRIC_NAME),
    series_by_metric: largest.list().map(({ name, size }) => ({ name, series: size })),
    start_time: startMs / 1e3,
    end_time: endMs / 1e3,
    enabled: sources.deletes !== undefined,
    flag: '-web.enable-admin-api',
    cancel_period_seconds: sources.deleteCancelMs / 1e3,
  };
  return success(call.limits, { warnings }, (out) => out.json(data));
}

/** Samples that go; where they are too many to be read within the limits of a query, the reason. */
async function samplesOf(
  call: Call,
  series: number,
  request: Parameters<typeof walkSeries>[1],
): Promise<{ readonly samples: number | null; readonly samples_unknown?: string }> {
  if (series > READ_SERIES_MAX) {
    return {
      samples: null,
      samples_unknown: `there are ${series} series, and samples of up to ${READ_SERIES_MAX} are counted`,
    };
  }
  const columns = new SampleColumns();
  let samples = 0;
  try {
    await walkSeries(call, request, lookupContext(call), {
      visit(_labels, block, index) {
        block.read(index, columns);
        samples += columns.count;
      },
      reset: () => {
        samples = 0;
      },
    });
    return { samples };
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.facts.http === 422)
      return { samples: null, samples_unknown: thrown.message };
    throw thrown;
  }
}
