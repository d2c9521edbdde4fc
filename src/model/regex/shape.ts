/**
 * The texts a regular expression asks for, where that can be said without an engine: literals, and gaps between them. Reads
 * a subset of the syntax in which every pattern that it understands is right.
 */
export type Part =
  /** One of these strings; a single literal is a set of one. */
  | { readonly kind: 'set'; readonly texts: readonly string[] }
  /** Any text of at least `charsMin` characters, 0 or 1. */
  | { readonly kind: 'gap'; readonly charsMin: number }
  /** Something that only the engine can judge. */
  | { readonly kind: 'opaque' };

/** More alternatives than this do not come of classes and of parts behind each other. Alternations that are written out have no bound. */
const setSizeMax = 256;

/** Characters of the texts that a pattern makes by putting parts behind each other, for each of its own. */
const madeCharsFactor = 4;

const OPAQUE: Part = { kind: 'opaque' };
const EMPTY: Part = { kind: 'set', texts: [''] };

const META = /[\\.+*?()|[\]{}^$]/;
const META_BUT_BAR = /[\\.+*?()[\]{}^$]/;

/** The alternatives of a pattern that is nothing but literals between bars: `a`, `a|b|c`. */
export function plainAlternatives(source: string): string[] | undefined {
  return META_BUT_BAR.test(source) || !source.isWellFormed() ? undefined : source.split('|');
}

/**
 * The alternatives of a pattern, each as parts one behind the other; undefined where the pattern says nothing. Where
 * all are literals they are one. Yields now and then.
 */
export function* shapesOf(source: string): Generator<undefined, readonly (readonly Part[])[] | undefined> {
  if (!source.isWellFormed()) return undefined;
  const reader = new ShapeReader(withoutGroup(source));
  try {
    const branches = yield* reader.branchesInTurns();
    if (!reader.done) return undefined;
    const set = unionOf(branches);
    return set === undefined ? branches : [[set]];
  } catch (thrown) {
    if (thrown instanceof NotUnderstood) return undefined;
    throw thrown;
  }
}

/** The inside of a group that is all of the pattern, so that its alternatives are the pattern's. Other patterns stay as they are. */
function withoutGroup(source: string): string {
  let inner = source;
  for (let depth = 0; depth < DEPTH_MAX; depth++) {
    const [opening] = /^\^?\((?:\?:|(?!\?))/.exec(inner) ?? [];
    if (opening === undefined) return inner;
    const close = groupEnd(inner, opening.length);
    if (close !== inner.length - 1 && inner.slice(close) !== ')$') return inner;
    inner = inner.slice(opening.length, close);
  }
  return inner;
}

/** Where the group that has begun before `from` ends. */
function groupEnd(source: string, from: number): number {
  let depth = 1;
  for (let i = from; i < source.length; i++) {
    switch (source.charCodeAt(i)) {
      case BACKSLASH:
        i++;
        break;
      case 0x5b: // [
        i = source.indexOf(']', i + (source[i + 1] === '^' ? 3 : 2));
        if (i < 0) return -1;
        break;
      case 0x28: // (
        depth++;
        break;
      case 0x29: // )
        if (--depth === 0) return i;
    }
  }
  return -1;
}

/** Thrown where the rest of a pattern cannot be told apart either: flags, `\Q`, an odd `{`. */
class NotUnderstood extends Error {}

const DEPTH_MAX = 100;

/** Longer patterns are read in turns; between two of them lie so many alternatives. */
const IN_TURNS_CHARS = 1 << 16;
const BRANCHES_BETWEEN = 512;

/** Characters that stand for themselves, up to the bracket of a group and with it. */
const PLAIN_TO_GROUP = /[^\\.+*?()|[\]{}^$]{0,1000}\(/y;

class ShapeReader {
  readonly #source: string;
  #pos = 0;
  #depth = 0;
  #charsLeft: number;
  /** A group that has been read already: its place behind the bracket, the place behind its end. */
  #ahead: { readonly from: number; readonly to: number; readonly parts: Part[] } | undefined;

  constructor(source: string) {
    this.#source = source;
    this.#charsLeft = 1024 + madeCharsFactor * source.length;
  }

  get done(): boolean {
    return this.#pos >= this.#source.length;
  }

  /** As `branches`. Groups that alternatives begin with, or have behind plain characters, are read in turns, too. */
  *branchesInTurns(): Generator<undefined, Part[][]> {
    const branches: Part[][] = [];
    do {
      if (this.#source.length - this.#pos > IN_TURNS_CHARS) yield* this.#readGroupAhead();
      branches.push(this.#concatenation());
      if (branches.length % BRANCHES_BETWEEN === 0) yield;
    } while (this.#accept('|'));
    return branches;
  }

  /** Reads the first group of the alternative that begins here, for `#group` to find. */
  *#readGroupAhead(): Generator<undefined, void> {
    PLAIN_TO_GROUP.lastIndex = this.#pos;
    if (!PLAIN_TO_GROUP.test(this.#source)) return;
    const start = this.#pos;
    this.#pos = PLAIN_TO_GROUP.lastIndex;
    const from = this.#pos;
    const parts = yield* this.#groupInTurns();
    this.#ahead = { from, to: this.#pos, parts };
    this.#pos = start;
  }

  *#groupInTurns(): Generator<undefined, Part[]> {
    this.#openGroup();
    const branches = yield* this.branchesInTurns();
    return this.#closeGroup(branches);
  }

  branches(): Part[][] {
    const branches = [this.#concatenation()];
    while (this.#accept('|')) branches.push(this.#concatenation());
    return branches;
  }

  /** At least one part. */
  #concatenation(): Part[] {
    const parts: Part[] = [];
    while (!this.done && !this.#at('|') && !this.#at(')')) {
      const literal = this.#literal();
      if (literal !== '') this.#append(parts, { kind: 'set', texts: [literal] });
      else for (const part of this.#repeated()) this.#append(parts, part);
    }
    return parts.length === 0 ? [EMPTY] : parts;
  }

  /** Characters that stand for themselves, as many as there are: without the last one where that is repeated. */
  #literal(): string {
    const source = this.#source;
    let text = '';
    let from = this.#pos;
    let at = from;
    // before the last character: the place in `source`, and what `text` and `from` were
    let lastAt = at;
    let lastText = text;
    let lastFrom = from;
    for (;;) {
      const code = source.charCodeAt(at);
      if (Number.isNaN(code)) break;
      if (code === BACKSLASH) {
        const escaped = source.charCodeAt(at + 1);
        if (!isEscapable(escaped)) break;
        lastAt = at;
        lastText = text;
        lastFrom = from;
        text += source.slice(from, at);
        from = at + 1;
        at += 2;
        continue;
      }
      if (isMeta(code)) break;
      if (code < 0xdc00 || code > 0xdfff) {
        lastAt = at;
        lastText = text;
        lastFrom = from;
      }
      at++;
    }
    if (at === this.#pos) return '';
    if (at < source.length && '*+?{'.includes(source[at]!)) {
      this.#pos = lastAt;
      return lastText + source.slice(lastFrom, lastAt);
    }
    this.#pos = at;
    return text + source.slice(from, at);
  }

  /** Joins what can be joined, so that sets and gaps take turns. */
  #append(parts: Part[], part: Part): void {
    const last = parts.at(-1);
    if (last?.kind === 'set' && part.kind === 'set') {
      const texts = this.#joined(last.texts, part.texts);
      if (texts !== undefined) {
        parts[parts.length - 1] = { kind: 'set', texts };
        return;
      }
      // too many to spell out; the first stays, as what must be there
      parts.push(OPAQUE);
      return;
    }
    if (last?.kind === 'gap' && part.kind === 'gap') {
      // counting two characters is left to the engine: one may be two units of a string
      const charsMin = last.charsMin + part.charsMin;
      parts[parts.length - 1] = charsMin <= 1 ? { kind: 'gap', charsMin } : OPAQUE;
      return;
    }
    if (last?.kind === 'opaque' && part.kind !== 'set') return;
    parts.push(part);
  }

  /** Every first with every second text. */
  #joined(firsts: readonly string[], seconds: readonly string[]): string[] | undefined {
    if (firsts.length > 1 && seconds.length > 1 && firsts.length * seconds.length > setSizeMax) return undefined;
    this.#spend(charsOf(firsts) * seconds.length + charsOf(seconds) * firsts.length);
    if (seconds.length === 1) return firsts.map((head) => head + seconds[0]!);
    return [...new Set(firsts.flatMap((head) => seconds.map((tail) => head + tail)))];
  }

  #spend(chars: number): void {
    this.#charsLeft -= chars;
    if (this.#charsLeft < 0) throw new NotUnderstood();
  }

  /** An atom and what repeats it. */
  #repeated(): Part[] {
    const isDot = this.#at('.');
    let parts = this.#atom();
    if (this.#at('{')) throw new NotUnderstood();
    const repeat = this.#source[this.#pos];
    if (repeat !== '*' && repeat !== '+' && repeat !== '?') return parts;
    this.#pos++;
    // a lazy repetition matches the same strings
    this.#accept('?');
    if (this.#at('*') || this.#at('+') || this.#at('?') || this.#at('{')) throw new NotUnderstood();
    const [part] = parts;
    if (isDot && repeat !== '?') parts = [{ kind: 'gap', charsMin: repeat === '+' ? 1 : 0 }];
    else if (repeat === '?' && parts.length === 1 && part!.kind === 'set') {
      parts = [{ kind: 'set', texts: [...new Set([...part!.texts, ''])] }];
    } else parts = [OPAQUE];
    return parts;
  }

  #atom(): Part[] {
    const char = String.fromCodePoint(this.#source.codePointAt(this.#pos)!);
    this.#pos += char.length;
    switch (char) {
      case '.':
        return [OPAQUE];
      // at the ends of the whole pattern they say what holds anyway
      case '^':
        return [this.#pos === 1 ? EMPTY : OPAQUE];
      case '$':
        return [this.done ? EMPTY : OPAQUE];
      case '[':
        return [this.#charClass()];
      case '\\':
        return [this.#escape()];
      case '(':
        return this.#group();
      case '*':
      case '+':
      case '?':
      case '{':
        throw new NotUnderstood();
      default:
        return [{ kind: 'set', texts: [char] }];
    }
  }

  #group(): Part[] {
    const ahead = this.#ahead;
    if (ahead?.from === this.#pos) {
      this.#pos = ahead.to;
      return ahead.parts;
    }
    this.#openGroup();
    return this.#closeGroup(this.branches());
  }

  #openGroup(): void {
    if (this.#accept('?') && !this.#accept(':')) throw new NotUnderstood();
    if (++this.#depth > DEPTH_MAX) throw new NotUnderstood();
  }

  #closeGroup(branches: Part[][]): Part[] {
    this.#depth--;
    if (!this.#accept(')')) throw new NotUnderstood();
    return branches.length === 1 ? branches[0]! : [unionOf(branches) ?? OPAQUE];
  }

  #escape(): Part {
    const char = this.#source[this.#pos++];
    if (char === undefined) throw new NotUnderstood();
    if (isEscapable(char.charCodeAt(0))) return { kind: 'set', texts: [char] };
    if (/[dDsSwWbBAz]/.test(char)) return OPAQUE;
    throw new NotUnderstood();
  }

  /** Only plain characters and ranges are spelled out. */
  #charClass(): Part {
    const end = this.#source.indexOf(']', this.#pos + 1);
    const inner = this.#source.slice(this.#pos, end);
    if (end < 0 || /[\\[\]]/.test(inner) || inner === '^') throw new NotUnderstood();
    this.#pos = end + 1;
    if (inner.startsWith('^')) return OPAQUE;
    const chars = [...inner];
    const texts = new Set<string>();
    for (let i = 0; i < chars.length; i++) {
      const first = chars[i]!.codePointAt(0)!;
      let last = first;
      if (chars[i + 1] === '-' && i + 2 < chars.length) {
        last = chars[i + 2]!.codePointAt(0)!;
        i += 2;
      }
      if (last < first) throw new NotUnderstood();
      if (last - first >= setSizeMax) return OPAQUE;
      for (let code = first; code <= last; code++) texts.add(String.fromCodePoint(code));
    }
    this.#spend(texts.size);
    return texts.size > setSizeMax ? OPAQUE : { kind: 'set', texts: [...texts] };
  }

  #at(char: string): boolean {
    return this.#source[this.#pos] === char;
  }

  #accept(char: string): boolean {
    if (!this.#at(char)) return false;
    this.#pos++;
    return true;
  }
}

/** All alternatives as one set, where they are literal. */
function unionOf(branches: readonly (readonly Part[])[]): Part | undefined {
  const texts: string[] = [];
  for (const parts of branches) {
    const [part] = parts;
    if (part?.kind !== 'set' || parts.length > 1) return undefined;
    for (const text of part.texts) texts.push(text);
  }
  return { kind: 'set', texts: texts.length > setSizeMax ? texts : [...new Set(texts)] };
}

function charsOf(texts: readonly string[]): number {
  let chars = 0;
  for (const text of texts) chars += text.length;
  return chars;
}

const BACKSLASH = 0x5c;

const META_CODES = Uint8Array.from({ length: 128 }, (_, code) => (META.test(String.fromCharCode(code)) ? 1 : 0));

function isMeta(code: number): boolean {
  return code < 128 && META_CODES[code] === 1;
}

/** Every ASCII character but letters and digits stands for itself behind a backslash, as in Go. */
function isEscapable(code: number): boolean {
  return code < 128 && !/[0-9A-Za-z]/.test(String.fromCharCode(code));
}

/** Whether `value` is made of `parts`; where some are opaque, whether it may be. */
export function fits(parts: readonly Part[], value: string): boolean {
  let pos = 0;
  /** How much may be skipped before the next set: nothing, or anything from `skipMin` on. */
  let skips = false;
  let skipMin = 0;
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!;
    if (part.kind !== 'set') {
      skips = true;
      skipMin = part.kind === 'gap' ? part.charsMin : 0;
      continue;
    }
    if (i === parts.length - 1) return endsWithOne(part.texts, value, pos, skips, skipMin);
    const end = skips ? earliestEnd(part.texts, value, pos + skipMin) : shortestPrefix(part.texts, value);
    if (end < 0) return false;
    pos = end;
    skips = false;
    skipMin = 0;
  }
  return skips ? value.length - pos >= skipMin : pos === value.length;
}

function endsWithOne(texts: readonly string[], value: string, pos: number, skips: boolean, skipMin: number): boolean {
  for (const text of texts) {
    const skipped = value.length - text.length - pos;
    if ((skips ? skipped >= skipMin : skipped === 0) && value.endsWith(text)) return true;
  }
  return false;
}

/** The earliest end of all places from `from` on where one of the texts is found, −1 without any: it leaves most for what follows. */
function earliestEnd(texts: readonly string[], value: string, from: number): number {
  let earliest = -1;
  for (const text of texts) {
    const found = value.indexOf(text, from);
    if (found < 0 || from > value.length) continue;
    const end = found + text.length;
    if (earliest < 0 || end < earliest) earliest = end;
  }
  return earliest;
}

/** Only the first part has nothing to skip before it, so it stands at the start. */
function shortestPrefix(texts: readonly string[], value: string): number {
  let shortest = -1;
  for (const text of texts) {
    if ((shortest < 0 || text.length < shortest) && value.startsWith(text)) shortest = text.length;
  }
  return shortest;
}
