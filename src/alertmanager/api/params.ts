import type { ApiRequest } from '../../contract/api.ts';
import { RegexSyntaxError } from '../../model/regex/regex.ts';
import { compileAnchored, MatcherError, type Matchers, matchesFilter } from '../matcher.ts';
import { parseMatcher } from '../matcher-parser.ts';

/** A request that is wrong: 400 with the text as JSON. */
export class BadRequest extends Error {}

const filtersMax = 100;

/** Parameters of the Alertmanager's API, read as it reads them. */
export class Params {
  readonly #pairs: ApiRequest['params'];

  constructor(request: Pick<ApiRequest, 'params'>) {
    this.#pairs = request.params;
  }

  text(name: string): string | undefined {
    return this.#pairs.find(([key]) => key === name)?.[1];
  }

  /** Words that go-openapi takes for true; all others are false. */
  flag(name: string, initial = true): boolean {
    const given = this.text(name);
    if (given === undefined || given === '') return initial;
    return ['true', '1', 'yes', 'ok', 'y', 'on', 'selected', 'checked', 't', 'enabled'].includes(given.toLowerCase());
  }

  /** @throws BadRequest */
  matchers(name: string, prefix = ''): Matchers {
    const texts = this.#pairs.filter(([key]) => key === name).map(([, value]) => value);
    if (texts.length > filtersMax) throw new BadRequest(`${texts.length} of ${name}: limit of ${filtersMax} exceeded`);
    try {
      return texts.map(parseMatcher);
    } catch (thrown) {
      throw thrown instanceof MatcherError ? new BadRequest(`${prefix}${thrown.message}`) : thrown;
    }
  }

  /** Tells receivers that are asked for. @throws BadRequest */
  receivers(): (name: string) => boolean {
    const pattern = this.text('receiver');
    if (pattern === undefined) return () => true;
    try {
      const regex = compileAnchored(pattern);
      return (name) => regex.matches(name);
    } catch (thrown) {
      if (!(thrown instanceof MatcherError) && !(thrown instanceof RegexSyntaxError)) throw thrown;
      throw new BadRequest(`failed to parse receiver param: ${thrown.message}`);
    }
  }

  /** Receivers whose labels are asked for. @throws BadRequest */
  receiverLabels(): (labels: ReadonlyMap<string, string> | undefined) => boolean {
    const matchers = this.matchers('receiver_matchers', 'failed to parse receiver_matchers param: ');
    return (labels) => matchers.length === 0 || (labels !== undefined && matchesFilter(matchers, labels));
  }
}
