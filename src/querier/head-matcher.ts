import type { HeadMatcher } from '../contract/ingester.ts';
import type { LabelMatcher } from '../model/matcher.ts';
import { keptLengthMax } from '../model/regex/regex.ts';

/** A matcher as it travels: the holders of recent data need not compile its regular expression again. */
export function headMatcher({ name, op, value, regex }: LabelMatcher): HeadMatcher {
  if (regex === undefined) return { name, op, value };
  return { name, op, value: value.length > keptLengthMax ? '' : value, plan: regex.plan };
}
