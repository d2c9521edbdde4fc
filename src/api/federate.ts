import type { ApiResponse } from '../contract/api.ts';
import { formatG } from '../lib/go-float.ts';
import { compareUtf8, type Labels, METRIC_NAME } from '../model/labels.ts';
import { ParseError, parseMetricSelector } from '../promql/parser/parser.ts';
import { checkMatchers, checkSelectors } from '../promql/plan/size.ts';
import { FLOAT, SampleColumns } from '../storage/columns.ts';
import { plain } from './answer.ts';
import type { Call } from './call.ts';
import { lookupContext, pacerFor } from './context.ts';

const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8; escaping=underscores';

/** `/federate`: the newest sample of every series that any selector matches, in the text format. Stale ones and histograms are left out. */
export async function federate(call: Call): Promise<ApiResponse> {
  const { params, sources, request } = call;
  const selectors = [];
  checkSelectors(params.all('match[]').length);
  for (const text of params.all('match[]')) {
    try {
      const matchers = parseMetricSelector(text, sources.syntax);
      checkMatchers(matchers.length);
      selectors.push(matchers);
    } catch (thrown) {
      if (thrown instanceof ParseError) return plain(400, `${thrown.message}\n`);
      throw thrown;
    }
  }
  const endMs = sources.clock.nowMs();
  const startMs = endMs - sources.lookbackMs;
  const context = lookupContext(call);
  const found = new Map<string, Newest>();
  const columns = new SampleColumns();
  const pacer = pacerFor(call, context);
  for (const matchers of selectors) {
    const set = await sources.queryable(request.tenant).select({ matchers, startMs, endMs }, context);
    try {
      for (const [i, labels] of set.series.entries()) {
        if (pacer.due) await pacer.pause();
        set.read(i, columns);
        const last = columns.count - 1;
        if (last < 0 || (!columns.plain && columns.kinds[last] !== FLOAT)) continue;
        context.budget.addMemory(FOUND_BYTES + 4 * labels.chars);
        found.set(labels.key, { labels, timeMs: columns.times[last]!, value: columns.values[last]! });
      }
    } finally {
      set.close();
    }
  }
  const parts: Uint8Array[] = [];
  for (const text of exposed([...found.values()])) {
    parts.push(new TextEncoder().encode(text));
    if (pacer.due) await pacer.pause();
  }
  return { status: 200, contentType: CONTENT_TYPE, body: Buffer.concat(parts) };
}

/** Memory of a series until the answer is sent, beside the key and the text that come of its labels. */
const FOUND_BYTES = 200;
/** The text is made in parts of about this length. */
const PART_CHARS = 64 * 1024;

interface Newest {
  readonly labels: Labels;
  readonly timeMs: number;
  readonly value: number;
}

function* exposed(series: Newest[]): Generator<string> {
  const named = series.filter(({ labels }) => labels.metricName !== '');
  named.sort((a, b) => compareUtf8(a.labels.metricName, b.labels.metricName));
  let text = '';
  let family = '';
  for (const { labels, timeMs, value } of named) {
    const name = legacy(labels.metricName, ':');
    if (name !== family) text += `# TYPE ${name} untyped\n`;
    family = name;
    const pairs = [...labels]
      .filter(([label]) => label !== METRIC_NAME)
      .map(([label, is]) => `${legacy(label)}=${quoted(is)}`);
    // without one of its own a series would get the scraping server's idea of the instance
    if (!labels.has('instance')) pairs.push('instance=""');
    text += `${name}{${pairs.join(',')}} ${formatG(value)} ${timeMs}\n`;
    if (text.length < PART_CHARS) continue;
    yield text;
    text = '';
  }
  yield text;
}

function quoted(value: string): string {
  return `"${value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')}"`;
}

/** A name in the characters that the text format had from the start. */
function legacy(name: string, more = ''): string {
  let out = '';
  for (const char of name) {
    const fits = /[a-zA-Z_]/.test(char) || (/[0-9]/.test(char) && out !== '') || (more !== '' && char === more);
    out += fits ? char : '_';
  }
  return out;
}
