import type { ApiResponse } from '../contract/api.ts';
import { oldestOf } from '../limits/allowed-past.ts';
import { queryErrors } from '../model/errors-query.ts';
import { Labels } from '../model/labels.ts';
import type { LabelAnswer, LabelRequest } from '../storage/queryable.ts';
import type { ApiJsonWriter } from '../wire/api-json.ts';
import { type Notes, successInTurns, TRUNCATED } from './answer.ts';
import type { Call } from './call.ts';
import { lookupContext, missingOf, pacerFor, turnsOf } from './context.ts';
import { ApiError } from './error.ts';
import { MAX_TIME, MIN_TIME, storageMs } from './time.ts';

/** `/api/v1/series`: the labels of all series that any selector matches. */
export async function series(call: Call): Promise<ApiResponse> {
  const { params, sources, request } = call;
  if (params.all('match[]').length === 0) throw ApiError.badData('no match[] parameter provided');
  const limit = params.limit();
  const { startMs, endMs } = timesOf(call);
  const selectors = await params.matchers(turnsOf(call), 'match[]');
  const missing = missingOf(call);
  const context = lookupContext(call, missing);
  const queryable = sources.queryable(request.tenant);
  const found = new Map<string, Labels>();
  const warnings: string[] = [];
  const pacer = pacerFor(call, context);
  let bytesMost = 0;
  let heldBytes = 0;
  for (const matchers of selectors) {
    const set = await timed(call, () =>
      queryable.select({ matchers, startMs, endMs, labelsOnly: true, limit: withOneMore(limit) }, context),
    );
    try {
      for (const labels of set.series) {
        if (!found.has(labels.key)) {
          const { chars, pairs } = labels;
          context.budget.addMemory(2 * chars);
          bytesMost += jsonBytesMost(chars, pairs.length);
          heldBytes += SERIES_BYTES;
        }
        found.set(labels.key, labels);
        if (pacer.due) await pacer.pause();
      }
      for (const warning of set.warnings) warnings.push(warning);
    } finally {
      set.close();
    }
  }
  let list = [...found.values()];
  if (selectors.length > 1) list.sort(Labels.compare);
  if (limit > 0 && list.length > limit) {
    list = list.slice(0, limit);
    warnings.push(TRUNCATED);
  }
  const write = function* (out: ApiJsonWriter): Generator<undefined> {
    out.raw('[');
    for (const [i, labels] of list.entries()) {
      if (i > 0) out.raw(',');
      out.labels(labels);
      yield;
    }
    out.raw(']');
  };
  return successInTurns(call, { warnings, missing: missing?.list }, write, () => ({ bytesMost, heldBytes }));
}

/** Memory of a series of an answer that is being written, beside its labels' texts. */
const SERIES_BYTES = 200;
/** A character as JSON escapes it, or in UTF-8. */
const CHAR_BYTES_MAX = 6;
/** Quotes, separators and brackets of a text. */
const TEXT_BYTES_MAX = 5;

function jsonBytesMost(chars: number, texts: number): number {
  return CHAR_BYTES_MAX * chars + TEXT_BYTES_MAX * texts;
}

/** `/api/v1/labels` */
export async function labelNames(call: Call): Promise<ApiResponse> {
  const { sources, request } = call;
  const limit = call.params.limit();
  const asked = await labelRequest(call, limit);
  const queryable = sources.queryable(request.tenant);
  const missing = missingOf(call);
  const found = await timed(call, () => queryable.labelNames(asked, lookupContext(call, missing)));
  return strings(call, limit, { ...found, missing: missing?.list });
}

/** `/api/v1/label/:name/values` */
export async function labelValues(call: Call): Promise<ApiResponse> {
  const { sources, request } = call;
  const written = request.path.slice('/api/v1/label/'.length, -'/values'.length);
  const name = written.startsWith('U__') ? unescapeName(written) : written;
  if (name === '' || !name.isWellFormed()) throw ApiError.badData(`invalid label name: ${quoteBytes(name)}`);
  const limit = call.params.limit();
  const asked = await labelRequest(call, limit);
  const queryable = sources.queryable(request.tenant);
  const missing = missingOf(call);
  const found = await timed(call, () => queryable.labelValues(name, asked, lookupContext(call, missing)));
  return strings(call, limit, { ...found, missing: missing?.list });
}

async function labelRequest(call: Call, limit: number): Promise<LabelRequest> {
  const times = timesOf(call);
  return { ...times, matchers: await call.params.matchers(turnsOf(call)), limit: withOneMore(limit) };
}

/**
 * Times of a look-up. Open ends end where there can be data: not before 1970 or the tenant's lookback, and not after what is
 * taken in ahead of the clock. The store would else be asked for every week there ever will be.
 */
export function timesOf({ params, limits, sources }: Call): { startMs: number; endMs: number } {
  const startMs = storageMs(params.timeOr('start', MIN_TIME));
  const endMs = storageMs(params.timeOr('end', MAX_TIME));
  const nowMs = sources.clock.nowMs();
  const oldestMs = Math.max(0, oldestOf(limits, nowMs));
  const newestMs = nowMs + Math.max(limits.creationGracePeriodMs, AHEAD_MS);
  return { startMs: Math.max(startMs, oldestMs), endMs: Math.min(endMs, newestMs) };
}

/** Clocks of ingesters and queriers differ. */
const AHEAD_MS = 3_600_000;

/** One more than is shown, to know whether there are more. */
function withOneMore(limit: number): number {
  return limit === 0 ? 0 : limit + 1;
}

function strings(
  call: Call,
  limit: number,
  { values, warnings, missing }: LabelAnswer & Pick<Notes, 'missing'>,
): Promise<ApiResponse> {
  const cut = limit > 0 && values.length > limit;
  return successInTurns(
    call,
    { warnings: cut ? [...warnings, TRUNCATED] : warnings, missing },
    (out) => writeStrings(out, values, cut ? limit : values.length),
    () => {
      const chars = values.reduce((sum, { length }) => sum + length, 0);
      return { bytesMost: jsonBytesMost(chars, values.length), heldBytes: 2 * chars };
    },
  );
}

/** One by one: together they may be longer than a string can be. */
function* writeStrings(out: ApiJsonWriter, values: readonly string[], count: number): Generator<undefined> {
  for (let i = 0; i < count; i++) {
    out.raw(i === 0 ? '[' : ',');
    out.string(values[i]!);
    yield;
  }
  out.raw(count === 0 ? '[]' : ']');
}

/** A look-up that runs out of time says so as a query does. */
export async function timed<T>({ signal, sources }: Call, lookup: () => Promise<T>): Promise<T> {
  try {
    return await lookup();
  } catch (thrown) {
    const timeUp = thrown instanceof DOMException && thrown.name === 'TimeoutError';
    throw timeUp && !signal.aborted ? queryErrors.queryTimedOut({ limitMs: sources.timeoutMs }) : thrown;
  }
}

/**
 * A name in the form that survives in a path: `U__` before it, `_` doubled, other characters as `_hex_`. What is not in
 * that form stands for itself. Source: Prometheus `common/model/metric.go`.
 */
function unescapeName(written: string): string {
  const escaped = written.slice('U__'.length);
  let name = '';
  for (let i = 0; i < escaped.length; i++) {
    if (escaped[i] !== '_') {
      name += escaped[i];
      continue;
    }
    if (escaped[i + 1] === '_') {
      name += '_';
      i++;
      continue;
    }
    const [all, hex] = /^_([0-9a-fA-F]{0,5})_/.exec(escaped.slice(i, i + 7)) ?? [];
    if (all === undefined) return written;
    const code = hex === '' ? 0 : Number.parseInt(hex!, 16);
    if (code >= 0xd800 && code <= 0xdfff) return written;
    name += String.fromCodePoint(code);
    i += all.length - 1;
  }
  return name;
}

/** Quoted; the lone surrogates that stand for bytes which are no UTF-8 (see the listener) as those bytes. */
function quoteBytes(name: string): string {
  return JSON.stringify(name).replace(/\\udc([89a-f][0-9a-f])/g, '\\x$1');
}
