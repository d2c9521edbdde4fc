import { quoteGo } from '../../model/labels.ts';
import { ConfigError } from '../fields/config-error.ts';
import type { Field } from '../fields/field.ts';
import { Matcher, MatcherError, type MatcherOp } from '../matcher.ts';
import { isClassicName, parseMatchers } from '../matcher-parser.ts';

/** `match` or `match_re`: a mapping of names to values. */
export function matchMap(op: MatcherOp): Field<readonly Matcher[]> {
  return {
    initial: [],
    read({ yaml }, node) {
      return [...yaml.stringMap(node)].map(([name, value]) => {
        const matcher = verdictOf(() => Matcher.of(name, op, value));
        if (!isClassicName(name)) throw new ConfigError(`invalid label name ${quoteGo(name)}`);
        return matcher;
      });
    },
  };
}

/** A list of texts, each with one matcher or several. */
export const matcherList: Field<readonly Matcher[]> = {
  initial: [],
  read: ({ yaml }, node) => yaml.strings(node).flatMap((line) => verdictOf(() => parseMatchers(line))),
};

function verdictOf<T>(parse: () => T): T {
  try {
    return parse();
  } catch (thrown) {
    throw thrown instanceof MatcherError ? new ConfigError(thrown.message) : thrown;
  }
}
