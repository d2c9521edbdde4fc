import { RE2JS } from 're2js';
import { classEnd, GroupEnds } from './group-ends.ts';
import { Instructions, ProgramFull } from './instructions.ts';
import {
  ALT,
  BEGIN_LINE,
  BEGIN_TEXT,
  Classes,
  EMPTY_WIDTH,
  END_LINE,
  END_TEXT,
  MATCH,
  NO_WORD_BOUNDARY,
  programOf,
  type RegexProgram,
  RUNE,
  WORD_BOUNDARY,
} from './program.ts';
import { ROOT, SymbolTrie, TrieFull } from './symbol-trie.ts';

// Programs of patterns with very many alternatives: those that begin alike share their beginning, as a trie, and those that end alike their
// end, so that the program is small, and a character costs what the alternatives differ in. Reads most of the syntax; characters and
// classes are the engine's, one by one.

/** Symbols of the trie: kind in the lowest bits, above it a class of characters, a condition, or the root of a group. */
const KIND_BITS = 3;
const KIND_MASK = (1 << KIND_BITS) - 1;
const ONCE = 0;
const STAR = 1;
const OPTIONAL = 2;
const CONDITION = 3;
const GROUP = 4;
const GROUP_OPTIONAL = 5;
const GROUP_STAR = 6;

export interface FactoredLimits {
  /** Instructions of the program. */
  readonly programLengthMax: number;
  /** Instructions that one character may cost. */
  readonly costMax: number;
}

/** The program of a pattern; undefined where it is not understood, or too large. Yields now and then. */
export function* factoredProgram(
  source: string,
  limits: FactoredLimits,
): Generator<undefined, RegexProgram | undefined> {
  if (!source.isWellFormed()) return undefined;
  try {
    const groups = yield* GroupEnds.reading(source, DEPTH_MAX);
    if (groups === undefined) return undefined;
    const reader = new FactoredReader(source, groups);
    yield* reader.read();
    return yield* emitted(reader, limits);
  } catch (thrown) {
    if (thrown instanceof NotUnderstood || thrown instanceof TrieFull || thrown instanceof ProgramFull)
      return undefined;
    throw thrown;
  }
}

class NotUnderstood extends Error {}

const DEPTH_MAX = 100;
const REPEAT_MAX = 1000;
/** Parts that are read, and nodes that are turned to instructions, without a turn for others. */
const PARTS_BETWEEN = 1 << 13;
const NODES_BETWEEN = 1 << 14;

/** Nodes for each character of a pattern: more come of repetitions only, and of groups that are read again. */
const NODES_PER_CHAR = 2;
const NODES_SPARE = 1000;
const NODES_MAX = 1 << 22;

/** Ways in which an alternative may go on at once while it is read; groups with more become a part of their own. */
const WAYS_MAX = 16;

/** Ranges of a class that cost as much as an instruction. */
const RANGES_PER_COST = 16;

/** Distinct classes of characters of a pattern: each is compiled by the engine. */
const CLASSES_MAX = 4096;

interface Flags {
  readonly fold: boolean;
  readonly lines: boolean;
  readonly dotAll: boolean;
}

/** The places in the trie that an alternative has come to. */
type Places = readonly number[];

class FactoredReader {
  readonly classes = new Classes();
  readonly #source: string;
  readonly #groups: GroupEnds;
  readonly trie: SymbolTrie;
  /** Classes that are a letter in all its cases. */
  readonly #letters = new Set<number>();
  /** Whether letters stand for all their cases in some places, and in others not. */
  #isMixed = false;
  #hasExact = false;
  /** Classes of single characters. */
  readonly #plain = new Map<number, number>();
  readonly #folded = new Map<number, number>();
  /** Classes by their text and flags. */
  readonly #known = new Map<string, number>();
  readonly #names = new Map<string, number>();
  #flags: Flags = { fold: false, lines: false, dotAll: true };
  #pos = 0;
  /** Read so far. */
  #parts = 0;

  constructor(source: string, groups: GroupEnds) {
    this.#source = source;
    this.#groups = groups;
    this.trie = new SymbolTrie(Math.min(NODES_MAX, NODES_SPARE + NODES_PER_CHAR * source.length));
  }

  *read(): Generator<undefined, void> {
    const root = this.trie.root();
    yield* this.#alternation([root], root);
    if (this.#pos < this.#source.length) throw new NotUnderstood();
  }

  /** The price of a match that may be at a class while it is at others: nothing for one character, or one letter in its cases. */
  readonly classCost = (number: number): number => {
    if (this.classes.isSingle(number)) return 0;
    if (this.#letters.has(number) && !this.#isMixed) return 0;
    return 1 + Math.floor(this.classes.rangesOf(number) / RANGES_PER_COST);
  };

  /**
   * Alternatives up to the end of their group. @param end of the alternation: its alternatives end there; undefined: they go on
   * @returns where they have come to, if they go on
   */
  *#alternation(from: Places, end: number | undefined): Generator<undefined, Places> {
    const places = new Set<number>();
    for (;;) {
      const reached = yield* this.#concatenation(from, end);
      for (const place of reached) {
        if (end === undefined) places.add(place);
        else this.trie.ends[place] = end;
      }
      if (this.#source[this.#pos] !== '|') break;
      this.#pos++;
    }
    return [...places];
  }

  /** @returns nothing where it has ended its alternatives itself */
  *#concatenation(from: Places, end: number | undefined): Generator<undefined, Places> {
    const source = this.#source;
    let places = from;
    while (this.#pos < source.length) {
      if (++this.#parts % PARTS_BETWEEN === 0) yield;
      const char = source[this.#pos]!;
      if (char === '|' || char === ')') break;
      if (char === '\\' && source[this.#pos + 1] === 'Q') {
        places = this.#quoted(places);
        continue;
      }
      if (char !== '(') {
        places = this.#single(places);
        continue;
      }
      if (this.#setFlags()) continue;
      const { close, ways } = this.#groups.of(this.#pos);
      const after = source[close + 1];
      if (end !== undefined && (after === undefined || after === '|' || after === ')')) {
        // the last part of an alternative: its own alternatives are alternatives of the whole
        const start = this.#pos;
        for (const place of places) yield* this.#inner(start, [place], end);
        return [];
      }
      places = yield* this.#group(places, close, ways);
    }
    return places;
  }

  /** A group with what repeats it. */
  *#group(from: Places, close: number, ways: number): Generator<undefined, Places> {
    const start = this.#pos;
    this.#pos = close + 1;
    const [min, max] = this.#repetition();
    const after = this.#pos;
    let places = from;
    const isShort = max <= 1 && (ways + (1 - min)) * from.length <= WAYS_MAX;
    for (let i = 0; i < min; i++) places = yield* this.#copy(places, start, isShort, ONCE);
    if (max === Number.POSITIVE_INFINITY) places = yield* this.#copy(places, start, false, STAR);
    else for (let i = min; i < max; i++) places = yield* this.#copy(places, start, isShort, OPTIONAL);
    this.#pos = after;
    return places;
  }

  /** The group that begins at `start`, read once more. */
  *#copy(from: Places, start: number, isShort: boolean, kind: number): Generator<undefined, Places> {
    if (isShort) {
      const reached = yield* this.#inner(start, from, undefined);
      return kind === OPTIONAL ? [...new Set([...from, ...reached])] : reached;
    }
    const places: number[] = [];
    for (const place of from) {
      const root = this.trie.root();
      yield* this.#inner(start, [root], root);
      places.push(this.trie.child(place, symbolOf(groupKind(kind), root)));
    }
    return places;
  }

  /** The inside of a group that begins at `start`. Flags that are set in it end with it. */
  *#inner(start: number, from: Places, end: number | undefined): Generator<undefined, Places> {
    const flags = this.#flags;
    this.#pos = start;
    this.#open();
    const reached = yield* this.#alternation(from, end);
    this.#pos++;
    this.#flags = flags;
    return reached;
  }

  /** `\Q…\E` */
  #quoted(from: Places): Places {
    const source = this.#source;
    const found = source.indexOf('\\E', this.#pos);
    const end = found < 0 ? source.length : found;
    let places = from;
    for (const char of source.slice(this.#pos + 2, end)) {
      places = this.#all(places, symbolOf(ONCE, this.#character(char.codePointAt(0)!)));
    }
    this.#pos = found < 0 ? end : end + 2;
    if (this.#isRepeated()) throw new NotUnderstood();
    return places;
  }

  /** A character, class or condition, with what repeats it. */
  #single(from: Places): Places {
    const condition = this.#condition();
    if (condition !== undefined) {
      if (this.#isRepeated()) throw new NotUnderstood();
      return this.#all(from, symbolOf(CONDITION, condition));
    }
    const number = this.#class();
    let places = from;
    if (!this.#isRepeated()) return this.#all(places, symbolOf(ONCE, number));
    const [min, max] = this.#repetition();
    for (let i = 0; i < min; i++) places = this.#all(places, symbolOf(ONCE, number));
    if (max === Number.POSITIVE_INFINITY) return this.#all(places, symbolOf(STAR, number));
    for (let i = min; i < max; i++) places = this.#all(places, symbolOf(OPTIONAL, number));
    return places;
  }

  #all(places: Places, symbol: number): Places {
    if (places.length === 1) return [this.trie.child(places[0]!, symbol)];
    return places.map((place) => this.trie.child(place, symbol));
  }

  /** `^ $ \b \B \A \z` */
  #condition(): number | undefined {
    const { lines } = this.#flags;
    switch (this.#source[this.#pos]) {
      case '^':
        this.#pos++;
        return lines ? BEGIN_LINE : BEGIN_TEXT;
      case '$':
        this.#pos++;
        return lines ? END_LINE : END_TEXT;
      case '\\': {
        const condition = CONDITIONS[this.#source[this.#pos + 1]!];
        if (condition !== undefined) this.#pos += 2;
        return condition;
      }
      default:
        return undefined;
    }
  }

  /** The class of the next character or class of characters. */
  #class(): number {
    const source = this.#source;
    const start = this.#pos;
    const code = source.codePointAt(start)!;
    const char = source[start]!;
    if (!META.test(char)) {
      this.#pos += code > 0xffff ? 2 : 1;
      return this.#character(code);
    }
    switch (char) {
      case '.':
        this.#pos++;
        return this.#engineClass('.');
      case '[': {
        const end = classEnd(source, start);
        if (end < 0) throw new NotUnderstood();
        this.#pos = end + 1;
        return this.#engineClass(source.slice(start, end + 1));
      }
      case '\\':
        return this.#escape();
      // one that repeats nothing stands for itself
      case '{':
      case '}':
      case ']':
        if (char === '{' && REPEAT.test(source.slice(start, start + 12))) throw new NotUnderstood();
        this.#pos++;
        return this.#character(code);
      default:
        throw new NotUnderstood();
    }
  }

  #escape(): number {
    const source = this.#source;
    const start = this.#pos;
    const [all] = ESCAPE.exec(source.slice(start, start + 64)) ?? [];
    if (all === undefined) throw new NotUnderstood();
    this.#pos += all.length;
    if (all.length === 2 && !/[0-9A-Za-z]/.test(all[1]!)) return this.#character(all.charCodeAt(1));
    return this.#engineClass(all);
  }

  #character(code: number): number {
    const known = (this.#flags.fold ? this.#folded : this.#plain).get(code);
    if (known !== undefined) return known;
    const char = String.fromCodePoint(code);
    const isLetter = char.toLowerCase() !== char || char.toUpperCase() !== char;
    const isFolded = this.#flags.fold && isLetter;
    const number = isFolded ? this.#engineClass(char) : this.classes.of([code, code]);
    if (isFolded) this.#letters.add(number);
    else if (isLetter) this.#hasExact = true;
    this.#isMixed = this.#hasExact && this.#letters.size > 0;
    (this.#flags.fold ? this.#folded : this.#plain).set(code, number);
    return number;
  }

  /** One class or character, as the engine compiles it. @throws the engine's error */
  #engineClass(text: string): number {
    const { fold, dotAll } = this.#flags;
    const key = `${fold ? 'i' : ''}${dotAll ? 's' : ''}:${text}`;
    let number = this.#known.get(key);
    if (number === undefined) {
      if (this.#known.size >= CLASSES_MAX) throw new NotUnderstood();
      const flags = (fold ? RE2JS.CASE_INSENSITIVE : 0) | (dotAll ? RE2JS.DOTALL : 0);
      const { ops, args, classes, ranges } = programOf(RE2JS.compile(text, flags));
      const runes = [...ops.entries()].filter(([, op]) => op === RUNE);
      if (runes.length !== 1) throw new NotUnderstood();
      const own = args[runes[0]![0]]!;
      number = this.classes.of(ranges.subarray(classes[own]!, classes[own + 1]!));
      this.#known.set(key, number);
    }
    return number;
  }

  #isRepeated(): boolean {
    const char = this.#source[this.#pos];
    if (char === '*' || char === '+' || char === '?') return true;
    return char === '{' && REPEAT.test(this.#source.slice(this.#pos, this.#pos + 12));
  }

  /** How often the part before may come, at least and at most. */
  #repetition(): readonly [min: number, max: number] {
    if (!this.#isRepeated()) return [1, 1];
    const source = this.#source;
    const char = source[this.#pos]!;
    let bounds: readonly [number, number];
    if (char === '{') {
      const [all, least, comma, most] = REPEAT.exec(source.slice(this.#pos, this.#pos + 12))!;
      this.#pos += all.length;
      const min = Number(least);
      bounds = [min, comma === undefined ? min : most === '' ? Number.POSITIVE_INFINITY : Number(most)];
      if (bounds.some((bound) => bound > REPEAT_MAX && bound !== Number.POSITIVE_INFINITY)) throw new NotUnderstood();
      if (bounds[1] < min) throw new NotUnderstood();
    } else {
      this.#pos++;
      bounds = [char === '+' ? 1 : 0, char === '?' ? 1 : Number.POSITIVE_INFINITY];
    }
    // a lazy repetition matches the same values
    if (source[this.#pos] === '?') this.#pos++;
    if (this.#isRepeated()) throw new NotUnderstood();
    return bounds;
  }

  /** `(?i)`: flags for the rest of the group. */
  #setFlags(): boolean {
    const [all, on, off] = FLAGS.exec(this.#source.slice(this.#pos, this.#pos + 16)) ?? [];
    if (all === undefined || !all.endsWith(')')) return false;
    this.#pos += all.length;
    this.#change(on!, off);
    if (this.#isRepeated()) throw new NotUnderstood();
    return true;
  }

  /** The beginning of a group. */
  #open(): void {
    const source = this.#source;
    if (source[++this.#pos] !== '?') return;
    const [flags, on, off] = FLAGS.exec(source.slice(this.#pos - 1, this.#pos + 15)) ?? [];
    if (flags?.endsWith(':') === true) {
      this.#pos += flags.length - 1;
      this.#change(on!, off);
      return;
    }
    const [named, name] = NAMED.exec(source.slice(this.#pos, this.#pos + 256)) ?? [];
    if (named === undefined) throw new NotUnderstood();
    if ((this.#names.get(name!) ?? this.#pos) !== this.#pos) throw new NotUnderstood();
    this.#names.set(name!, this.#pos);
    this.#pos += named.length;
  }

  #change(on: string, off = ''): void {
    const is = (flag: string, before: boolean) => (off.includes(flag) ? false : on.includes(flag) || before);
    const { fold, lines, dotAll } = this.#flags;
    this.#flags = { fold: is('i', fold), lines: is('m', lines), dotAll: is('s', dotAll) };
  }
}

const META = /[\\.+*?()|[\]{}^$]/;
const REPEAT = /^\{(\d{1,4})(?:(,)(\d{0,4}))?\}/;
const FLAGS = /^\(\?([imsU]*)(?:-([imsU]+))?[:)]/;
const NAMED = /^\?P?<(\w+)>/;
const ESCAPE =
  /^\\(?:[aftnrvdDsSwW]|x[0-9A-Fa-f]{2}|x\{[0-9A-Fa-f]{1,8}\}|[pP][A-Z]|[pP]\{\^?\w+\}|[\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e ])/;
const CONDITIONS: Readonly<Record<string, number>> = {
  b: WORD_BOUNDARY,
  B: NO_WORD_BOUNDARY,
  A: BEGIN_TEXT,
  z: END_TEXT,
};

function symbolOf(kind: number, value: number): number {
  return (value << KIND_BITS) | kind;
}

function groupKind(kind: number): number {
  return kind === ONCE ? GROUP : kind === OPTIONAL ? GROUP_OPTIONAL : GROUP_STAR;
}

/**
 * The price of one character at worst, by node: `weight`, if a match may be everywhere below it at once, and `cost`, if it has come there
 * once. Of characters that follow a node a match takes one, so the costliest counts; classes, loops and options all count.
 */
class Costs {
  readonly weight: Float64Array;
  readonly cost: Float64Array;
  readonly #trie: SymbolTrie;
  readonly #classCost: (number: number) => number;

  constructor(trie: SymbolTrie, classCost: (number: number) => number) {
    this.weight = new Float64Array(trie.count);
    this.cost = new Float64Array(trie.count);
    this.#trie = trie;
    this.#classCost = classCost;
  }

  /** A node whose children are known, the group it stands for aside. */
  add(node: number): void {
    const { symbols, firstChild, nextSibling } = this.#trie;
    let weight = 0;
    let costliest = 0;
    let others = 0;
    for (let child = firstChild[node]!; child >= 0; child = nextSibling[child]!) {
      weight += this.weight[child]!;
      if (this.#own(symbols[child]!) === 0) costliest = Math.max(costliest, this.cost[child]!);
      else others += this.cost[child]!;
    }
    const below = Math.min(weight, costliest + others);
    const own = symbols[node] === ROOT ? 0 : this.#own(symbols[node]!);
    const kind = symbols[node]! & KIND_MASK;
    const isOnce = symbols[node] === ROOT || kind === ONCE || kind === CONDITION;
    this.weight[node] = own + weight;
    // behind what has no fixed length a match may have come there more than once
    this.cost[node] = own + (isOnce ? below : kind === OPTIONAL ? Math.min(2 * below, weight) : weight);
  }

  /** The alternatives of a node's group, from their root. */
  addGroup(node: number, root: number, isRepeated: boolean): void {
    this.weight[node]! += this.weight[root]!;
    this.cost[node]! += isRepeated ? this.weight[root]! : this.cost[root]!;
  }

  #own(symbol: number): number {
    switch (symbol & KIND_MASK) {
      case ONCE:
        return this.#classCost(symbol >> KIND_BITS);
      case STAR:
      case OPTIONAL:
        return 1 + this.#classCost(symbol >> KIND_BITS);
      default:
        return 1;
    }
  }
}

/** The trie from its last node to its first: what follows a node is there before it. */
function* emitted(
  { trie, classes, classCost }: FactoredReader,
  { programLengthMax, costMax }: FactoredLimits,
): Generator<undefined, RegexProgram> {
  const { symbols, ends, firstChild, nextSibling, count } = trie;
  const all = new Instructions(programLengthMax);
  const costs = new Costs(trie, classCost);
  const entries = new Int32Array(count);
  /** By class and what follows. */
  const loops = new Map<string, number>();
  /** By root: what follows its alternatives. */
  const follows = new Map<number, number>([[0, all.alone(MATCH, 0, 0)]]);
  /** By root: the node of its group, and what follows that. */
  const groups = new Map<number, { readonly node: number; readonly kind: number; readonly after: number }>();
  let start = 0;
  /** Instructions at which a match may be while it is at others. */
  let wide = 0;
  const made = (op: number, out: number, arg: number, its: number): number => {
    const { count: before } = all;
    const pc = all.shared(op, out, arg);
    if (all.count > before) wide += its;
    return pc;
  };
  for (let node = count - 1; node >= 0; node--) {
    if (node % NODES_BETWEEN === 0) yield;
    costs.add(node);
    let after = ends[node]! < 0 ? -1 : follows.get(ends[node]!)!;
    for (let child = firstChild[node]!; child >= 0; child = nextSibling[child]!) {
      after = after < 0 ? entries[child]! : all.shared(ALT, entries[child]!, after);
    }
    const symbol = symbols[node]!;
    if (symbol === ROOT) {
      const group = groups.get(node);
      if (group === undefined) start = after;
      else {
        costs.addGroup(group.node, node, group.kind === GROUP_STAR);
        if (group.kind === GROUP_STAR) all.setOut(entries[group.node]!, after);
        else entries[group.node] = group.kind === GROUP ? after : all.shared(ALT, after, group.after);
      }
      continue;
    }
    const value = symbol >> KIND_BITS;
    switch (symbol & KIND_MASK) {
      case ONCE:
        entries[node] = made(RUNE, after, value, classCost(value));
        break;
      case OPTIONAL:
        entries[node] = made(ALT, made(RUNE, after, value, classCost(value)), after, 1);
        break;
      case STAR: {
        const key = `${value} ${after}`;
        let loop = loops.get(key);
        if (loop === undefined) {
          loop = all.alone(ALT, 0, after);
          all.setOut(loop, all.alone(RUNE, loop, value));
          wide += 1 + classCost(value);
          loops.set(key, loop);
        }
        entries[node] = loop;
        break;
      }
      case CONDITION:
        entries[node] = made(EMPTY_WIDTH, after, value, 1);
        break;
      default: {
        wide++;
        const kind = symbol & KIND_MASK;
        const loop = kind === GROUP_STAR ? all.alone(ALT, 0, after) : after;
        entries[node] = loop;
        follows.set(value, loop);
        groups.set(value, { node, kind, after });
      }
    }
  }
  const cost = 1 + Math.min(wide, costs.cost[0]!);
  if (cost > costMax) throw new ProgramFull();
  return { start, ...all.columns(), ...classes.columns(), cost };
}
