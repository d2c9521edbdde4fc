import type { RegexProgram } from './program.ts';
import { fits, type Part } from './shape.ts';
import { TextTable, type TextTableData } from './text-table.ts';

/** How values are matched, as it travels between threads: tables of texts first, shapes after that, a program where neither decides. */
export interface PlanData {
  /** Texts that match as they are. */
  readonly exact?: TextTableData;
  /** Texts before anything. */
  readonly prefixes?: TextTableData;
  /** Texts behind anything. */
  readonly suffixes?: TextTableData;
  /** Alternatives of other shapes. */
  readonly general: readonly (readonly Part[])[];
  /** Decides about what fits. */
  readonly program?: RegexProgram;
}

/** Alternatives, and texts in them, that are looked at one after another; with more an engine is quicker. */
const GENERAL_MAX = 256;
const GENERAL_TEXTS_MAX = 1024;

export class Plan {
  readonly data: PlanData;
  readonly literals: readonly string[] | undefined;
  readonly #exact: TextTable | undefined;
  readonly #prefixes: TextTable | undefined;
  readonly #suffixes: TextTable | undefined;
  /** Nothing can be said before the program has looked. */
  readonly #open: boolean;

  private constructor(data: PlanData, literals: readonly string[] | undefined) {
    this.data = data;
    this.literals = literals;
    this.#exact = data.exact && TextTable.from(data.exact);
    this.#prefixes = data.prefixes && TextTable.from(data.prefixes);
    this.#suffixes = data.suffixes && TextTable.from(data.suffixes);
    const tables = this.#exact ?? this.#prefixes ?? this.#suffixes;
    this.#open = data.program !== undefined && tables === undefined && data.general.length === 0;
  }

  static from(data: PlanData, literals?: readonly string[]): Plan {
    return new Plan(data, literals);
  }

  /** Whether `value` matches, or with a program, may. */
  fits(value: string): boolean {
    return (
      this.#open ||
      this.#exact?.has(value) === true ||
      this.#prefixes?.touches(value) === true ||
      this.#suffixes?.touches(value) === true ||
      this.data.general.some((parts) => fits(parts, value))
    );
  }
}

export interface Planned {
  readonly data: PlanData;
  /** Set where nothing else matches. */
  readonly literals: readonly string[] | undefined;
  /** No program is needed. */
  readonly exact: boolean;
}

/**
 * A plan for these alternatives; undefined where they say nothing, or are too many to be looked at one by one. Yields now and then.
 */
export function* planOf(shapes: readonly (readonly Part[])[]): Generator<undefined, Planned | undefined> {
  const exact: string[] = [];
  const prefixes: string[] = [];
  const suffixes: string[] = [];
  const general: (readonly Part[])[] = [];
  let texts = 0;
  for (const parts of shapes) {
    const [first, second] = parts;
    const into = parts.length > 2 ? undefined : tableFor(first!, second, exact, prefixes, suffixes);
    if (into !== undefined) {
      const set = first!.kind === 'set' ? first : second;
      if (set?.kind === 'set') for (const text of set.texts) into.push(text);
      continue;
    }
    if (!parts.some((part) => part.kind === 'set') && parts.some((part) => part.kind === 'opaque')) return undefined;
    general.push(parts);
    for (const part of parts) texts += part.kind === 'set' ? part.texts.length : 0;
    if (general.length > GENERAL_MAX || texts > GENERAL_TEXTS_MAX) return undefined;
  }
  const isVague = general.some((parts) => parts.some((part) => part.kind === 'opaque'));
  yield;
  const found = exact.length > 0 ? yield* TextTable.making(exact) : undefined;
  const before = prefixes.length > 0 ? yield* TextTable.making(prefixes) : undefined;
  const behind = suffixes.length > 0 ? yield* TextTable.making(suffixes, true) : undefined;
  return {
    data: {
      ...(found === undefined ? {} : { exact: found.table.data }),
      ...(before === undefined ? {} : { prefixes: before.table.data }),
      ...(behind === undefined ? {} : { suffixes: behind.table.data }),
      general,
    },
    literals: prefixes.length + suffixes.length + general.length === 0 ? found?.unique : undefined,
    exact: !isVague,
  };
}

/** The list that the texts of an alternative belong to, if it is one of the common shapes. */
function tableFor<List>(first: Part, second: Part | undefined, exact: List, prefixes: List, suffixes: List) {
  if (second === undefined) return first.kind === 'set' ? exact : undefined;
  if (first.kind === 'set' && isAnything(second)) return prefixes;
  return isAnything(first) && second.kind === 'set' ? suffixes : undefined;
}

function isAnything(part: Part): boolean {
  return part.kind === 'gap' && part.charsMin === 0;
}
