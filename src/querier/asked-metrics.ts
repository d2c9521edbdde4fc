import type { Turns } from '../lib/turns.ts';
import { METRIC_NAME } from '../model/labels.ts';
import type { LabelMatcher } from '../model/matcher.ts';
import type { ParsedExprs } from '../promql/parser/parsed.ts';
import { ParseError } from '../promql/parser/parser.ts';
import { selectorsOf } from '../promql/parser/walk.ts';

/** Metrics that a request asks for: by name, and by selectors that find them by other labels. */
export interface AskedFor {
  readonly names: readonly string[];
  /** As text, with braces. */
  readonly selectors: readonly string[];
}

/** An expression longer than this is not looked at: it would be parsed once more. */
const CHARS_MAX = 4096;
const NAMES_MAX = 100;
const SELECTORS_MAX = 10;
const KEPT_MAX = 10_000;
const KEPT_CHARS_MAX = 512;
const NOTHING: AskedFor = { names: [], selectors: [] };

/** Names of metrics that queries spell, alternatives of a regular expression on the name included, and selectors without any. */
export class AskedMetrics {
  readonly #parsed: ParsedExprs;
  /** By query: dashboards and rules ask the same ones again and again. */
  readonly #kept = new Map<string, AskedFor>();

  constructor(parsed: ParsedExprs) {
    this.#parsed = parsed;
  }

  async of(query: string, turns: Turns): Promise<AskedFor> {
    const known = this.#kept.get(query);
    if (known !== undefined) return known;
    if (query === '' || query.length > CHARS_MAX) return NOTHING;
    const asked = await this.#read(query, turns);
    if (query.length <= KEPT_CHARS_MAX) {
      if (this.#kept.size >= KEPT_MAX) this.#kept.clear();
      this.#kept.set(query, asked);
    }
    return asked;
  }

  /** Those of several queries, each once. */
  async ofAll(queries: readonly string[], turns: Turns): Promise<AskedFor> {
    const names = new Set<string>();
    const selectors = new Set<string>();
    for (const query of queries) {
      const asked = await this.of(query, turns);
      for (const name of asked.names) names.add(name);
      for (const selector of asked.selectors) selectors.add(selector);
    }
    return { names: [...names], selectors: [...selectors] };
  }

  async #read(query: string, turns: Turns): Promise<AskedFor> {
    try {
      return askedBy(selectorsOf(await this.#parsed.of(query, turns)));
    } catch (thrown) {
      if (thrown instanceof ParseError) return NOTHING; // whoever evaluates it tells
      throw thrown;
    }
  }
}

export function askedBy(lists: Iterable<readonly LabelMatcher[]>): AskedFor {
  const names = new Set<string>();
  const selectors = new Set<string>();
  for (const matchers of lists) {
    const spelt = namesOf(matchers);
    for (const name of spelt ?? []) if (names.size < NAMES_MAX) names.add(name);
    if (spelt !== undefined || selectors.size >= SELECTORS_MAX) continue;
    const selector = `{${matchers.join(', ')}}`;
    if (selector.length <= CHARS_MAX) selectors.add(selector);
  }
  return { names: [...names], selectors: [...selectors] };
}

/** @returns undefined where other labels tell */
function namesOf(matchers: readonly LabelMatcher[]): readonly string[] | undefined {
  const own = matchers.find(({ name, op }) => name === METRIC_NAME && (op === '=' || op === '=~'));
  if (own === undefined) return undefined;
  return own.op === '=' ? [own.value] : own.regex?.literals?.slice(0, NAMES_MAX);
}
