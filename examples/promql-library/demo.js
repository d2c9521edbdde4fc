import { Engine, ParseError, parseExpr, prettyExpr, unlimited } from 'pallium/promql';
import { SeriesList } from './series-list.js';

const START_MS = Date.UTC(2026, 0, 1);
const MINUTE_MS = 60_000;

/** An hour of two counters, a sample a minute. */
function requests(instance, perMinute) {
  const times = Array.from({ length: 61 }, (_, i) => START_MS + i * MINUTE_MS);
  return {
    labels: { __name__: 'http_requests_total', job: 'api', instance },
    times,
    values: times.map((_, i) => i * perMinute),
  };
}

const store = new SeriesList([requests('a', 60), requests('b', 120)]);
const engine = new Engine({ lookbackMs: 5 * MINUTE_MS });

/** Answers `expr` over the hour, as lines of text; what is wrong with it, as the one line. */
export async function ask(expr) {
  try {
    const range = { expr, startMs: START_MS, endMs: START_MS + 60 * MINUTE_MS, stepMs: 10 * MINUTE_MS };
    // a context may cancel the query and bound what it reads and holds
    const { value, warnings, infos } = await engine.queryRange(store, range, unlimited());
    const lines = value.series.map(({ labels, values }) => `${labels} ${[...values].join(' ')}`);
    return [prettyExpr(parseExpr(expr)), ...lines, ...warnings, ...infos];
  } catch (error) {
    if (error instanceof ParseError) return [error.message];
    throw error;
  }
}
