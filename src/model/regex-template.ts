import { RE2JS } from 're2js';
import { RegexSyntaxError } from './regex.ts';

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
    try {
      return new CapturingRegex(source, RE2JS.compile(`^(?s:${source})$`));
    } catch (cause) {
      throw new RegexSyntaxError(cause instanceof Error ? cause.message : String(cause), { cause });
    }
  }

  matches(value: string): boolean {
    return this.#engine.testExact(value);
  }

  /** Every template with the groups of `value` in place, or undefined where it does not match. */
  expand(value: string, templates: readonly RegexTemplate[]): string[] | undefined {
    const matcher = this.#engine.matcher(value);
    if (!matcher.find()) return undefined;
    const names = this.#engine.namedGroups();
    const groups = matcher.groupCount();
    return templates.map((parts) =>
      parts
        .map((part) => {
          if (typeof part === 'string') return part;
          const group = /^\d+$/.test(part.group) ? Number(part.group) : names[part.group];
          return group === undefined || group > groups ? '' : (matcher.group(group) ?? '');
        })
        .join(''),
    );
  }
}

/** Texts and groups, by number or name. */
export type RegexTemplate = readonly (string | { readonly group: string })[];

/** As Go's `regexp.Expand`: `$1`, `${1}`, `$name`, `$$`; a `$` that begins none of them stays. */
export function parseTemplate(template: string): RegexTemplate {
  const parts: (string | { readonly group: string })[] = [];
  let at = 0;
  for (const match of template.matchAll(/\$(?:\$|\{([\p{L}\p{Nd}_]+)\}|([\p{L}\p{Nd}_]+))/gu)) {
    parts.push(template.slice(at, match.index));
    const group = match[1] ?? match[2];
    parts.push(group === undefined ? '$' : { group });
    at = match.index + match[0].length;
  }
  parts.push(template.slice(at));
  return parts;
}
