/** The name of the label that holds a series' metric name. */
export const METRIC_NAME = '__name__';

/**
 * The labels of a series: names ascending, no name twice, no empty value. Immutable, so that a set can be shared between
 * queries and what is derived from it (its key) kept.
 */
export class Labels {
  static readonly empty = new Labels([]);

  /** name, value, name, value, … ascending by name. */
  readonly pairs: readonly string[];
  #key: string | undefined;
  #unreserved: Labels | undefined;

  private constructor(pairs: readonly string[]) {
    this.pairs = pairs;
  }

  static of(record: Readonly<Record<string, string>>): Labels {
    return Labels.fromEntries(Object.entries(record));
  }

  /** Sorts, and leaves out empty values; of a name given twice the last one counts. */
  static fromEntries(entries: Iterable<readonly [name: string, value: string]>): Labels {
    const byName = new Map<string, string>();
    for (const [name, value] of entries) byName.set(name, value);
    const pairs: string[] = [];
    for (const name of [...byName.keys()].sort(compareUtf8)) {
      const value = byName.get(name)!;
      if (value !== '') pairs.push(name, value);
    }
    return pairs.length === 0 ? Labels.empty : new Labels(pairs);
  }

  /** @param pairs name, value, … already ascending, unique and without empty values; not copied */
  static fromSortedPairs(pairs: readonly string[]): Labels {
    return pairs.length === 0 ? Labels.empty : new Labels(pairs);
  }

  get size(): number {
    return this.pairs.length / 2;
  }

  /** Characters of all names and values. */
  get chars(): number {
    let chars = 0;
    for (const part of this.pairs) chars += part.length;
    return chars;
  }

  /** The value, or `''` where the label is missing: to PromQL they are the same. */
  get(name: string): string {
    const { pairs } = this;
    for (let i = 0; i < pairs.length; i += 2) if (pairs[i] === name) return pairs[i + 1]!;
    return '';
  }

  has(name: string): boolean {
    const { pairs } = this;
    for (let i = 0; i < pairs.length; i += 2) if (pairs[i] === name) return true;
    return false;
  }

  get metricName(): string {
    return this.get(METRIC_NAME);
  }

  /** With `name` set to `value`; an empty value removes it. */
  with(name: string, value: string): Labels {
    const { pairs } = this;
    if (value === '' && !this.has(name)) return this;
    const next: string[] = [];
    let placed = value === '';
    for (let i = 0; i < pairs.length; i += 2) {
      const order = placed && value !== '' ? -1 : compareUtf8(pairs[i]!, name);
      if (!placed && order >= 0) {
        next.push(name, value);
        placed = true;
      }
      if (pairs[i] !== name) next.push(pairs[i]!, pairs[i + 1]!);
    }
    if (!placed) next.push(name, value);
    return Labels.fromSortedPairs(next);
  }

  /** With labels over these. @param over name, value, … ascending and unique; an empty value removes */
  withSorted(over: readonly string[]): Labels {
    const { pairs } = this;
    const next: string[] = [];
    let i = 0;
    for (let j = 0; j < over.length; j += 2) {
      const name = over[j]!;
      for (; i < pairs.length && compareUtf8(pairs[i]!, name) < 0; i += 2) next.push(pairs[i]!, pairs[i + 1]!);
      if (pairs[i] === name) i += 2;
      if (over[j + 1] !== '') next.push(name, over[j + 1]!);
    }
    for (; i < pairs.length; i += 2) next.push(pairs[i]!, pairs[i + 1]!);
    return Labels.fromSortedPairs(next);
  }

  /** Only the labels whose name is in `names`. */
  keep(names: ReadonlySet<string>): Labels {
    return this.#filter((name) => names.has(name));
  }

  /** Only the labels whose name is not in `names`. */
  drop(names: ReadonlySet<string>): Labels {
    return this.#filter((name) => !names.has(name));
  }

  dropName(): Labels {
    return this.pairs[0] !== METRIC_NAME && !this.has(METRIC_NAME)
      ? this
      : this.#filter((name) => name !== METRIC_NAME);
  }

  /** Without metric name, type and unit: what no longer holds when a function has changed the meaning. Kept, as series are. */
  dropReserved(): Labels {
    this.#unreserved ??= this.#filter((name) => !isReserved(name));
    return this.#unreserved;
  }

  #filter(keeps: (name: string) => boolean): Labels {
    const { pairs } = this;
    const next: string[] = [];
    for (let i = 0; i < pairs.length; i += 2) if (keeps(pairs[i]!)) next.push(pairs[i]!, pairs[i + 1]!);
    return next.length === pairs.length ? this : Labels.fromSortedPairs(next);
  }

  /** Equal for equal label sets and different for different ones: a key for maps. */
  get key(): string {
    if (this.#key === undefined) {
      let key = '';
      for (const part of this.pairs) key += `${part.length}:${part}`;
      this.#key = key;
    }
    return this.#key;
  }

  equals(other: Labels): boolean {
    return this === other || this.key === other.key;
  }

  *[Symbol.iterator](): IterableIterator<[name: string, value: string]> {
    for (let i = 0; i < this.pairs.length; i += 2) yield [this.pairs[i]!, this.pairs[i + 1]!];
  }

  toJSON(): Record<string, string> {
    return Object.fromEntries(this);
  }

  /** As Prometheus prints it: `{__name__="up", job="a"}`. */
  toString(): string {
    return `{${[...this].map(([name, value]) => `${quoteName(name)}=${quoteGo(value)}`).join(', ')}}`;
  }

  /** Prometheus' order: pair by pair, name before value, as UTF-8 bytes. */
  static compare(a: Labels, b: Labels): number {
    const shared = Math.min(a.pairs.length, b.pairs.length);
    for (let i = 0; i < shared; i++) {
      if (a.pairs[i] !== b.pairs[i]) return compareUtf8(a.pairs[i]!, b.pairs[i]!);
    }
    return a.pairs.length - b.pairs.length;
  }
}

/** Labels that no longer hold for a series when its values mean something else. */
export const RESERVED_NAMES: readonly string[] = [METRIC_NAME, '__type__', '__unit__'];

export function isReserved(name: string): boolean {
  return RESERVED_NAMES.includes(name);
}

/** Order of the UTF-8 bytes. JavaScript's own order is by UTF-16 units, which differs above U+FFFF. */
export function compareUtf8(a: string, b: string): number {
  if (a === b) return 0;
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    let x = a.charCodeAt(i);
    let y = b.charCodeAt(i);
    if (x === y) continue;
    // a surrogate stands for something above U+FFFF, so it comes after every other unit
    if (x >= 0xd800) x = x < 0xe000 ? x + 0x2000 : x - 0x800;
    if (y >= 0xd800) y = y < 0xe000 ? y + 0x2000 : y - 0x800;
    return x - y;
  }
  return a.length - b.length;
}

/** A label name as it stands in a selector: quoted unless it is a legacy name. */
export function quoteName(name: string): string {
  return /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) ? name : quoteGo(name);
}

/** As Go's `strconv.Quote` for printable and common control characters. */
export function quoteGo(text: string): string {
  // nothing but these is quoted in plain text, of which there may be megabytes
  if (/^[\x20-\x7e]*$/.test(text)) return `"${text.replace(/["\\]/g, '\\$&')}"`;
  let out = '"';
  for (const char of text) {
    const code = char.codePointAt(0)!;
    if (char === '"' || char === '\\') out += `\\${char}`;
    else if (code === 7) out += '\\a';
    else if (code === 8) out += '\\b';
    else if (code === 12) out += '\\f';
    else if (code === 10) out += '\\n';
    else if (code === 13) out += '\\r';
    else if (code === 9) out += '\\t';
    else if (code === 11) out += '\\v';
    else if (code < 0x20 || code === 0x7f) out += `\\x${code.toString(16).padStart(2, '0')}`;
    else if (code < 0x7f || isPrintable(char)) out += char;
    // a byte that was not UTF-8: see `promql/parser/string.ts`
    else if (code >= 0xdc80 && code <= 0xdcff) out += `\\x${(code - 0xdc00).toString(16)}`;
    else if (code <= 0xffff) out += `\\u${code.toString(16).padStart(4, '0')}`;
    else out += `\\U${code.toString(16).padStart(8, '0')}`;
  }
  return `${out}"`;
}

/** Names and values in errors are cut after this: an error costs no more than what it tells. */
const QUOTED_CHARS_MAX = 1_000;

/** The same for errors, with the end of a long text left out. */
export function quoteGoCut(text: string): string {
  return text.length <= QUOTED_CHARS_MAX ? quoteGo(text) : `${quoteGo(text.slice(0, QUOTED_CHARS_MAX))}…`;
}

/** Go's `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols, and of the spaces only U+0020. */
function isPrintable(char: string): boolean {
  return char === ' ' || /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(char);
}
