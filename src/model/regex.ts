import { RE2JS } from 're2js';
import { fits, type Part, plainAlternatives, shapesOf } from './regex-shape.ts';

/** A compiled regular expression of a matcher, anchored at both ends as in Prometheus. Linear time in the value's length. */
export interface Regex {
  readonly source: string;
  /** The only strings that match, where they are few and known. */
  readonly literals: readonly string[] | undefined;
  matches(value: string): boolean;
}

/** What the pattern's author did wrong. The text is that of Go's regexp/syntax. */
export class RegexSyntaxError extends Error {}

/** The pattern, or what it would have to do, is over one of our own limits, which the text names. */
export class RegexTooLargeError extends RegexSyntaxError {}

/** A longer pattern is refused; one that the engine has to run, already when it is longer than `engineLengthMax`. */
export const patternLengthMax = 1 << 20;
export const engineLengthMax = 1 << 16;

/** Instructions of the engine; what a value's every character may cost at worst. */
export const programSizeMax = 20_000;

/** Patterns that are longer are not kept. */
const cachedLengthMax = 4096;
/** An engine may come to hold 8 MB of states, so few are kept. */
const cachedEnginesMax = 100;
const cachedMax = 1000;

interface Compiled extends Regex {
  readonly hasEngine: boolean;
}

/** The least recently used ones first. */
const withoutEngine = new Map<string, Compiled>();
const withEngine = new Map<string, Compiled>();

/** @throws RegexSyntaxError */
export function compileRegex(source: string): Regex {
  const regex = withoutEngine.get(source) ?? withEngine.get(source) ?? compile(source);
  if (source.length > cachedLengthMax) return regex;
  const cache = regex.hasEngine ? withEngine : withoutEngine;
  cache.delete(source);
  cache.set(source, regex);
  if (cache.size > (regex.hasEngine ? cachedEnginesMax : cachedMax)) cache.delete(cache.keys().next().value!);
  return regex;
}

function compile(source: string): Compiled {
  if (source.length > patternLengthMax) throw patternTooLong('expression', source.length, patternLengthMax);
  const plain = plainAlternatives(source);
  if (plain !== undefined) return { source, literals: plain, matches: isOneOf(plain), hasEngine: false };
  // also where another way of matching is found: whether the pattern is right, only the engine knows
  const engine = compileEngine(source);
  const shapes = shapesOf(source) ?? [];
  const only = shapes.length === 1 && shapes[0]!.length === 1 ? shapes[0]![0] : undefined;
  if (only?.kind === 'set') return { source, literals: only.texts, matches: isOneOf(only.texts), hasEngine: false };
  const hasEngine = shapes.length === 0 || shapes.some(isVague);
  return {
    source,
    literals: undefined,
    matches: hasEngine ? fitsAndMatches(shapes, engine) : fitsOneOf(shapes),
    hasEngine,
  };
}

function fitsOneOf(shapes: readonly (readonly Part[])[]): (value: string) => boolean {
  return (value) => shapes.some((parts) => fits(parts, value));
}

/** Asks the engine only where a value may match. */
function fitsAndMatches(shapes: readonly (readonly Part[])[], engine: RE2JS): (value: string) => boolean {
  const saysNothing = (parts: readonly Part[]) => parts.every((part) => part.kind !== 'set');
  if (shapes.length === 0 || shapes.some(saysNothing)) return (value) => engine.testExact(value);
  return (value) => shapes.some((parts) => fits(parts, value)) && engine.testExact(value);
}

function isVague(parts: readonly Part[]): boolean {
  return parts.some((part) => part.kind === 'opaque');
}

function isOneOf(texts: readonly string[]): (value: string) => boolean {
  if (texts.length === 1) {
    const [only] = texts;
    return (value) => value === only;
  }
  const set = new Set(texts);
  return (value) => set.has(value);
}

/** `.` matches line ends, too. */
function compileEngine(source: string): RE2JS {
  checkPatternSize(source);
  const loneAt = source.search(/\p{Surrogate}/u);
  if (loneAt >= 0) throw new RegexSyntaxError(`error parsing regexp: invalid UTF-8: \`${source.slice(loneAt)}\``);
  let engine: RE2JS;
  try {
    engine = RE2JS.compile(source, RE2JS.DOTALL);
  } catch (thrown) {
    throw new RegexSyntaxError(syntaxErrorText(source, thrown), { cause: thrown });
  }
  checkProgramSize(engine.programSize());
  return engine;
}

/** What the engine is not asked to compile. @throws RegexTooLargeError */
export function checkPatternSize(source: string): void {
  if (source.length > engineLengthMax) throw patternTooLong('expression', source.length);
  checkProgramSize(expandedSize(source));
}

/** @throws RegexTooLargeError */
export function checkProgramSize(instructions: number): void {
  if (instructions <= programSizeMax) return;
  throw new RegexTooLargeError(
    `error parsing regexp: expression too large: about ${instructions} instructions, more than ${programSizeMax} (regex_program_size_max)`,
  );
}

export function patternTooLong(
  what: 'expression' | 'replacement',
  chars: number,
  limit = engineLengthMax,
): RegexTooLargeError {
  return new RegexTooLargeError(
    `error parsing regexp: ${what} too large: ${chars} characters, more than ${limit} (regex_length_max)`,
  );
}

/** The engine adds its flags to the pattern, which then stand in its error: so it is asked once more without. */
function syntaxErrorText(source: string, thrown: unknown): string {
  let error = thrown;
  try {
    RE2JS.compile(source);
  } catch (again) {
    error = again;
  }
  const text = error instanceof Error ? error.message : String(error);
  // Go shows the empty rest of the pattern here
  return text.endsWith('trailing backslash at end of expression') ? `${text}: \`\`` : text;
}

/**
 * About how many instructions the pattern has once `{n,m}` is written out, before it is: what is small to write may be
 * large to compile, as `((a{100}){100}){100}`.
 */
function expandedSize(source: string): number {
  const outer: number[] = [];
  let size = 0;
  /** Of what a repetition would repeat. */
  let atom = 0;
  for (let i = 0; i < source.length; i++) {
    switch (source[i]) {
      case '(':
        outer.push(size);
        size = 0;
        atom = 0;
        continue;
      case ')':
        atom = size + 1;
        size = (outer.pop() ?? 0) + atom;
        continue;
      case '{': {
        const [all, least, most] = /^\{(\d{1,5})(?:,(\d{0,5}))?\}/.exec(source.slice(i, i + 16)) ?? [];
        if (all === undefined) break;
        const times = Math.max(Number(least), Number(most || 0), 1);
        size += atom * (times - 1);
        atom *= times;
        i += all.length - 1;
        continue;
      }
      case '[':
        i = Math.max(i, source.indexOf(']', i + 1));
        break;
      case '\\':
        i++;
    }
    atom = 1;
    size++;
  }
  return size;
}
