import type { ApiRequest } from '../contract/api.ts';
import type { Turns } from '../lib/turns.ts';
import { quoteGoCut } from '../model/labels.ts';
import type { LabelMatcher } from '../model/matcher.ts';
import { parseSelectorInTurns } from '../promql/parser/parsed.ts';
import { ParseError, type ParserOptions } from '../promql/parser/parser.ts';
import { checkSelectors, SelectorSize } from '../promql/plan/size.ts';
import { ApiError } from './error.ts';
import { DurationParamError, type GoTime, parseDurationNanos, parseTime } from './time.ts';

/** The parameters of a request, read as Prometheus reads them. Everything throws `ApiError`. */
export class Params {
  readonly #values = new Map<string, string[]>();
  readonly #syntax: ParserOptions;

  /** @param syntax what selectors may be written in */
  constructor(request: ApiRequest, syntax: ParserOptions = {}) {
    this.#syntax = syntax;
    for (const [name, value] of request.params) {
      const values = this.#values.get(name);
      if (values === undefined) this.#values.set(name, [value]);
      else values.push(value);
    }
  }

  /** The first value, `''` where there is none: to Prometheus they are the same. */
  get(name: string): string {
    return this.#values.get(name)?.[0] ?? '';
  }

  all(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  /** A time that must be given. */
  time(name: string): GoTime {
    const time = parseTime(this.get(name));
    if (time === undefined) throw ApiError.invalidParam(name, noTime(this.get(name)));
    return time;
  }

  /** A time, or `otherwise` where none is given. */
  timeOr(name: string, otherwise: GoTime): GoTime {
    const text = this.get(name);
    if (text === '') return otherwise;
    const time = parseTime(text);
    if (time === undefined) throw ApiError.invalidParam(name, `invalid time value for '${name}': ${noTime(text)}`);
    return time;
  }

  durationNanos(name: string): bigint {
    try {
      return parseDurationNanos(this.get(name));
    } catch (thrown) {
      if (thrown instanceof DurationParamError) throw ApiError.invalidParam(name, thrown.message);
      throw thrown;
    }
  }

  /** 0 is no limit. */
  limit(): number {
    const text = this.get('limit');
    if (text === '') return 0;
    if (!isGoInt(text)) {
      throw ApiError.invalidParam('limit', `strconv.Atoi: parsing ${quoteGoCut(text)}: invalid syntax`);
    }
    if (Number(text) < 0) throw ApiError.invalidParam('limit', 'limit must be non-negative');
    return Number(text);
  }

  /**
   * The selectors of `match[]`, read in turns with others.
   * @param param set where the error names the parameter
   */
  async matchers(turns: Turns, param?: 'match[]'): Promise<LabelMatcher[][]> {
    const refused = (why: string) => (param === undefined ? ApiError.badData(why) : ApiError.invalidParam(param, why));
    const selectors: LabelMatcher[][] = [];
    try {
      for await (const matchers of this.selectors(turns)) {
        if (matchers.every((matcher) => matcher.matchesEmpty)) {
          throw refused('match[] must contain at least one non-empty matcher');
        }
        selectors.push([...matchers]);
      }
    } catch (thrown) {
      throw thrown instanceof ParseError ? refused(thrown.message) : thrown;
    }
    return selectors;
  }

  /** The selectors of `match[]` as they are, bounded in number and size. @throws ParseError */
  async *selectors(turns: Turns): AsyncGenerator<readonly LabelMatcher[], void> {
    const texts = this.all('match[]');
    checkSelectors(texts.length);
    const size = new SelectorSize();
    for (const text of texts) {
      if (turns.due) await turns.pause();
      const matchers = await parseSelectorInTurns(text, this.#syntax, turns);
      size.add(matchers);
      yield matchers;
    }
  }

  async selector(text: string, turns: Turns, param: string): Promise<readonly LabelMatcher[]> {
    try {
      return await parseSelectorInTurns(text, this.#syntax, turns);
    } catch (thrown) {
      throw thrown instanceof ParseError ? ApiError.invalidParam(param, thrown.message) : thrown;
    }
  }
}

/** Texts that Go's `strconv.Atoi` takes, up to 15 digits (inclusive). */
export function isGoInt(text: string): boolean {
  return /^[+-]?\d{1,15}$/.test(text);
}

function noTime(text: string): string {
  return `cannot parse ${quoteGoCut(text)} to a valid timestamp`;
}
