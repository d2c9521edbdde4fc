import { quoteGo } from '../../model/labels.ts';
import { ConfigError } from '../fields/config-error.ts';
import { listOf, readFields, text, texts } from '../fields/field.ts';
import type { InhibitRule } from '../inhibition.ts';
import { isLabelName } from '../matcher-parser.ts';
import { matcherList, matchMap } from './matchers.ts';

const FIELDS = {
  name: text(),
  source_match: matchMap('='),
  source_match_re: matchMap('=~'),
  source_matchers: matcherList,
  target_match: matchMap('='),
  target_match_re: matchMap('=~'),
  target_matchers: matcherList,
  equal: texts,
};

export const inhibitRules = listOf<InhibitRule>((reading, node) => {
  const given = readFields(reading, node, 'common.plain', FIELDS, ({ equal }) => {
    const invalid = equal.find((name) => !isLabelName(name));
    if (invalid !== undefined) throw new ConfigError(`invalid label name ${quoteGo(invalid)} in equal list`);
  });
  return {
    name: given.name,
    sourceMatchers: [...given.source_match, ...given.source_match_re, ...given.source_matchers],
    targetMatchers: [...given.target_match, ...given.target_match_re, ...given.target_matchers],
    equal: [...new Set(given.equal)],
  };
}, 'common.InhibitRule');
