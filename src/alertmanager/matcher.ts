import { compareUtf8, quoteGo } from '../model/labels.ts';
import { compileRegex, type Regex, RegexSyntaxError } from '../model/regex/regex.ts';
import type { LabelSet } from './label-set.ts';

export type MatcherOp = '=' | '!=' | '=~' | '!~';

/** A text that is no matcher, or has a pattern that is none. */
export class MatcherError extends Error {}

/** Characters that a name must not hold unquoted. */
const RESERVED = /[\s\u0085{}!=~,\\"'`]/;

/** One condition on a label of an alert. A missing label has the value `''`. */
export class Matcher {
  readonly name: string;
  readonly op: MatcherOp;
  readonly value: string;
  /** Set for `=~` and `!~`. */
  readonly #regex: Regex | undefined;

  private constructor(name: string, op: MatcherOp, value: string, regex: Regex | undefined) {
    this.name = name;
    this.op = op;
    this.value = value;
    this.#regex = regex;
  }

  /** @throws MatcherError */
  static of(name: string, op: MatcherOp, value: string): Matcher {
    return new Matcher(name, op, value, op === '=~' || op === '!~' ? compileAnchored(value) : undefined);
  }

  matches(value: string): boolean {
    switch (this.op) {
      case '=':
        return value === this.value;
      case '!=':
        return value !== this.value;
      case '=~':
        return this.#regex!.matches(value);
      case '!~':
        return !this.#regex!.matches(value);
    }
  }

  get isEqual(): boolean {
    return this.op === '=' || this.op === '=~';
  }

  get isRegex(): boolean {
    return this.#regex !== undefined;
  }

  toString(): string {
    if (RESERVED.test(this.name)) return `${quoteGo(this.name)}${this.op}${quoteGo(this.value)}`;
    const escaped = this.value.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n');
    return `${this.name}${this.op}"${escaped}"`;
  }
}

export type Matchers = readonly Matcher[];

const OP_RANK: Readonly<Record<MatcherOp, number>> = { '=': 0, '!=': 1, '=~': 2, '!~': 3 };

/** By name, value and kind: the order in which routes show them. */
export function sortedMatchers(matchers: Matchers): Matcher[] {
  return matchers.toSorted(
    (a, b) => compareUtf8(a.name, b.name) || compareUtf8(a.value, b.value) || OP_RANK[a.op] - OP_RANK[b.op],
  );
}

export function matchersText(matchers: Matchers): string {
  return `{${matchers.map(String).join(',')}}`;
}

export function matchesAll(matchers: Matchers, labels: LabelSet): boolean {
  return matchers.every((matcher) => matcher.matches(labels.get(matcher.name) ?? ''));
}

/** Where a filter asks for an empty value: a label that is there matches only what is not equal. */
export function matchesFilter(filter: Matchers, labels: LabelSet): boolean {
  return filter.every((matcher) => {
    const value = labels.get(matcher.name);
    if (matcher.value === '' && (value === undefined) === matcher.isEqual) return true;
    return matcher.matches(value ?? '');
  });
}

/** The whole value has to match; `.` is no line break. @throws MatcherError */
export function compileAnchored(pattern: string): Regex {
  try {
    if (!pattern.includes('.')) return compileRegex(pattern);
    compileRegex(pattern);
    return compileRegex(`(?-s:${pattern})`);
  } catch (thrown) {
    if (!(thrown instanceof RegexSyntaxError)) throw thrown;
    // what concerns the whole of it is shown with the pattern as Go compiles it
    const whole = /^(error parsing regexp: (?:missing closing \)|unexpected \)|expression .*): )`/.exec(thrown.message);
    const shown = whole === null ? thrown.message : `${whole[1]}\`^(?:${pattern})$\``;
    throw new MatcherError(shown);
  }
}
