import { RE2JS } from 're2js';
import {
  checkPatternSize,
  checkProgramSize,
  engineLengthMax,
  patternTooLong,
  RegexSyntaxError,
  RegexTooLargeError,
} from './regex.ts';

/** A pattern anchored at both ends whose groups fill templates. Linear time in the value's length. */
export class CapturingRegex {
  readonly source: string;
  readonly #engine: RE2JS;

  private constructor(source: string, engine: RE2JS) {
    this.source = source;
    this.#engine = engine;
  }

  /** @throws RegexSyntaxError */
  static compile(source: string): CapturingRegex {
    checkPatternSize(source);
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
    this.#checkSteps(value);
    return this.#engine.testExact(value);
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
    this.#checkSteps(value);
    const matcher = this.#engine.matcher(value);
    if (!matcher.find()) return undefined;
    const names = this.#engine.namedGroups();
    const groups = matcher.groupCount();
    return templates.map((template) => {
      let chars = 0;
      const parts = template.map((part) => {
        let text = '';
        if (typeof part === 'string') text = part;
        else {
          const group = /^\d+$/.test(part.group) ? Number(part.group) : names[part.group];
          if (group !== undefined && group <= groups) text = matcher.group(group) ?? '';
        }
        chars += text.length;
        return text;
      });
      fits(chars);
      return parts.join('');
    });
  }

  /** The engine looks at each instruction for each character, and with groups copies where they begin and end. */
  #checkSteps(value: string): void {
    const steps = this.#engine.programSize() * (value.length + 1);
    if (steps <= captureStepsMax) return;
    throw new RegexTooLargeError(
      `a regular expression of ${this.#engine.programSize()} instructions takes up to ${steps} steps over ${value.length} characters, more than ${captureStepsMax} (regex_capture_steps_max)`,
    );
  }
}

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
