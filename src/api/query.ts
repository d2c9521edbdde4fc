import type { ApiResponse } from '../contract/api.ts';
import type {
  QueryExplanation,
  QueryResult,
  QueryRunContext,
  QueryRunner,
  QueryStatistics,
  QueryValue,
} from '../contract/query.ts';
import { checkLength, oldestOf } from '../limits/allowed-past.ts';
import { AppError } from '../model/errors.ts';
import { quoteGoCut } from '../model/labels.ts';
import { formatF } from '../promql/format.ts';
import { NO_STATISTICS } from '../promql/no-statistics.ts';
import type { ApiJsonWriter } from '../wire/api-json.ts';
import { formatTimestamp } from '../wire/timestamp-text.ts';
import { measuredInTurns, type Streamable, success, successInTurns, TRUNCATED } from './answer.ts';
import type { Call } from './call.ts';
import { mayBePartial } from './context.ts';
import { ApiError } from './error.ts';
import { DurationParamError, engineMs, isBefore, nanosBetween, parseDurationNanos, timeOfMs } from './time.ts';

/** Points per series; one more passes, since what is compared is the number of steps between the first and the last. */
const STEPS_MAX = 11_000n;

/** `/api/v1/query` */
export async function instantQuery(call: Call): Promise<ApiResponse> {
  return answer(call, await runInstant(call, false));
}

/** `/api/v1/query_range` */
export async function rangeQuery(call: Call): Promise<ApiResponse> {
  return answer(call, await runRange(call, false));
}

/** `/api/v1/query_explain`: what each part of the plan did, in place of the result. */
export async function explainInstant(call: Call): Promise<ApiResponse> {
  return explained(call, await runInstant(call, true));
}

/** `/api/v1/query_range_explain` */
export async function explainRange(call: Call): Promise<ApiResponse> {
  return explained(call, await runRange(call, true));
}

/** A result with what the answer needs besides. */
interface Ran {
  readonly result: QueryResult;
  /** The request's limit of series in the answer; 0 is no limit. */
  readonly limit: number;
}

async function runInstant(call: Call, explain: boolean): Promise<Ran> {
  const { params, sources } = call;
  const limit = params.limit();
  const nowMs = sources.clock.nowMs();
  const request = { ...commonOf(call, explain), timeMs: engineMs(params.timeOr('time', timeOfMs(nowMs))) };
  if (request.timeMs < oldestOf(call.limits, nowMs)) {
    const none = new Float64Array(0);
    const { timeMs } = request;
    return { limit, result: nothingOf({ type: 'vector', timeMs, pairs: [], values: none, histograms: undefined }) };
  }
  return {
    limit,
    result: await evaluated(call, (queries, context) => queries.instant(call.request.tenant, request, context)),
  };
}

async function runRange(call: Call, explain: boolean): Promise<Ran> {
  const { params, sources } = call;
  const limit = params.limit();
  const start = params.time('start');
  const end = params.time('end');
  if (isBefore(end, start)) throw ApiError.invalidParam('end', 'end timestamp must not be before start time');
  const stepNanos = params.durationNanos('step');
  if (stepNanos <= 0n) {
    throw ApiError.invalidParam(
      'step',
      'zero or negative query resolution step widths are not accepted. Try a positive integer',
    );
  }
  if (nanosBetween(end, start) / stepNanos > STEPS_MAX) {
    throw ApiError.badData(
      'exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)',
    );
  }
  const stepMs = Number(stepNanos / 1_000_000n);
  if (stepMs < 1) throw ApiError.invalidParam('step', 'query resolution step widths below 1ms are not accepted');
  const common = commonOf(call, explain);
  const endMs = engineMs(end);
  let startMs = engineMs(start);
  // by whole steps, so that the points stay where they would be
  const tooEarlyMs = oldestOf(call.limits, sources.clock.nowMs()) - startMs;
  if (tooEarlyMs > 0) startMs += Math.ceil(tooEarlyMs / stepMs) * stepMs;
  if (startMs > endMs) return { limit, result: nothingOf({ type: 'matrix', series: [] }) };
  checkLength(call.limits, endMs - startMs);
  const request = { ...common, startMs, endMs, stepMs };
  const result = await evaluated(call, (queries, context) => queries.range(call.request.tenant, request, context));
  return { limit, result: tooEarlyMs > 0 ? toldCut(result, startMs) : result };
}

/** The answer of a query whose first steps were left out, as its explanation tells. */
function toldCut(result: QueryResult, startMs: number): QueryResult {
  const { explanation: inner } = result;
  if (inner === undefined) return result;
  const what = `limits: steps from ${new Date(startMs).toISOString()} on (max_query_lookback)`;
  return { ...result, explanation: { ...inner, what, points: 0, children: [inner] } };
}

/** The answer of a query all of whose steps are before what may be read. */
function nothingOf(value: QueryValue): QueryResult {
  const what = 'limits: nothing, all of it is further back than max_query_lookback';
  const explanation = { what, steps: 0, series: 0, points: 0, ms: 0, children: [] };
  return { value, warnings: [], infos: [], statistics: NO_STATISTICS, explanation };
}

/** Parameters that instant and range requests share. */
function commonOf(call: Call, explain: boolean) {
  const { params, sources } = call;
  return {
    timeoutMs: timeoutOf(call),
    lookbackMs: lookbackOf(call),
    expr: params.get('query'),
    ...(mayBePartial(call) && { allowPartial: true }),
    ...(call.request.noStore === true && { noStore: true }),
    perStepStatistics: sources.perStepStats && params.get('stats') === 'all',
    explain,
  };
}

/** The time that a query may take: the request's, or the server's where that is less. */
function timeoutOf({ params, sources }: Call): number {
  if (params.get('timeout') === '') return sources.timeoutMs;
  return Math.min(sources.timeoutMs, Number(params.durationNanos('timeout') / 1_000_000n));
}

function lookbackOf({ params, sources }: Call): number {
  const text = params.get('lookback_delta');
  if (text === '') return sources.lookbackMs;
  try {
    const ms = Number(parseDurationNanos(text) / 1_000_000n);
    return ms > 0 ? ms : sources.lookbackMs;
  } catch (thrown) {
    if (!(thrown instanceof DurationParamError)) throw thrown;
    throw ApiError.badData(`error parsing lookback delta duration: ${thrown.message}`);
  }
}

async function evaluated(
  { sources, signal }: Call,
  query: (queries: QueryRunner, context: QueryRunContext) => Promise<QueryResult>,
): Promise<QueryResult> {
  try {
    return await query(sources.queries, { signal });
  } catch (thrown) {
    const invalid = thrown instanceof AppError && thrown.facts.id === 'query-invalid';
    throw invalid ? ApiError.invalidParam('query', thrown.message) : thrown;
  }
}

async function explained(call: Call, ran: Ran): Promise<ApiResponse> {
  const { result } = ran;
  const { explanation: inner } = result;
  const explanation = inner && (await explainEncoding(call, ran, inner));
  return success(call.limits, result, (out) => out.json(explanation));
}

/** The last stage around all others: the answer is written as it would be without an explanation, and nobody gets it. */
async function explainEncoding(call: Call, ran: Ran, inner: QueryExplanation): Promise<QueryExplanation> {
  const { notes, write } = writtenAnswer(call, ran);
  const around = (what: string, ms: number) => ({ ...inner, what, points: 0, ms: inner.ms + ms, children: [inner] });
  try {
    const { bytes, ms } = await measuredInTurns(call, notes, write);
    return around(`encode: ${ms.toFixed(1)} ms, an answer of ${bytes} bytes`, ms);
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.facts.id === 'response-too-large') {
      return around(`encode: ${thrown.message}`, 0);
    }
    throw thrown;
  }
}

async function answer(call: Call, ran: Ran): Promise<ApiResponse> {
  const { notes, value, write } = writtenAnswer(call, ran);
  const response = await successInTurns(call, notes, write, () => sizeOf(value));
  return { ...response, headers: { ...response.headers, 'Server-Timing': serverTiming(ran.result.statistics) } };
}

/** An answer, and how it is written. */
function writtenAnswer(call: Call, { result, limit }: Ran) {
  const stats = call.params.get('stats');
  const warnings = [...result.warnings];
  const value = truncated(result.value, limit);
  if (value !== result.value) warnings.push(TRUNCATED);
  if (stats !== '' && stats !== 'true' && stats !== 'all') {
    warnings.push(
      `value ${quoteGoCut(stats)} for parameter "stats" is deprecated and will be rejected in the next major release, use "true" or "all"`,
    );
  }
  const { infos, missing } = result;
  const write = function* (out: ApiJsonWriter): Generator<undefined> {
    out.raw(`{"resultType":"${value.type}","result":`);
    yield* writeValue(out, value);
    if (stats !== '') {
      out.raw(',"stats":');
      out.json({
        ...statsJson(result.statistics),
        ...(stats === 'all' ? { ...storeStats(result.statistics), ...frontendStats(result.statistics) } : {}),
      });
    }
    out.raw('}');
  };
  return { notes: { warnings, infos, missing }, value, write };
}

/** The same value where nothing is cut off. */
function truncated(value: QueryValue, limit: number): QueryValue {
  if (limit === 0) return value;
  if (value.type === 'vector' && value.pairs.length > limit) {
    const { pairs, values, histograms } = value;
    return {
      ...value,
      pairs: pairs.slice(0, limit),
      values: values.subarray(0, limit),
      histograms: histograms?.slice(0, limit),
    };
  }
  if (value.type === 'matrix' && value.series.length > limit) {
    return { type: 'matrix', series: value.series.slice(0, limit) };
  }
  return value;
}

/** A point in text: `[1767225600.123,"-1.7976931348623157e+308"],` */
const POINT_CHARS_MAX = 48;
/** A point as the value has it: time and value. */
const POINT_BYTES = 16;
/** Brackets and names of fields of a series, and of all that stands around them. */
const SERIES_CHARS = 64;
/** A character as JSON escapes it, or in UTF-8. */
const CHAR_BYTES_MAX = 6;

function sizeOf(value: QueryValue): Streamable {
  let points = 0;
  let chars = 0;
  let series = 0;
  const add = (pairs: readonly string[], count: number) => {
    points += count;
    series++;
    for (const text of pairs) chars += text.length + SERIES_CHARS / CHAR_BYTES_MAX;
  };
  if (value.type === 'matrix') for (const { pairs, times } of value.series) add(pairs, times.length);
  if (value.type === 'vector') for (const pairs of value.pairs) add(pairs, 1);
  // buckets of histograms make a point as long as they like
  const hasHistograms =
    value.type === 'matrix'
      ? value.series.some(({ histograms }) => histograms !== undefined)
      : value.type === 'vector' && value.histograms !== undefined;
  const most = points * POINT_CHARS_MAX + (series + 1) * SERIES_CHARS + chars * CHAR_BYTES_MAX;
  return {
    bytesMost: hasHistograms ? Number.POSITIVE_INFINITY : most,
    heldBytes: points * POINT_BYTES + chars,
  };
}

/** Yields behind each series. */
function* writeValue(out: ApiJsonWriter, value: QueryValue): Generator<undefined> {
  switch (value.type) {
    case 'scalar':
      // unlike a series' points these never have an exponent, nor zeros behind the time
      out.raw(`[${value.timeMs / 1000},"${formatF(value.value)}"]`);
      return;
    case 'string':
      out.raw(`[${value.timeMs / 1000},`);
      out.string(value.value);
      out.raw(']');
      return;
    case 'vector':
      out.raw('[');
      for (let i = 0; i < value.pairs.length; i++) {
        const { timeMs } = value;
        const histogram = value.histograms?.[i];
        out.raw(i === 0 ? '{"metric":' : ',{"metric":');
        out.labels({ pairs: value.pairs[i]! });
        if (histogram === undefined) {
          out.raw(',"value":');
          out.point(timeMs, value.values[i]!);
        } else {
          out.raw(`,"histogram":[${formatTimestamp(timeMs)},`);
          out.histogram(histogram);
          out.raw(']');
        }
        out.raw('}');
        yield;
      }
      out.raw(']');
      return;
    case 'matrix':
      out.raw('[');
      for (const [i, { pairs, times, values, histograms }] of value.series.entries()) {
        out.raw(i === 0 ? '{"metric":' : ',{"metric":');
        out.labels({ pairs });
        const histogramCount = histograms?.reduce((sum, one) => sum + (one === undefined ? 0 : 1), 0) ?? 0;
        if (histogramCount < times.length) {
          out.raw(',"values":[');
          if (histograms === undefined) out.points(times, values);
          else out.points(times, values, (at) => histograms[at] !== undefined);
          out.raw(']');
        }
        if (histogramCount > 0) {
          out.raw(',"histograms":[');
          let separator = '';
          for (const [at, histogram] of histograms!.entries()) {
            if (histogram === undefined) continue;
            out.raw(`${separator}[${formatTimestamp(times[at]!)},`);
            out.histogram(histogram);
            out.raw(']');
            separator = ',';
          }
          out.raw(']');
        }
        out.raw('}');
        yield;
      }
      out.raw(']');
      return;
  }
}

/** The timings that a query here has no part for are 0. */
function statsJson(stats: QueryStatistics): object {
  const seconds = stats.evaluatedMs / 1e3;
  return {
    timings: {
      evalTotalTime: seconds,
      resultSortTime: 0,
      queryPreparationTime: 0,
      innerEvalTime: seconds,
      execQueueTime: 0,
      execTotalTime: seconds,
    },
    samples: {
      ...(stats.totalQueryableSamplesPerStep === undefined
        ? {}
        : { totalQueryableSamplesPerStep: stats.totalQueryableSamplesPerStep.map(([ms, count]) => [ms / 1e3, count]) }),
      totalQueryableSamples: stats.totalQueryableSamples,
      samplesRead: stats.samplesRead,
      peakSamples: stats.peakSamples,
    },
  };
}

/** Counts of the store, which Prometheus has not. They are absent where nothing came from it, so that its clients see what they know. */
function storeStats(statistics: QueryStatistics): object {
  const { fetchedRows, fetchedObjects, fetchedBytes, cachedBlocks, readSlots, readGroups } = statistics;
  if (fetchedRows + fetchedObjects + cachedBlocks === 0) return {};
  return { store: { fetchedRows, fetchedObjects, fetchedBytes, cachedBlocks, readSlots, readGroups } };
}

/** Counts of the front end, which Prometheus has not. They are absent where a query was evaluated as it is. */
function frontendStats({ parts, cachedSteps = 0 }: QueryStatistics): object {
  // of a query that was one, and not answered from the cache, there is nothing to say that Prometheus does not
  return parts === undefined || (parts === 1 && cachedSteps === 0) ? {} : { frontend: { parts, cachedSteps } };
}

/** The time of the evaluation as browsers show it, and what was counted beside it. */
function serverTiming({ evaluatedMs, parts, cachedSteps = 0, totalQueryableSamples }: QueryStatistics): string {
  const counted = [`samples;desc="${totalQueryableSamples}"`];
  if (parts !== undefined) counted.push(`parts;desc="${parts}"`, `cached_steps;desc="${cachedSteps}"`);
  return [`eval;dur=${evaluatedMs.toFixed(2)}`, ...counted].join(', ');
}
