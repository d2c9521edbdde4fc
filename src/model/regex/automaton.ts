import {
  ALT,
  BEGIN_LINE,
  BEGIN_TEXT,
  EMPTY_WIDTH,
  END_LINE,
  END_TEXT,
  MATCH,
  NO_WORD_BOUNDARY,
  NOP,
  type RegexProgram,
  RUNE,
  WORD_BOUNDARY,
} from './program.ts';

/** Work that may still be done before others have their turn. */
export interface Work {
  steps: number;
}

/** Where a match stopped because its steps were used up. */
export class PausedMatch {
  readonly state: unknown;
  readonly at: number;

  constructor(state: unknown, at: number) {
    this.state = state;
    this.at = at;
  }
}

/** The instructions that a match may be at, and what it has come by; with what was found out about it. */
interface State {
  /** Entry points: what follows without a character is found when the next one is known. */
  readonly pcs: Int32Array;
  readonly before: number;
  /** By character, below 128. */
  next: (State | undefined)[];
  others: Map<number, State> | undefined;
  matchesAtEnd: boolean | undefined;
}

// The character before.
const NOTHING = 0;
const LINE_END = 1;
const WORD = 2;
const OTHER = 3;

const ASCII = 128;

// Memory of an automaton beside its program: states beyond are found anew.
const STATES_MAX = 512;
const STATE_PCS_MAX = 1 << 16;

const CONTEXT = BEGIN_LINE | END_LINE | WORD_BOUNDARY | NO_WORD_BOUNDARY;

/**
 * Matches whole values: all ways through a program at once (Thompson), with the sets of instructions that came up remembered as states.
 * Time is linear in the value's length for as long as they repeat, and for each character at most a step for each instruction.
 * Any number of matches may be under way, paused.
 */
export class Automaton {
  readonly #program: RegexProgram;
  readonly #usesContext: boolean;
  readonly #visited: Uint32Array;
  readonly #entered: Uint32Array;
  readonly #stack: Int32Array;
  readonly #found: Int32Array;
  #round = 0;
  readonly #states = new Map<number, State[]>();
  #stateCount = 0;
  #statePcs = 0;
  #start: State;

  constructor(program: RegexProgram) {
    this.#program = program;
    const count = program.ops.length;
    this.#visited = new Uint32Array(count);
    this.#entered = new Uint32Array(count);
    this.#stack = new Int32Array(2 * count + 2);
    this.#found = new Int32Array(count);
    this.#usesContext = program.ops.some((op, pc) => op === EMPTY_WIDTH && (program.args[pc]! & CONTEXT) !== 0);
    this.#start = newState(Int32Array.of(program.start), NOTHING);
  }

  /** Whether all of `value` matches; a paused match, to go on with, where `work` is used up before that is known. */
  match(value: string, work: Work, from?: PausedMatch): boolean | PausedMatch {
    let state = (from?.state as State | undefined) ?? this.#start;
    let at = from?.at ?? 0;
    const { length } = value;
    while (at < length) {
      if (work.steps <= 0) return new PausedMatch(state, at);
      const unit = value.charCodeAt(at++);
      let rune = unit;
      if (unit >= 0xd800 && unit < 0xdc00 && at < length) {
        const low = value.charCodeAt(at);
        if (low >= 0xdc00 && low < 0xe000) {
          rune = ((unit - 0xd800) << 10) + (low - 0xdc00) + 0x10000;
          at++;
        }
      }
      const next = rune < ASCII ? state.next[rune] : state.others?.get(rune);
      state = next ?? this.#step(state, rune, work);
      work.steps--;
      if (state.pcs.length === 0) return false;
    }
    state.matchesAtEnd ??= this.#matchesAtEnd(state, work);
    return state.matchesAtEnd;
  }

  #step(state: State, rune: number, work: Work): State {
    const { ops, outs, args } = this.#program;
    const found = this.#found;
    const entered = this.#entered;
    const round = this.#nextRound();
    let count = 0;
    let hash = 17;
    work.steps -= this.#follow(state, rune, (pc) => {
      if (ops[pc] !== RUNE || !this.#takes(args[pc]!, rune)) return;
      const out = outs[pc]!;
      if (entered[out] === round) return;
      entered[out] = round;
      found[count++] = out;
      hash = (Math.imul(hash, 31) + out) | 0;
    });
    const before = this.#usesContext ? kindOf(rune) : OTHER;
    const next = this.#stateOf(found.subarray(0, count), before, (hash << 2) ^ before, state);
    if (rune < ASCII) state.next[rune] = next;
    else {
      state.others ??= new Map();
      if (state.others.size < STATES_MAX) state.others.set(rune, next);
    }
    return next;
  }

  #matchesAtEnd(state: State, work: Work): boolean {
    const { ops } = this.#program;
    let matches = false;
    this.#nextRound();
    work.steps -= this.#follow(state, -1, (pc) => {
      if (ops[pc] === MATCH) matches = true;
    });
    return matches;
  }

  /** Visits all instructions that `state` leads to before the character `next` (−1: the end). Returns how many. */
  #follow(state: State, next: number, visit: (pc: number) => void): number {
    const { ops, outs, args } = this.#program;
    const holds = contextOf(state.before, next);
    const visited = this.#visited;
    const stack = this.#stack;
    const round = this.#round;
    let steps = 0;
    for (const entry of state.pcs) {
      let depth = 0;
      stack[depth++] = entry;
      while (depth > 0) {
        const pc = stack[--depth]!;
        if (visited[pc] === round) continue;
        visited[pc] = round;
        steps++;
        const op = ops[pc]!;
        if (op === ALT) {
          stack[depth++] = args[pc]!;
          stack[depth++] = outs[pc]!;
        } else if (op === NOP) stack[depth++] = outs[pc]!;
        else if (op === EMPTY_WIDTH) {
          if ((args[pc]! & ~holds) === 0) stack[depth++] = outs[pc]!;
        } else visit(pc);
      }
    }
    return steps;
  }

  #takes(number: number, rune: number): boolean {
    const { classes, ranges } = this.#program;
    let low = classes[number]! >> 1;
    let high = classes[number + 1]! >> 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ranges[2 * middle + 1]! < rune) low = middle + 1;
      else high = middle;
    }
    return 2 * low < classes[number + 1]! && ranges[2 * low]! <= rune;
  }

  #stateOf(pcs: Int32Array, before: number, hash: number, current: State): State {
    const alike = this.#states.get(hash);
    const known = alike?.find((state) => state.before === before && isEqual(state.pcs, pcs));
    if (known !== undefined) return known;
    if (this.#stateCount >= STATES_MAX || this.#statePcs + pcs.length > STATE_PCS_MAX) this.#forget(current);
    const state = newState(pcs.slice(), before);
    this.#stateCount++;
    this.#statePcs += pcs.length;
    const list = this.#states.get(hash);
    if (list === undefined) this.#states.set(hash, [state]);
    else list.push(state);
    return state;
  }

  #forget(current: State): void {
    this.#states.clear();
    this.#stateCount = 0;
    this.#statePcs = 0;
    this.#start = newState(this.#start.pcs, NOTHING);
    current.next = [];
    current.others = undefined;
  }

  #nextRound(): number {
    if (++this.#round === 0xffff_ffff) {
      this.#visited.fill(0);
      this.#entered.fill(0);
      this.#round = 1;
    }
    return this.#round;
  }
}

function newState(pcs: Int32Array, before: number): State {
  return { pcs, before, next: [], others: undefined, matchesAtEnd: undefined };
}

function isEqual(a: Int32Array, b: Int32Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Which conditions hold between two characters. */
function contextOf(before: number, next: number): number {
  let holds = 0;
  if (before === NOTHING) holds |= BEGIN_TEXT | BEGIN_LINE;
  else if (before === LINE_END) holds |= BEGIN_LINE;
  if (next < 0) holds |= END_TEXT | END_LINE;
  else if (next === 10) holds |= END_LINE;
  return holds | ((before === WORD) === (next >= 0 && isWord(next)) ? NO_WORD_BOUNDARY : WORD_BOUNDARY);
}

function kindOf(rune: number): number {
  if (rune === 10) return LINE_END;
  return isWord(rune) ? WORD : OTHER;
}

function isWord(rune: number): boolean {
  return (rune >= 97 && rune <= 122) || (rune >= 65 && rune <= 90) || (rune >= 48 && rune <= 57) || rune === 95;
}
