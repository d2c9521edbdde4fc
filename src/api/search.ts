import type { ApiResponse } from '../contract/api.ts';
import { compareUtf8, METRIC_NAME, quoteGoCut } from '../model/labels.ts';
import type { MetadataEntry } from '../storage/metadata.ts';
import type { LabelAnswer } from '../storage/queryable.ts';
import type { Call } from './call.ts';
import { lookupContext, pacerFor, turnsOf } from './context.ts';
import { ApiError } from './error.ts';
import { isGoInt } from './params.ts';
import { type SearchSpec, scorer } from './search-score.ts';
import { storageMs, timeOfMs } from './time.ts';

const HOUR_MS = 3_600_000;
/** More is nobody's typing, and costs time for every name there is. */
const TERMS_MAX = 16;
const TERM_CHARS_MAX = 256;

interface Search extends SearchSpec {
  readonly sortBy: string;
  readonly descending: boolean;
  readonly includeScore: boolean;
  readonly limit: number;
  readonly batchSize: number;
}

/** `/api/v1/search/metric_names` */
export async function searchMetricNames(call: Call): Promise<ApiResponse> {
  const search = searchOf(call, 'metric_names');
  const includeMetadata = flagOf(call, 'include_metadata', false);
  const found = await look(call, search, METRIC_NAME);
  const metadata = includeMetadata ? await metadataOf(call, found.names) : undefined;
  return lines(search, found, 'name', (name) => metadata?.get(name)?.[0]);
}

/** `/api/v1/search/label_names` */
export async function searchLabelNames(call: Call): Promise<ApiResponse> {
  const search = searchOf(call, 'label_names');
  return lines(search, await look(call, search, undefined));
}

/** `/api/v1/search/label_values` */
export async function searchLabelValues(call: Call): Promise<ApiResponse> {
  const label = call.params.get('label');
  const search = searchOf(call, 'label_values');
  if (label === '') throw ApiError.badData('missing required parameter "label"');
  return lines(search, await look(call, search, label), 'value');
}

interface Found {
  /** Best first, at most the limit. */
  readonly names: readonly { readonly name: string; readonly score: number }[];
  readonly hasMore: boolean;
  readonly warnings: readonly string[];
}

/** Names of labels, or values of `label`, that fit, in the order asked for. */
async function look(call: Call, search: Search, label: string | undefined): Promise<Found> {
  const { params, sources, request } = call;
  const nowMs = sources.clock.nowMs();
  const asked = {
    matchers: await params.matchers(turnsOf(call)),
    startMs: storageMs(params.timeOr('start', timeOfMs(nowMs - HOUR_MS))),
    endMs: storageMs(params.timeOr('end', timeOfMs(nowMs))),
  };
  const queryable = sources.queryable(request.tenant);
  const context = lookupContext(call);
  const answer: LabelAnswer =
    label === undefined
      ? await queryable.labelNames(asked, context)
      : await queryable.labelValues(label, asked, context);
  const score = scorer(search);
  const fitting: { name: string; score: number }[] = [];
  const pacer = pacerFor(call, context);
  for (const name of answer.values) {
    const its = score(name);
    if (its > 0) fitting.push({ name, score: its });
    if (pacer.due) await pacer.pause();
  }
  const byName = (a: { name: string }, b: { name: string }) => compareUtf8(a.name, b.name);
  if (search.sortBy === 'score') fitting.sort((a, b) => b.score - a.score || byName(a, b));
  else fitting.sort(search.descending ? (a, b) => byName(b, a) : byName);
  return {
    names: fitting.slice(0, search.limit),
    hasMore: fitting.length > search.limit,
    warnings: answer.warnings,
  };
}

/** Metadata of few names one by one, of many all together. */
async function metadataOf(call: Call, names: Found['names']): Promise<ReadonlyMap<string, readonly MetadataEntry[]>> {
  const { sources, request } = call;
  const asked = { metric: names.length === 1 ? names[0]!.name : '', limit: 0, limitPerMetric: 1 };
  return sources.metadata.metadata(request.tenant, asked, lookupContext(call));
}

/** Batches as lines of JSON, then a line that says how it ended. */
function lines(
  { batchSize, includeScore }: Search,
  { names, hasMore, warnings }: Found,
  field: 'name' | 'value' = 'name',
  more: (name: string) => object | undefined = () => undefined,
): ApiResponse {
  const results = names.map(({ name, score }) => ({
    [field]: name,
    ...(includeScore ? { score } : {}),
    ...more(name),
  }));
  const texts: string[] = [];
  for (let at = 0; at < results.length || at === 0; at += batchSize) {
    const noted = at === 0 && warnings.length > 0 ? { warnings } : {};
    texts.push(JSON.stringify({ results: results.slice(at, at + batchSize), ...noted }));
  }
  texts.push(JSON.stringify({ status: 'success', has_more: hasMore }));
  const body = new TextEncoder().encode(texts.map((text) => `${text}\n`).join(''));
  return { status: 200, contentType: 'application/x-ndjson; charset=utf-8', body };
}

function searchOf(call: Call, where: string): Search {
  const { params, sources } = call;
  if (!sources.searchEnabled) throw ApiError.disabled('search API');
  const terms = params.all('search[]').filter((term) => term !== '');
  if (terms.length > TERMS_MAX) throw ApiError.badData(`more than ${TERMS_MAX} search[]`);
  if (terms.some((term) => term.length > TERM_CHARS_MAX)) {
    throw ApiError.badData(`search[] has more than ${TERM_CHARS_MAX} characters`);
  }
  const threshold = params.get('fuzz_threshold');
  if (threshold !== '' && !(isGoInt(threshold) && Number(threshold) >= 0 && Number(threshold) <= 100)) {
    throw ApiError.badData(`invalid fuzz_threshold ${quoteGoCut(threshold)}: must be 0-100`);
  }
  const algorithm = params.get('fuzz_alg') || 'subsequence';
  if (algorithm !== 'subsequence' && algorithm !== 'jarowinkler') {
    throw ApiError.badData(`unsupported fuzz_alg ${quoteGoCut(algorithm)}: must be one of [subsequence jarowinkler]`);
  }
  const caseSensitive = flagOf(call, 'case_sensitive', true);
  const includeScore = flagOf(call, 'include_score', false);
  const sortBy = params.get('sort_by');
  const direction = params.get('sort_dir');
  if (direction !== '' && sortBy === '') throw ApiError.badData('sort_dir is only valid when sort_by is set');
  if (direction !== '' && sortBy === 'score') throw ApiError.badData('sort_dir is not supported for sort_by=score');
  if (direction !== '' && direction !== 'asc' && direction !== 'dsc') {
    throw ApiError.badData(`invalid sort_dir ${quoteGoCut(direction)}: must be "asc" or "dsc"`);
  }
  if (sortBy === 'score' && terms.length === 0) throw ApiError.badData('sort_by=score requires search[] to be set');
  const limit = sizeOf(call, 'limit');
  const batchSize = sizeOf(call, 'batch_size');
  if (sortBy !== '' && sortBy !== 'alpha' && sortBy !== 'score') {
    throw ApiError.badData(`invalid sort_by ${quoteGoCut(sortBy)} for ${where}: must be "alpha" or "score"`);
  }
  return {
    terms,
    algorithm,
    threshold: Number(threshold) / 100,
    caseSensitive,
    sortBy,
    descending: direction === 'dsc',
    includeScore,
    limit,
    batchSize,
  };
}

/** 100 where none is given, or 0. */
function sizeOf({ params }: Call, name: string): number {
  const text = params.get(name);
  if (text !== '' && !(isGoInt(text) && Number(text) >= 0)) {
    throw ApiError.badData(`invalid ${name} ${quoteGoCut(text)}: must be non-negative integer`);
  }
  return Number(text) || 100;
}

/** A flag, in the texts that Go's `strconv.ParseBool` takes. */
function flagOf({ params }: Call, name: string, otherwise: boolean): boolean {
  const text = params.get(name);
  if (text === '') return otherwise;
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false;
  throw ApiError.badData(`invalid ${name} ${quoteGoCut(text)}: must be boolean`);
}
