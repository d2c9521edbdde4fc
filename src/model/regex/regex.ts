import { RE2JS } from 're2js';
import { inOneGo } from '../../lib/in-one-go.ts';
import { Automaton, PausedMatch, type Work } from './automaton.ts';
import { factoredProgram } from './factored.ts';
import { Plan, type PlanData, planOf } from './plan.ts';
import { programOf } from './program.ts';
import { plainAlternatives, shapesOf } from './shape.ts';

/** A compiled regular expression of a matcher, anchored at both ends as in Prometheus. Linear time in the value's length. */
export class Regex {
  /** Empty where only the plan came from another thread. */
  readonly source: string;
  readonly #plan: Plan;
  readonly #automaton: Automaton | undefined;

  private constructor(source: string, plan: Plan, automaton: Automaton | undefined) {
    this.source = source;
    this.#plan = plan;
    this.#automaton = automaton;
  }

  static of(source: string, data: PlanData, literals?: readonly string[]): Regex {
    const { program } = data;
    return new Regex(source, Plan.from(data, literals), program === undefined ? undefined : new Automaton(program));
  }

  /** The only strings that match, where they are known. */
  get literals(): readonly string[] | undefined {
    return this.#plan.literals;
  }

  /** As it travels to another thread. */
  get plan(): PlanData {
    return this.#plan.data;
  }

  /** Instructions that each character may cost; 0 where it needs none. */
  get programSize(): number {
    const { program } = this.plan;
    return program?.cost ?? program?.ops.length ?? 0;
  }

  matches(value: string): boolean {
    return this.match(value, { steps: Number.POSITIVE_INFINITY }) === true;
  }

  /** As `matches`, but no more than `work` allows: a paused match is to be gone on with. */
  match(value: string, work: Work, from?: PausedMatch): boolean | PausedMatch {
    if (from === undefined) {
      work.steps -= 1 + (value.length >> 2);
      if (!this.#plan.fits(value)) return false;
    }
    return this.#automaton === undefined || this.#automaton.match(value, work, from);
  }
}

export { PausedMatch, type Work };

/** A mistake of the pattern's author. The text is that of Go's regexp/syntax. */
export class RegexSyntaxError extends Error {}

/** The pattern, or what it would have to do, is over one of our own limits, which the text names. */
export class RegexTooLargeError extends RegexSyntaxError {}

/** A longer pattern is refused; one that needs an engine, already when it is longer than `engineLengthMax`. */
export const patternLengthMax = 1 << 24;
export const engineLengthMax = 1 << 16;

/** Instructions of a program; what a value's every character may cost at worst. */
export const programSizeMax = 20_000;

/** Programs in which alternatives share what is equal: they may be longer, but cost no more. */
const FACTORED = { programLengthMax: 1 << 19, costMax: programSizeMax };

/** Patterns that are longer are not kept. */
export const keptLengthMax = 4096;
const keptMax = 1000;
/** Instructions of those that are kept, together: an automaton may come to hold half a megabyte, and 20 bytes for each of them. */
const keptInstructionsMax = 200_000;
const keptProgramsMax = 100;

/** Compiled patterns by their text, the least recently used ones first. */
export class KeptRegexes {
  readonly #plain = new Map<string, Regex>();
  readonly #programs = new Map<string, Regex>();
  #instructions = 0;

  of(source: string, make: () => Regex): Regex {
    const known = this.#plain.get(source) ?? this.#programs.get(source);
    const regex = known ?? make();
    if (source.length > keptLengthMax) return regex;
    const kept = regex.programSize > 0 ? this.#programs : this.#plain;
    kept.delete(source);
    kept.set(source, regex);
    if (known === undefined) this.#instructions += regex.programSize;
    if (this.#plain.size > keptMax) this.#plain.delete(this.#plain.keys().next().value!);
    while (this.#programs.size > keptProgramsMax || this.#instructions > keptInstructionsMax) {
      const [oldest, { programSize }] = this.#programs.entries().next().value!;
      this.#programs.delete(oldest);
      this.#instructions -= programSize;
    }
    return regex;
  }
}

const kept = new KeptRegexes();

/** @throws RegexSyntaxError */
export function compileRegex(source: string): Regex {
  return kept.of(source, () => inOneGo(compiling(source)));
}

/** As `compileRegex`, but keeps nothing, and yields now and then where the pattern is long. @throws RegexSyntaxError */
export function* compiling(source: string): Generator<undefined, Regex> {
  if (source.length > patternLengthMax) throw patternTooLong('expression', source.length, patternLengthMax);
  const plain = plainAlternatives(source);
  yield;
  const shapes = plain === undefined ? yield* shapesOf(source) : [[{ kind: 'set', texts: plain } as const]];
  yield;
  const planned = shapes === undefined ? undefined : yield* planOf(shapes);
  if (planned?.exact === true) return Regex.of(source, planned.data, planned.literals);
  const factored = isLarge(source) ? yield* factoredProgram(source, FACTORED) : undefined;
  const program = factored ?? programOf(compileEngine(source));
  return Regex.of(source, { general: [], ...planned?.data, program });
}

/** Whether a pattern is too large for the engine. */
function isLarge(source: string): boolean {
  return source.length > engineLengthMax || expandedSize(source) > programSizeMax;
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

/** Patterns too long, or too large when expanded, are refused before the engine is asked to compile them. @throws RegexTooLargeError */
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

/** A class of Unicode takes as long to compile as so many instructions. */
const UNICODE_CLASS_SIZE = 20;

/**
 * About how many instructions the pattern has once `{n,m}` is written out, before it is: what is small to write may be
 * large to compile, as `((a{100}){100}){100}`.
 */
export function expandedSize(source: string): number {
  const outer: number[] = [];
  let size = 0;
  /** The size of the part that a repetition would repeat. */
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
        // hundreds of ranges
        if (source[i] === 'p' || source[i] === 'P') {
          atom = UNICODE_CLASS_SIZE;
          size += UNICODE_CLASS_SIZE;
          continue;
        }
    }
    atom = 1;
    size++;
  }
  return size;
}
