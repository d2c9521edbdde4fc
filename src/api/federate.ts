import type { ApiResponse } from '../contract/api.ts';
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
  const parts: Uint8Array[] = [];
  for (const part of exposeFamilies(samples, format, escaping)) {
    if (part !== undefined) parts.push(part);
    if (pacer.due) await pacer.pause();
  }
  return { status: 200, contentType, body: Buffer.concat(parts) };
}

/** Memory of a series until the answer is sent, beside the key and the text that come of its labels. */
const FOUND_BYTES = 200;
/** For each float sample that a histogram counts as. */
const HISTOGRAM_POINT_BYTES = 32;
