import type { Turns } from '../lib/turns.ts';
import { METRIC_NAME } from '../model/labels.ts';
import type { LabelMatcher } from '../model/matcher.ts';
import type { ParsedExprs } from '../promql/parser/parsed.ts';
import { ParseError } from '../promql/parser/parser.ts';
import { selectorsOf } from '../promql/parser/walk.ts';

/** An expression longer than this is not looked at: it would be parsed once more. */
const CHARS_MAX = 4096;
const NAMES_MAX = 100;
const KEPT_MAX = 10_000;
const KEPT_CHARS_MAX = 512;
const NONE: readonly string[] = [];

/** Names of metrics that queries spell, alternatives of a regular expression on the name included. */
export class AskedMetrics {
  readonly #parsed: ParsedExprs;
  /** By query: dashboards and rules ask the same ones again and again. */
  readonly #kept = new Map<string, readonly string[]>();

  constructor(parsed: ParsedExprs) {
    this.#parsed = parsed;
  }

  async of(query: string, turns: Turns): Promise<readonly string[]> {
    const known = this.#kept.get(query);
    if (known !== undefined) return known;
    if (query === '' || query.length > CHARS_MAX) return NONE;
    const names = await this.#read(query, turns);
    if (query.length <= KEPT_CHARS_MAX) {
      if (this.#kept.size >= KEPT_MAX) this.#kept.clear();
      this.#kept.set(query, names);
    }
    return names;
  }

  /** Those of several queries, each once. */
  async ofAll(queries: readonly string[], turns: Turns): Promise<readonly string[]> {
    const all = new Set<string>();
    for (const query of queries) for (const name of await this.of(query, turns)) all.add(name);
    return [...all];
  }

  async #read(query: string, turns: Turns): Promise<readonly string[]> {
    try {
      const names = new Set<string>();
      for (const matchers of selectorsOf(await this.#parsed.of(query, turns))) {
        for (const name of namesOf(matchers)) if (names.size < NAMES_MAX) names.add(name);
      }
      return [...names];
    } catch (thrown) {
      if (thrown instanceof ParseError) return NONE; // whoever evaluates it tells
      throw thrown;
    }
  }
}

function namesOf(matchers: readonly LabelMatcher[]): readonly string[] {
  const own = matchers.find(({ name, op }) => name === METRIC_NAME && (op === '=' || op === '=~'));
  if (own === undefined) return NONE;
  return own.op === '=' ? [own.value] : (own.regex?.literals ?? NONE).slice(0, NAMES_MAX);
}
