import { quoteGo, quoteName } from './labels.ts';
import { compileRegex, PausedMatch, type Regex, type Work } from './regex/regex.ts';

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
  static of(name: string, op: MatchOp, value: string, compile = compileRegex): LabelMatcher {
    return new LabelMatcher(name, op, value, op === '=~' || op === '!~' ? compile(value) : undefined);
  }

  /** @param regex of what came compiled */
  static withRegex(name: string, op: MatchOp, regex: Regex): LabelMatcher {
    return new LabelMatcher(name, op, regex.source, regex);
  }

  /** The same condition on another label. */
  named(name: string): LabelMatcher {
    return new LabelMatcher(name, this.op, this.value, this.regex);
  }

  /** As `matches`, but no more than `work` allows: a paused match is to be gone on with. */
  match(value: string, work: Work, from?: PausedMatch): boolean | PausedMatch {
    if (this.regex === undefined) {
      work.steps--;
      return this.matches(value);
    }
    const verdict = this.regex.match(value, work, from);
    return verdict instanceof PausedMatch || this.op === '=~' ? verdict : !verdict;
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
