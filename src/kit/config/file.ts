import { isAlias, isMap, isScalar, LineCounter, type Node, parseDocument, type YAMLMap } from 'yaml';
import { NO_VALUE } from './field.ts';
import { nearest } from './problem.ts';
import type { Setting } from './section.ts';

/** Settings of a file by their path (`ingester.window`), read but not yet joined with flags. */
export interface FileValues {
  readonly values: ReadonlyMap<string, unknown>;
  readonly problems: readonly string[];
}

/** Alias nodes are the one way in which a small file becomes a large value. */
const YAML_ALIASES_MAX = 100;

/** A YAML file taken apart, with the place of everything in it. */
export class YamlFile {
  /** The topmost mapping; undefined for an empty file. */
  readonly top: YAMLMap | undefined;
  /** Why it is no YAML, or no mapping. */
  readonly problems: readonly string[];
  readonly #file: string;
  readonly #lines = new LineCounter();
  readonly #document: ReturnType<typeof parseDocument>;

  private constructor(text: string, file: string) {
    this.#file = file;
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false });
    const { errors, contents } = this.#document;
    const problems = errors.map((error) => `${this.at(error.pos[0])}: ${error.message}`);
    if (problems.length === 0 && contents !== null && !isMap(contents)) {
      problems.push(`${this.at(0)}: the file must be a mapping`);
    }
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

  /** A key with its place. */
  key(key: unknown): { readonly name: string; readonly place: string } {
    return isScalar(key)
      ? { name: String(key.value), place: this.at(key.range?.[0] ?? 0) }
      : { name: '', place: this.at(0) };
  }

  toJs(node: Node): unknown {
    return node.toJS(this.#document, { maxAliasCount: YAML_ALIASES_MAX });
  }
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
    for (const { key, value } of map.items) {
      const { name, place } = file.key(key);
      const path = prefix + name;
      const setting = this.#byPath.get(path);
      if (setting !== undefined) {
        const read = readNode(value as Node | null, setting, file);
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

/** What a node says, read by its setting's field. */
function readNode(node: Node | null, { field }: Setting, file: YamlFile): { value: unknown } | { problem: string } {
  try {
    if (node === null || isNull(node)) return field.valueWanted ? { problem: NO_VALUE } : { value: field.default };
    if (isAlias(node)) return { problem: 'aliases are not taken here' };
    // the text as written: YAML would make 1e3 of it, or a date, or an octal number
    if (isScalar(node)) {
      return { value: field.parse(typeof node.value === 'string' ? node.value : (node.source ?? '')) };
    }
    if (field.parseNode === undefined) return { problem: `a ${field.kind} is wanted, not a list or mapping` };
    return { value: field.parseNode(file.toJs(node)) };
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
