import { RE2JS } from 're2js';
import { inOneGo } from '../../lib/in-one-go.ts';
import { GroupEnds } from './group-ends.ts';
import {
  checkPatternSize,
  checkProgramSize,
  compileRegex,
  engineLengthMax,
  PausedMatch,
  patternTooLong,
  type Regex,
  RegexSyntaxError,
  RegexTooLargeError,
} from './regex.ts';

/** A pattern anchored at both ends whose groups fill templates. Linear time in the value's length. */
export class CapturingRegex {
  readonly source: string;
  readonly #engine: RE2JS | Regex;

  private constructor(source: string, engine: RE2JS | Regex) {
    this.source = source;
    this.#engine = engine;
  }

  /**
   * A pattern that is too large for an engine that knows groups is taken where none is asked for, or one that is all of the value.
   * @param templates to be filled with its groups
   * @throws RegexSyntaxError
   */
  static compile(source: string, templates: readonly RegexTemplate[]): CapturingRegex {
    try {
      checkPatternSize(source);
    } catch (thrown) {
      if (!(thrown instanceof RegexTooLargeError) || source.length > plainLengthMax) throw thrown;
      if (!asksForWhole(templates, isOneGroup(source))) throw thrown;
      return new CapturingRegex(source, compileRegex(source));
    }
    let engine: RE2JS;
    try {
      engine = RE2JS.compile(`^(?s:${source})$`);
    } catch (cause) {
      throw new RegexSyntaxError(cause instanceof Error ? cause.message : String(cause), { cause });
    }
    checkProgramSize(engine.programSize());
    return new CapturingRegex(source, engine);
  }

  /** @throws RegexTooLargeError where it could take too long */
  matches(value: string): boolean {
    const engine = this.#engine;
    if (!(engine instanceof RE2JS)) return this.#matchesPlain(engine, value);
    this.#checkSteps(engine, value);
    return engine.testExact(value);
  }

  /**
   * Every template with the groups of `value` in place, or undefined where it does not match.
   * @param fits told how many characters a template comes to before it is filled; may throw
   * @throws RegexTooLargeError where it could take too long
   */
  expand(
    value: string,
    templates: readonly RegexTemplate[],
    fits: (chars: number) => void = () => {},
  ): string[] | undefined {
    const engine = this.#engine;
    if (!(engine instanceof RE2JS)) {
      return this.#matchesPlain(engine, value) ? filled(templates, () => value, fits) : undefined;
    }
    this.#checkSteps(engine, value);
    const matcher = engine.matcher(value);
    if (!matcher.find()) return undefined;
    const names = engine.namedGroups();
    const groups = matcher.groupCount();
    const textOf = (name: string) => {
      const group = /^\d+$/.test(name) ? Number(name) : names[name];
      return group !== undefined && group <= groups ? (matcher.group(group) ?? '') : '';
    };
    return filled(templates, textOf, fits);
  }

  /** @throws RegexTooLargeError where it takes too long */
  #matchesPlain(regex: Regex, value: string): boolean {
    const verdict = regex.match(value, { steps: captureStepsMax });
    if (!(verdict instanceof PausedMatch)) return verdict;
    throw new RegexTooLargeError(
      `a regular expression takes more than ${captureStepsMax} steps over ${value.length} characters (regex_capture_steps_max)`,
    );
  }

  /** The engine looks at each instruction for each character, and with groups copies where they begin and end. */
  #checkSteps(engine: RE2JS, value: string): void {
    const steps = engine.programSize() * (value.length + 1);
    if (steps <= captureStepsMax) return;
    throw new RegexTooLargeError(
      `a regular expression of ${engine.programSize()} instructions takes up to ${steps} steps over ${value.length} characters, more than ${captureStepsMax} (regex_capture_steps_max)`,
    );
  }
}

/** Texts of templates with groups in place. */
function filled(
  templates: readonly RegexTemplate[],
  textOf: (group: string) => string,
  fits: (chars: number) => void,
): string[] {
  return templates.map((template) => {
    const parts = template.map((part) => (typeof part === 'string' ? part : textOf(part.group)));
    fits(parts.reduce((chars, { length }) => chars + length, 0));
    return parts.join('');
  });
}

/** Whether templates have no groups but the whole value. */
function asksForWhole(templates: readonly RegexTemplate[], isFirstWhole: boolean): boolean {
  return templates.every((template) =>
    template.every((part) => typeof part === 'string' || part.group === '0' || (part.group === '1' && isFirstWhole)),
  );
}

/** Whether the first group is all of the pattern: `(a|b)`. */
function isOneGroup(source: string): boolean {
  if (!/^\((?!\?)/.test(source)) return false;
  const groups = inOneGo(GroupEnds.reading(source, 100));
  return groups?.of(0).close === source.length - 1;
}

/** A longer pattern without groups is refused where it has to be compiled in one go. */
const plainLengthMax = 1 << 18;

/** Steps of one match with groups. */
export const captureStepsMax = 2_000_000;

/** Texts and groups, by number or name. */
export type RegexTemplate = readonly (string | { readonly group: string })[];

/**
 * As Go's `regexp.Expand`: `$1`, `${1}`, `$name`, `$$`; a `$` that begins none of them stays.
 * @throws RegexTooLargeError
 */
export function parseTemplate(template: string): RegexTemplate {
  if (template.length > engineLengthMax) throw patternTooLong('replacement', template.length);
  const parts: (string | { readonly group: string })[] = [];
  const add = (text: string) => {
    if (text !== '') parts.push(text);
  };
  let at = 0;
  for (const match of template.matchAll(/\$(?:\$|\{([\p{L}\p{Nd}_]+)\}|([\p{L}\p{Nd}_]+))/gu)) {
    add(template.slice(at, match.index));
    const group = match[1] ?? match[2];
    parts.push(group === undefined ? '$' : { group });
    at = match.index + match[0].length;
  }
  add(template.slice(at));
  return parts;
}
