import { RE2JS } from 're2js';

/** A compiled regular expression of a matcher, anchored at both ends as in Prometheus. Linear time in the value's length. */
export interface Regex {
  readonly source: string;
  /** The only strings that match, where they are few and known. */
  readonly literals: readonly string[] | undefined;
  matches(value: string): boolean;
}

/** What the pattern's author did wrong. The text is that of Go's regexp/syntax. */
export class RegexSyntaxError extends Error {}

/** @throws RegexSyntaxError */
export function compileRegex(source: string): Regex {
  let pattern: RE2JS;
  try {
    pattern = RE2JS.compile(`^(?s:${source})$`);
  } catch (cause) {
    throw new RegexSyntaxError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
  return { source, literals: undefined, matches: (value) => pattern.testExact(value) };
}
