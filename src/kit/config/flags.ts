import { nearest } from './problem.ts';
import type { Setting } from './section.ts';

/** The command line, taken apart but not yet checked against fields. */
export interface FlagValues {
  /** Flag without dash → its texts in order. */
  readonly values: ReadonlyMap<string, readonly string[]>;
  /** Arguments that are no flags, where they are taken. */
  readonly words: readonly string[];
  readonly problems: readonly string[];
}

/**
 * Flags as Go's: one dash or two, `-flag=value` or `-flag value`, a boolean without a value is true. `--` ends them.
 * Anything that is not a flag is refused, unless `takesWords`.
 */
export function readFlags(args: readonly string[], settings: readonly Setting[], takesWords = false): FlagValues {
  const byFlag = new Map(settings.flatMap((setting) => (setting.flag === undefined ? [] : [[setting.flag, setting]])));
  const values = new Map<string, string[]>();
  const words: string[] = [];
  const problems: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === '--' && (takesWords || i === args.length - 1)) {
      words.push(...args.slice(i + 1));
      break;
    }
    const [, flag, value] = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(arg) ?? [];
    if (flag === undefined && takesWords && (arg === '-' || !arg.startsWith('-'))) {
      words.push(arg);
      continue;
    }
    if (flag === undefined) {
      problems.push(`unexpected argument ${JSON.stringify(arg)}: flags look like -target=all; --help lists them`);
      continue;
    }
    const setting = byFlag.get(flag);
    if (setting === undefined) {
      problems.push(`unknown flag -${flag}${nearest(flag, byFlag.keys())}; --help lists all flags`);
      // the word after it is most likely its value and would only be a second, misleading problem
      if (value === undefined && args[i + 1] !== undefined && !args[i + 1]!.startsWith('-')) i++;
      continue;
    }
    const text = value ?? (setting.field.boolean ? 'true' : args[++i]);
    if (text === undefined) {
      problems.push(`-${flag} needs a value`);
      continue;
    }
    const given = values.get(flag);
    if (given === undefined) values.set(flag, [text]);
    else if (setting.field.repeatable) given.push(text);
    else values.set(flag, [text]);
  }
  return { values, words, problems };
}
