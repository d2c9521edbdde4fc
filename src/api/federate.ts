import type { ApiResponse } from '../contract/api.ts';
import type { Pacer } from '../lib/pacer.ts';
import { sortInTurns } from '../lib/sort-in-turns.ts';
import { histogramSampleWeight } from '../model/histogram.ts';
import { compareUtf8, Labels } from '../model/labels.ts';
import { ParseError } from '../promql/parser/parser.ts';
import { FLOAT, HISTOGRAM, SampleColumns } from '../storage/columns.ts';
import { negotiateExposition } from '../wire/exposition/accept.ts';
import { type ExposedSample, exposeFamilies } from '../wire/exposition/families.ts';
import { plain } from './answer.ts';
import type { Call } from './call.ts';
import { lookupContext, pacerFor, turnsOf } from './context.ts';

/**
 * `/federate`: the newest sample of every series that any selector matches, in protobuf or as text, as the request accepts it. Stale
 * ones are left out, of text also native histograms.
 */
export async function federate(call: Call): Promise<ApiResponse> {
  const { params, sources, request } = call;
  const selectors = [];
  try {
    for await (const matchers of params.selectors(turnsOf(call))) selectors.push(matchers);
  } catch (thrown) {
    if (thrown instanceof ParseError) return plain(400, `${thrown.message}\n`);
    throw thrown;
  }
  const endMs = sources.clock.nowMs();
  const startMs = endMs - sources.lookbackMs;
  const context = lookupContext(call);
  const found = new Map<string, ExposedSample>();
  const columns = new SampleColumns();
  const pacer = pacerFor(call, context);
  for (const matchers of selectors) {
    const set = await sources.queryable(request.tenant).select({ matchers, startMs, endMs }, context);
    try {
      for (const [i, labels] of set.series.entries()) {
        if (pacer.due) await pacer.pause();
        set.read(i, columns);
        const last = columns.count - 1;
        const kind = columns.plain ? FLOAT : columns.kinds[last];
        if (last < 0 || (kind !== FLOAT && kind !== HISTOGRAM)) continue;
        const histogram = kind === HISTOGRAM ? columns.histograms[last] : undefined;
        const bytes = histogram === undefined ? 0 : HISTOGRAM_POINT_BYTES * histogramSampleWeight(histogram);
        context.budget.addMemory(FOUND_BYTES + 4 * labels.chars + bytes);
        found.set(labels.key, { labels, timeMs: columns.times[last]!, value: columns.values[last]!, histogram });
      }
    } finally {
      set.close();
    }
  }
  const samples = await sortInTurns(pacer, [...found.values()], (a, b) => {
    const byName = compareUtf8(a.labels.metricName, b.labels.metricName);
    return byName === 0 ? Labels.compare(a.labels, b.labels) : byName;
  });
  const { format, escaping, contentType } = negotiateExposition(request.accept ?? '');
  // the time-out is the look-up's: a slow reader gets the rest of what has begun
  const parts = partsOf(exposeFamilies(samples, format, escaping), turnsOf(call));
  const { done, value: first } = await parts.next();
  if (done === true) return { status: 200, contentType, body: new Uint8Array(0) };
  if (request.takesParts === true && first.length >= PART_BYTES) {
    return { status: 200, contentType, body: first, parts };
  }
  const all = [first];
  for await (const part of parts) all.push(part);
  return { status: 200, contentType, body: Buffer.concat(all) };
}

/** Bytes that are sent in one go. */
const PART_BYTES = 256 * 1024;

async function* partsOf(exposed: Iterable<Uint8Array | undefined>, pacer: Pacer): AsyncGenerator<Uint8Array, void> {
  let waiting: Uint8Array[] = [];
  let bytes = 0;
  for (const part of exposed) {
    if (part !== undefined) {
      waiting.push(part);
      bytes += part.length;
    }
    if (pacer.due) await pacer.pause();
    if (bytes < PART_BYTES) continue;
    yield Buffer.concat(waiting);
    waiting = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(waiting);
}

/** Memory of a series until the answer is sent, beside the key and the text that come of its labels. */
const FOUND_BYTES = 200;
/** For each float sample that a histogram counts as. */
const HISTOGRAM_POINT_BYTES = 32;
