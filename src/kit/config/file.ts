import { isAlias, isMap, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import { nearest } from './problem.ts';
import type { Setting } from './section.ts';

/** Settings of a file by their path (`ingester.window`), read but not yet joined with flags. */
export interface FileValues {
  readonly values: ReadonlyMap<string, unknown>;
  readonly problems: readonly string[];
}

/** Alias nodes are the one way in which a small file becomes a large value. */
const YAML_ALIASES_MAX = 100;

/** Reads a YAML file against the declared settings. Every problem names file, line and column. */
export function readFile(text: string, file: string, settings: readonly Setting[]): FileValues {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const problems = document.errors.map((error) => `${at(error.pos[0])}: ${error.message}`);
  const values = new Map<string, unknown>();
  if (problems.length > 0 || document.contents === null) return { values, problems };

  const byPath = new Map(settings.map((setting) => [setting.path, setting]));
  const prefixes = new Set<string>();
  for (const { path } of settings) {
    for (let dot = path.indexOf('.'); dot >= 0; dot = path.indexOf('.', dot + 1)) prefixes.add(path.slice(0, dot));
  }
  const toJs = (node: Node): unknown => node.toJS(document, { maxAliasCount: YAML_ALIASES_MAX });
  const walk = (node: Node, prefix: string) => {
    if (!isMap(node)) {
      problems.push(`${at(node.range?.[0] ?? 0)}: ${prefix === '' ? 'the file' : prefix} must be a mapping`);
      return;
    }
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? String(key.value) : '';
      const path = prefix === '' ? name : `${prefix}.${name}`;
      const place = at(isScalar(key) ? (key.range?.[0] ?? 0) : 0);
      const setting = byPath.get(path);
      if (setting !== undefined) {
        const read = readNode(value as Node | null, setting, toJs);
        if ('problem' in read) problems.push(`${place}: ${path}: ${read.problem}`);
        else values.set(path, read.value);
      } else if (prefixes.has(path)) {
        if (value !== null && !(isScalar(value) && value.value === null)) walk(value as Node, path);
      } else {
        const siblings = new Set(
          [...byPath.keys(), ...prefixes]
            .filter((known) => (prefix === '' ? true : known.startsWith(`${prefix}.`)))
            .map((known) => known.slice(prefix === '' ? 0 : prefix.length + 1))
            .filter((rest) => !rest.includes('.')),
        );
        problems.push(`${place}: unknown key ${JSON.stringify(path)}${nearest(name, siblings)}`);
      }
    }
  };
  walk(document.contents as Node, '');
  return { values, problems };
}

/** What a node says, read by its setting's field. */
function readNode(
  node: Node | null,
  { field }: Setting,
  toJs: (node: Node) => unknown,
): { value: unknown } | { problem: string } {
  try {
    if (node === null || (isScalar(node) && node.value === null)) return { value: field.default };
    if (isAlias(node)) return { problem: 'aliases are not taken here' };
    // the text as written: YAML would make 1e3 of it, or a date, or an octal number
    if (isScalar(node))
      return { value: field.parse(typeof node.value === 'string' ? node.value : (node.source ?? '')) };
    if (field.parseNode === undefined) return { problem: `a ${field.kind} is wanted, not a list or mapping` };
    return { value: field.parseNode(toJs(node)) };
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
