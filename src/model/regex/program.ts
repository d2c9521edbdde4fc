import type { RE2JS } from 're2js';

// A pattern compiled to instructions, taken over from the engine into columns: small, and able to go to another thread.

/** The kinds of instructions; the numbers are the engine's. */
export const ALT = 1;
export const EMPTY_WIDTH = 4;
export const MATCH = 6;
/** Takes one character of a class. */
export const RUNE = 8;
/** Goes on without a character: what the engine has as CAPTURE and NOP. */
export const NOP = 7;
export const FAIL = 5;

/** Conditions of an EMPTY_WIDTH instruction, added up. */
export const BEGIN_LINE = 1;
export const END_LINE = 2;
export const BEGIN_TEXT = 4;
export const END_TEXT = 8;
export const WORD_BOUNDARY = 16;
export const NO_WORD_BOUNDARY = 32;

export interface RegexProgram {
  readonly start: number;
  /** The kind of each instruction: ALT, RUNE, … */
  readonly ops: Uint8Array;
  /** The instruction that follows. */
  readonly outs: Int32Array;
  /** ALT: the other one that follows; EMPTY_WIDTH: its conditions; RUNE: its class. */
  readonly args: Int32Array;
  /** Class `c` has the pairs of `ranges` from `classes[c]` to `classes[c + 1]`, exclusive. */
  readonly classes: Int32Array;
  /** First and last character of each range, ascending. */
  readonly ranges: Int32Array;
  /** Instructions that one character may cost; absent: all. */
  readonly cost?: number;
}

const RUNE_MAX = 0x10ffff;
const NEWLINE = 10;

/** An instruction of a compiled pattern, as the engine keeps it. */
interface Inst {
  readonly op: number;
  readonly out: number;
  readonly arg: number;
  readonly runes: Int32Array;
  matchRune(rune: number): boolean;
}

interface Internals {
  readonly re2Input: {
    readonly prog: { readonly inst: readonly Inst[]; readonly start: number };
    /** Characters between two bounds are the same to every instruction. */
    readonly dfa: { readonly classBounds: Int32Array };
  };
}

const OPS = { ALT_MATCH: 2, CAPTURE: 3, RUNE1: 9, RUNE_ANY: 10, RUNE_ANY_NOT_NL: 11 } as const;
const FOLD_CASE = 1;

export function programOf(engine: RE2JS): RegexProgram {
  const { re2Input } = engine as unknown as Internals;
  const { inst, start } = re2Input.prog;
  const classes = new Classes();
  const program = {
    start,
    ops: new Uint8Array(inst.length),
    outs: new Int32Array(inst.length),
    args: new Int32Array(inst.length),
  };
  const folded = new Map<number, number>();
  for (const [pc, each] of inst.entries()) {
    const { op, runes } = each;
    program.outs[pc] = each.out;
    program.args[pc] = each.arg;
    program.ops[pc] = op;
    switch (op) {
      case ALT:
      case EMPTY_WIDTH:
      case FAIL:
      case MATCH:
      case NOP:
        break;
      case OPS.ALT_MATCH:
        program.ops[pc] = ALT;
        break;
      case OPS.CAPTURE:
        program.ops[pc] = NOP;
        break;
      case RUNE:
      case OPS.RUNE1:
      case OPS.RUNE_ANY:
      case OPS.RUNE_ANY_NOT_NL: {
        program.ops[pc] = RUNE;
        let number: number;
        if (op === OPS.RUNE_ANY) number = classes.of([0, RUNE_MAX]);
        else if (op === OPS.RUNE_ANY_NOT_NL) number = classes.of([0, NEWLINE - 1, NEWLINE + 1, RUNE_MAX]);
        else if (runes.length !== 1) number = classes.of(runes);
        else if ((each.arg & FOLD_CASE) === 0) number = classes.of([runes[0]!, runes[0]!]);
        else {
          const known = folded.get(runes[0]!);
          number = known ?? classes.of(foldedRanges(each, re2Input.dfa.classBounds));
          if (known === undefined) folded.set(runes[0]!, number);
        }
        program.args[pc] = number;
        break;
      }
      default:
        throw new Error(`bug: the engine has an instruction ${op}`);
    }
  }
  return { ...program, ...classes.columns() };
}

/** The characters that an instruction takes whatever their case. */
function foldedRanges(inst: Inst, bounds: Int32Array): number[] {
  const ranges: number[] = [];
  for (let i = 0; i < bounds.length; i++) {
    if (inst.matchRune(bounds[i]!)) ranges.push(bounds[i]!, (bounds[i + 1] ?? RUNE_MAX + 1) - 1);
  }
  return ranges;
}

/** Equal classes have the same number. */
export class Classes {
  readonly #numbers = new Map<string, number>();
  readonly #starts: number[] = [0];
  readonly #ranges: number[] = [];

  of(ranges: ArrayLike<number>): number {
    const key = Array.prototype.join.call(ranges);
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#numbers.size;
      this.#numbers.set(key, number);
      for (let i = 0; i < ranges.length; i++) this.#ranges.push(ranges[i]!);
      this.#starts.push(this.#ranges.length);
    }
    return number;
  }

  isSingle(number: number): boolean {
    const from = this.#starts[number]!;
    return this.rangesOf(number) === 1 && this.#ranges[from] === this.#ranges[from + 1];
  }

  rangesOf(number: number): number {
    return (this.#starts[number + 1]! - this.#starts[number]!) / 2;
  }

  columns(): Pick<RegexProgram, 'classes' | 'ranges'> {
    return { classes: Int32Array.from(this.#starts), ranges: Int32Array.from(this.#ranges) };
  }
}
