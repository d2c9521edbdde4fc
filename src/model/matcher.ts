import { quoteGo, quoteName } from './labels.ts';
import { compileRegex, type Regex } from './regex.ts';

export type MatchOp = '=' | '!=' | '=~' | '!~';

/** One condition of a selector. A missing label has the value `''`. */
export class LabelMatcher {
  readonly name: string;
  readonly op: MatchOp;
  readonly value: string;
  /** Set for `=~` and `!~`. */
  readonly regex: Regex | undefined;

  private constructor(name: string, op: MatchOp, value: string, regex: Regex | undefined) {
    this.name = name;
    this.op = op;
    this.value = value;
    this.regex = regex;
  }

  /** @throws RegexSyntaxError where `op` asks for a regular expression and `value` is not one */
  static of(name: string, op: MatchOp, value: string): LabelMatcher {
    return new LabelMatcher(name, op, value, op === '=~' || op === '!~' ? compileRegex(value) : undefined);
  }

  matches(value: string): boolean {
    switch (this.op) {
      case '=':
        return value === this.value;
      case '!=':
        return value !== this.value;
      case '=~':
        return this.regex!.matches(value);
      case '!~':
        return !this.regex!.matches(value);
    }
  }

  /** Whether a series without this label matches. */
  get matchesEmpty(): boolean {
    return this.matches('');
  }

  /** The only values that can match, where they are few and known (`=`, `=~"a|b"`); what makes an index look-up. */
  get setMatches(): readonly string[] | undefined {
    if (this.op === '=') return [this.value];
    return this.op === '=~' ? this.regex!.literals : undefined;
  }

  toString(): string {
    return `${quoteName(this.name)}${this.op}${quoteGo(this.value)}`;
  }
}
