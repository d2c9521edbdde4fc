import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type ParsedNode,
  parseAllDocuments,
  visit,
} from 'yaml';
import { quoteGo } from '../model/labels.ts';
import { DurationSyntaxError, parseDuration } from '../promql/parser/duration.ts';
import { isNestedTooDeep, NESTING_MAX } from './nesting.ts';

/** A file that cannot be read at all; the text is that of Go's YAML package. */
export class YamlError extends Error {}

/** A place in a file, counted from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

export const nowhere: Place = { line: 0, column: 0 };

/** Reads one field's value. */
export type FieldReader = (node: Node | null) => void;

const OLD_BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ...['y', 'Y', 'yes', 'on'].map((word) => [word, true] as const),
  ...['n', 'N', 'no', 'off'].map((word) => [word, false] as const),
]);

/** Mistakes that are made often, as Go words them. */
const SYNTAX: Readonly<Record<string, string>> = {
  BLOCK_AS_IMPLICIT_KEY: 'mapping values are not allowed in this context',
  BLOCK_IN_FLOW: 'did not find expected node content',
  MISSING_CHAR: "could not find expected ':'",
  TAB_AS_INDENT: 'found character that cannot start any token',
};

/** Longer files are refused before they are parsed. */
const textLengthMax = 16 << 20;
/** Aliases in a file: each is read where it stands, so they multiply what is read. */
const aliasesMax = 1000;
const mergesMax = 100;
/** Tags and anchors right before a node, with the space behind them. */
const PROPERTIES = /(?:(?<=[\s[,{]|^)[&!][^\s,[\]{}]*[ \t]+)+$/;
const propertiesLengthMax = 200;

/**
 * Reads a YAML file into declared fields, strictly: what does not fit is a problem with its line, worded as Go's YAML
 * package words it. Only the first document counts.
 */
export class YamlReader {
  /** `line 6: field x not found in type …`, in the order in which they were found. */
  readonly problems: string[] = [];
  /** More documents follow the first. */
  readonly hasMore: boolean;
  readonly top: Node | null;
  readonly #ignoresUnknown: boolean;
  readonly #lines = new LineCounter();
  readonly #document: Document | undefined;
  /** How a field that is not known could be written instead. */
  readonly #hint: (type: string, field: string) => string;
  #aliases = 0;
  /** Nodes with that anchor, in the order of the file: the last one before an alias counts. */
  readonly #anchors: ReadonlyMap<string, readonly Node[]>;
  /** Offsets where nodes with a tag or an anchor begin, that included. */
  readonly #starts = new Map<Node, number>();

  /** @throws YamlError */
  constructor(
    text: string,
    options: { readonly ignoreUnknownFields?: boolean; readonly hint?: (type: string, field: string) => string } = {},
  ) {
    if (text.length > textLengthMax) throw new YamlError(`yaml: file of more than ${textLengthMax} characters`);
    if (isNestedTooDeep(text)) throw new YamlError(`yaml: exceeded max depth of ${NESTING_MAX}`);
    this.#ignoresUnknown = options.ignoreUnknownFields ?? false;
    this.#hint = options.hint ?? (() => '');
    const documents = parseDocuments(text, this.#lines);
    this.#document = documents[0];
    this.hasMore = documents.length > 1;
    this.top = this.#document?.contents ?? null;
    const [error] = this.#document?.errors ?? [];
    if (error !== undefined) {
      const message = SYNTAX[error.code] ?? error.message;
      throw new YamlError(`yaml: line ${this.#lines.linePos(error.pos[0]).line}: ${message}`);
    }
    this.#anchors = this.#document === undefined ? new Map() : this.#checkedAnchors(text, this.#document);
  }

  /** Go finds these before it looks at any field. @throws YamlError */
  #checkedAnchors(text: string, document: Document): ReadonlyMap<string, readonly Node[]> {
    const anchors = new Map<string, Node[]>();
    visit(document, {
      Alias: (_, { source, range }) => {
        if (!anchors.has(source) && range !== undefined)
          throw new YamlError(`yaml: unknown anchor '${source}' referenced`);
      },
      Node: (_, node) => {
        if (isAlias(node)) return;
        if (isScalar(node) && typeof node.value === 'string' && !node.value.isWellFormed()) {
          throw new YamlError(`yaml: line ${this.placeOf(node).line}: found invalid Unicode character escape code`);
        }
        const [start = 0] = node.range ?? [];
        const before = PROPERTIES.exec(text.slice(Math.max(0, start - propertiesLengthMax), start));
        if (before !== null) this.#starts.set(node, start - before[0].length);
        if (node.anchor === undefined) return;
        const found = anchors.get(node.anchor);
        if (found === undefined) anchors.set(node.anchor, [node]);
        else found.push(node);
      },
    });
    return anchors;
  }

  /** @throws YamlError where there are problems */
  check(): void {
    if (this.problems.length > 0) throw new YamlError(`yaml: unmarshal errors:\n  ${this.problems.join('\n  ')}`);
  }

  placeOf(node: Node | null | undefined): Place {
    if (node === null || node?.range === undefined || node.range === null) return nowhere;
    const offset = this.#starts.get(node) ?? node.range[0];
    const { line, col } = this.#lines.linePos(offset);
    return { line, column: col };
  }

  /** Whether nothing or null stands there. */
  isNothing(given: Node | null): boolean {
    return isNothing(this.resolved(given));
  }

  /** Whether a scalar stands there. */
  isScalar(given: Node | null): boolean {
    return isScalar(this.resolved(given));
  }

  mapping(given: Node | null, type: string, fields: Readonly<Record<string, FieldReader>>): void {
    const node = this.resolved(given);
    if (isNothing(node)) return;
    if (!isMap(node)) {
      this.#mismatch(node, type);
      return;
    }
    const pairs = [...this.#pairs(node)];
    if (this.#reportRepeated(pairs)) return;
    for (const [key, value] of pairs) {
      const name = keyText(key);
      if (Object.hasOwn(fields, name)) fields[name]!(value);
      else if (!this.#ignoresUnknown) {
        const { line } = this.placeOf(key);
        this.problems.push(`line ${line}: field ${name} not found in type ${type}${this.#hint(type, name)}`);
      }
    }
  }

  /** Keys that stand twice: then nothing of the mapping is read. */
  #reportRepeated(pairs: readonly (readonly [key: Node, value: Node | null])[]): boolean {
    const seen = new Map<string, number>();
    const found = this.problems.length;
    for (const [key] of pairs) {
      const name = keyText(key);
      const { line } = this.placeOf(key);
      const before = seen.get(name);
      if (before === undefined) seen.set(name, line);
      else this.problems.push(`line ${line}: mapping key ${quoteGo(name)} already defined at line ${before}`);
    }
    return this.problems.length > found;
  }

  list<T>(given: Node | null, type: string, item: (node: Node | null) => T): T[] {
    const node = this.resolved(given);
    if (isNothing(node)) return [];
    if (isSeq(node)) return node.items.map((each) => item(each as Node | null));
    this.#mismatch(node, `[]${type}`);
    return [];
  }

  strings(given: Node | null): string[] {
    return this.list(given, 'string', (node) => this.string(node));
  }

  /** Names and nodes of a mapping whose names are not known beforehand, in the order of the file. */
  entries(given: Node | null, type: string): (readonly [name: string, value: Node | null])[] {
    const node = this.resolved(given);
    if (isNothing(node)) return [];
    if (!isMap(node)) {
      this.#mismatch(node, type);
      return [];
    }
    const pairs = [...this.#pairs(node)];
    return this.#reportRepeated(pairs) ? [] : pairs.map(([key, value]) => [keyText(key), value] as const);
  }

  /** In the order of the file. */
  stringMap(given: Node | null): Map<string, string> {
    const entries = new Map<string, string>();
    const node = this.resolved(given);
    if (isNothing(node)) return entries;
    if (!isMap(node)) {
      this.#mismatch(node, 'map[string]string');
      return entries;
    }
    const pairs = [...this.#pairs(node)];
    if (this.#reportRepeated(pairs)) return entries;
    for (const [key, value] of pairs) entries.set(keyText(key), this.string(value));
    return entries;
  }

  /** Any scalar, as it is written. */
  string(given: Node | null): string {
    const node = this.resolved(given);
    if (isNothing(node)) return '';
    if (isScalar(node)) return typeof node.value === 'string' ? node.value : (node.source ?? String(node.value));
    this.#mismatch(node, 'string');
    return '';
  }

  integer(given: Node | null): number {
    const node = this.resolved(given);
    if (isNothing(node)) return 0;
    // a fraction is cut off, as in Go
    if (isScalar(node) && typeof node.value === 'number' && Math.abs(node.value) < 2 ** 53)
      return Math.trunc(node.value);
    this.#mismatch(node, 'int');
    return 0;
  }

  number(given: Node | null): number {
    const node = this.resolved(given);
    if (isNothing(node)) return 0;
    if (isScalar(node) && typeof node.value === 'number') return node.value;
    this.#mismatch(node, 'float64');
    return 0;
  }

  boolean(given: Node | null): boolean {
    const node = this.resolved(given);
    if (isNothing(node)) return false;
    if (isScalar(node) && typeof node.value === 'boolean') return node.value;
    // what YAML 1.1 took for booleans
    const old = isScalar(node) && node.type === 'PLAIN' ? OLD_BOOLEANS.get(String(node.value)) : undefined;
    if (old !== undefined) return old;
    this.#mismatch(node, 'bool');
    return false;
  }

  /**
   * In Prometheus' grammar, as milliseconds.
   * @throws YamlError at once, as Go does
   */
  duration(given: Node | null): number {
    const node = this.resolved(given);
    if (isNothing(node)) return 0;
    if (!isScalar(node)) {
      this.#mismatch(node, 'string');
      return 0;
    }
    const text = this.string(node);
    try {
      return parseDuration(text);
    } catch (thrown) {
      if (thrown instanceof DurationSyntaxError) throw new YamlError(thrown.message);
      throw thrown;
    }
  }

  /** The node that an alias stands for; other nodes as they are. @throws YamlError */
  resolved(node: Node | null): Node | null {
    if (!isAlias(node)) return node;
    if (++this.#aliases > aliasesMax) throw new YamlError('yaml: document contains excessive aliasing');
    const before = node.range?.[0] ?? 0;
    const target = this.#anchors.get(node.source)?.findLast((anchored) => (anchored.range?.[0] ?? 0) < before);
    if (target === undefined) throw new YamlError(`yaml: unknown anchor '${node.source}' referenced`);
    return target;
  }

  /** With those of merged mappings, which do not replace the mapping's own. */
  *#pairs(node: Node, merges = 0): Generator<[key: Node, value: Node | null]> {
    if (!isMap(node)) return;
    const own = new Set(node.items.map(({ key }) => keyText(key as Node)));
    const merged: Node[] = [];
    for (const { key, value } of node.items) {
      if (isScalar(key) && key.value === '<<' && key.type === 'PLAIN') {
        const from = this.resolved(value as Node);
        merged.push(...(isSeq(from) ? from.items.map((item) => this.resolved(item as Node)!) : [from!]));
      } else yield [key as Node, value as Node | null];
    }
    if (merges + merged.length > mergesMax) throw new YamlError('yaml: document contains excessive aliasing');
    for (const from of merged) {
      if (!isMap(from)) throw new YamlError('yaml: map merge requires map or sequence of maps as the value');
      for (const [key, value] of this.#pairs(from, merges + merged.length)) {
        if (own.has(keyText(key))) continue;
        own.add(keyText(key));
        yield [key, value];
      }
    }
  }

  #mismatch(node: Node, type: string): void {
    this.problems.push(`line ${this.placeOf(node).line}: cannot unmarshal ${describe(node)} into ${type}`);
  }
}

function parseDocuments(text: string, lineCounter: LineCounter) {
  try {
    const documents = parseAllDocuments<ParsedNode>(text, { lineCounter, prettyErrors: false, uniqueKeys: false });
    return Array.isArray(documents) ? documents : [];
  } catch (thrown) {
    // nesting that the parser's own recursion cannot follow
    if (thrown instanceof RangeError) throw new YamlError('yaml: exceeded max depth of 10000');
    throw thrown;
  }
}

function keyText(key: Node): string {
  return isScalar(key) ? (typeof key.value === 'string' ? key.value : (key.source ?? String(key.value))) : '';
}

function isNothing(node: Node | null): node is null {
  return node === null || (isScalar(node) && node.value === null);
}

/** With its tag, and of scalars the text. */
function describe(node: Node): string {
  if (isMap(node)) return '!!map';
  if (isSeq(node)) return '!!seq';
  if (!isScalar(node)) return '!!null';
  const text = node.source ?? String(node.value);
  const shown = text.length > 10 ? `${text.slice(0, 7)}...` : text;
  const { value } = node;
  const isDate = node.type === 'PLAIN' && /^\d{4}-\d\d?-\d\d?(?:[Tt ]|$)/.test(text);
  const tag = isDate
    ? 'timestamp'
    : typeof value === 'number'
      ? Number.isInteger(value)
        ? 'int'
        : 'float'
      : typeof value === 'boolean'
        ? 'bool'
        : 'str';
  return `!!${tag} \`${shown}\``;
}
