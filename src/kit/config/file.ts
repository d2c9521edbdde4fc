import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, type YAMLMap } from 'yaml';
import { Aliases } from './aliases.ts';
import { NO_VALUE } from './field.ts';
import { nearest } from './problem.ts';
import type { Setting } from './section.ts';

/** Settings of a file by their path (`ingester.window`), read but not yet joined with flags. */
export interface FileValues {
  readonly values: ReadonlyMap<string, unknown>;
  readonly problems: readonly string[];
}

/** A YAML file taken apart, with the place of everything in it. Aliases stand for what they name, and `<<` merges mappings in. */
export class YamlFile {
  /** The topmost mapping; undefined for an empty file. */
  readonly top: YAMLMap | undefined;
  /** Why it is no YAML, or no mapping. */
  readonly problems: readonly string[];
  readonly #file: string;
  readonly #lines = new LineCounter();
  readonly #aliases: Aliases;

  private constructor(text: string, file: string) {
    this.#file = file;
    const { errors, contents } = parseDocument(text, {
      lineCounter: this.#lines,
      prettyErrors: false,
      // its search is quadratic: `entries` looks for doubles
      uniqueKeys: false,
    });
    const problems = errors.map((error) => `${this.at(error.pos[0])}: ${error.message}`);
    if (problems.length === 0 && contents !== null && !isMap(contents)) {
      problems.push(`${this.at(0)}: the file must be a mapping`);
    }
    this.#aliases = Aliases.of(problems.length === 0 ? contents : null);
    const { wrong } = this.#aliases;
    if (wrong !== undefined) problems.push(`${this.at(wrong.offset)}: ${wrong.reason}`);
    this.problems = problems;
    this.top = isMap(contents) ? contents : undefined;
  }

  static parse(text: string, file: string): YamlFile {
    return new YamlFile(text, file);
  }

  /** `file:line:column` */
  at(offset: number): string {
    const { line, col } = this.#lines.linePos(offset);
    return `${this.#file}:${line}:${col}`;
  }

  /**
   * A mapping's entries, those that are merged in behind its own, which win.
   * @param problems gets keys that stand twice, and what cannot be merged in
   */
  entries(map: YAMLMap, problems: string[]): readonly YamlEntry[] {
    const entries = new Map<string, YamlEntry>();
    this.#collect(map, entries, problems);
    return [...entries.values()];
  }

  #collect(map: YAMLMap, entries: Map<string, YamlEntry>, problems: string[]): void {
    const merged: { place: string; value: Node | null }[] = [];
    const own = new Set<string>();
    for (const pair of map.items) {
      const key = this.#aliases.resolve(pair.key);
      const name = isScalar(key) ? String(key.value) : '';
      const place = this.at((pair.key as Node).range?.[0] ?? 0);
      const value = this.#aliases.resolve(pair.value);
      if (isMergeKey(key)) {
        merged.push({ place, value });
        continue;
      }
      if (own.has(name)) problems.push(`${place}: ${JSON.stringify(name)} stands twice in this mapping`);
      own.add(name);
      if (!entries.has(name)) entries.set(name, { name, place, value });
    }
    for (const { place, value } of merged) {
      for (const one of isSeq(value) ? value.items.map((item) => this.#aliases.resolve(item)) : [value]) {
        if (isMap(one)) this.#collect(one, entries, problems);
        else problems.push(`${place}: only mappings can be merged in`);
      }
    }
  }

  /** @param problems as of `entries` */
  toJs(node: Node | null, problems: string[]): unknown {
    if (isScalar(node)) return node.value;
    if (isSeq(node)) return node.items.map((item) => this.toJs(this.#aliases.resolve(item), problems));
    if (!isMap(node)) return null;
    return Object.fromEntries(
      this.entries(node, problems).map(({ name, value }) => [name, this.toJs(value, problems)]),
    );
  }
}

/** An entry of a mapping, with the place of its key; its value is no alias. */
export interface YamlEntry {
  readonly name: string;
  readonly place: string;
  readonly value: Node | null;
}

function isMergeKey(key: unknown): boolean {
  return isScalar(key) && key.value === '<<' && key.type === 'PLAIN';
}

/** Reads mappings against declared settings. Every problem names file, line and column. */
export class SettingsReader {
  readonly #byPath: ReadonlyMap<string, Setting>;
  /** Paths that are no settings but have some below them. */
  readonly #prefixes = new Set<string>();

  constructor(settings: readonly Setting[]) {
    this.#byPath = new Map(settings.map((setting) => [setting.path, setting]));
    for (const { path } of settings) {
      for (let dot = path.indexOf('.'); dot >= 0; dot = path.indexOf('.', dot + 1)) {
        this.#prefixes.add(path.slice(0, dot));
      }
    }
  }

  read(file: YamlFile, map: YAMLMap): FileValues {
    const values = new Map<string, unknown>();
    const problems: string[] = [];
    this.#walk(file, map, '', values, problems);
    return { values, problems };
  }

  #walk(file: YamlFile, map: YAMLMap, prefix: string, values: Map<string, unknown>, problems: string[]): void {
    for (const { name, place, value } of file.entries(map, problems)) {
      const path = prefix + name;
      const setting = this.#byPath.get(path);
      if (setting !== undefined) {
        const read = readNode(value, setting, file);
        if ('problem' in read) problems.push(`${place}: ${path}: ${read.problem}`);
        else values.set(path, read.value);
      } else if (!this.#prefixes.has(path)) {
        problems.push(`${place}: unknown key ${JSON.stringify(path)}${nearest(name, this.#siblings(prefix))}`);
      } else if (isMap(value)) {
        this.#walk(file, value, `${path}.`, values, problems);
      } else if (!isNull(value)) {
        problems.push(`${place}: ${path} must be a mapping`);
      }
    }
  }

  #siblings(prefix: string): Set<string> {
    const known = [...this.#byPath.keys(), ...this.#prefixes].filter((path) => path.startsWith(prefix));
    return new Set(known.map((path) => path.slice(prefix.length)).filter((rest) => !rest.includes('.')));
  }
}

export function readFile(text: string, file: string, settings: readonly Setting[]): FileValues {
  const parsed = YamlFile.parse(text, file);
  if (parsed.top === undefined || parsed.problems.length > 0) return { values: new Map(), problems: parsed.problems };
  return new SettingsReader(settings).read(parsed, parsed.top);
}

export function isNull(node: unknown): boolean {
  return node === null || (isScalar(node) && node.value === null);
}

/** The value of a node, read by its setting's field. */
function readNode(node: Node | null, { field }: Setting, file: YamlFile): { value: unknown } | { problem: string } {
  try {
    if (node === null || isNull(node)) return field.valueWanted ? { problem: NO_VALUE } : { value: field.default };
    // the text as written: YAML would make 1e3 of it, or a date, or an octal number
    if (isScalar(node)) {
      return { value: field.parse(typeof node.value === 'string' ? node.value : (node.source ?? '')) };
    }
    if (field.parseNode === undefined) return { problem: `a ${field.kind} is wanted, not a list or mapping` };
    const problems: string[] = [];
    const value = file.toJs(node, problems);
    return problems.length > 0 ? { problem: problems.join('; ') } : { value: field.parseNode(value) };
  } catch (thrown) {
    return { problem: thrown instanceof Error ? thrown.message : String(thrown) };
  }
}

/** `${NAME}` and `${NAME:default}` by the environment; line breaks stay where they are. */
export function expandEnv(text: string, env: Readonly<Record<string, string | undefined>>): string {
  return text.replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)(?::([^}]*))?\}/g, (_, name: string, otherwise?: string) => {
    const value = env[name];
    return value === undefined || value === '' ? (otherwise ?? '') : value;
  });
}
