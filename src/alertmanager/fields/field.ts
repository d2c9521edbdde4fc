import { isMap, isScalar, isSeq, type Node } from 'yaml';
import { quoteGo } from '../../model/labels.ts';
import { ConfigError } from './config-error.ts';
import type { Reading } from './reading.ts';
import { secretToken } from './secret.ts';

/** One field of a mapping: how it is read, and what it is where it is not given. */
export interface Field<T> {
  readonly initial: T;
  read(reading: Reading, node: Node | null): T;
}

// biome-ignore lint/suspicious/noExplicitAny: a table holds fields of all types
export type Fields = Readonly<Record<string, Field<any>>>;
export type Values<F extends Fields> = { readonly [Name in keyof F]: F[Name] extends Field<infer T> ? T : never };

/**
 * Reads a mapping. `check` comes only where all of it could be read, as in Go.
 * @throws ConfigError what `check` or a field finds
 */
export function readFields<F extends Fields>(
  reading: Reading,
  node: Node | null,
  type: string,
  fields: F,
  check?: (values: Values<F>) => void,
): Values<F> {
  reading.count();
  const { yaml } = reading;
  const problems = yaml.problems.length;
  const values: Record<string, unknown> = {};
  for (const [name, { initial }] of Object.entries(fields)) values[name] = initial;
  const readers = Object.entries(fields).map(
    ([name, field]) =>
      [
        name,
        (value: Node | null) => {
          values[name] = field.read(reading, value);
        },
      ] as const,
  );
  yaml.mapping(node, type, Object.fromEntries(readers));
  if (yaml.problems.length === problems) check?.(values as Values<F>);
  return values as Values<F>;
}

export function text(initial = ''): Field<string> {
  return { initial, read: ({ yaml }, node) => yaml.string(node) };
}

/** Undefined where it is not given, or empty. */
export const optionalText: Field<string | undefined> = {
  initial: undefined,
  read: ({ yaml }, node) => yaml.string(node) || undefined,
};

export function flag(initial = false): Field<boolean> {
  return { initial, read: ({ yaml }, node) => yaml.boolean(node) };
}

export const optionalFlag: Field<boolean | undefined> = {
  initial: undefined,
  read: ({ yaml }, node) => (yaml.isNothing(node) ? undefined : yaml.boolean(node)),
};

export function integer(initial = 0): Field<number> {
  return { initial, read: ({ yaml }, node) => yaml.integer(node) };
}

/** In Prometheus' grammar. */
export const optionalDuration: Field<number | undefined> = {
  initial: undefined,
  read: ({ yaml }, node) => (yaml.isNothing(node) ? undefined : yaml.duration(node)),
};

export function duration(initialMs: number): Field<number> {
  return { initial: initialMs, read: ({ yaml }, node) => yaml.duration(node) };
}

/** In Go's own grammar: `1m30s`, `1.5h`. */
export function goDuration(initialMs = 0): Field<number> {
  return {
    initial: initialMs,
    read({ yaml }, node) {
      const given = yaml.string(node);
      const ms = parseGoDuration(given);
      if (ms === undefined) throw new ConfigError(`time: invalid duration ${quoteGo(given)}`);
      return ms;
    },
  };
}

const GO_UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

function parseGoDuration(given: string): number | undefined {
  if (given === '' || given === '0') return 0;
  if (given.length > 100 || !/^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h))+$/.test(given)) return undefined;
  let ms = 0;
  for (const [, amount, unit] of given.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)/g)) {
    ms += Number(amount) * GO_UNITS[unit!]!;
  }
  return given.startsWith('-') ? -ms : ms;
}

export const texts: Field<readonly string[]> = {
  initial: [],
  read({ yaml }, node) {
    return yaml.strings(node);
  },
};

export const textMap: Field<ReadonlyMap<string, string>> = {
  initial: new Map(),
  read: ({ yaml }, node) => yaml.stringMap(node),
};

/** Neither shown nor written to logs. */
export const secret: Field<string> = {
  initial: '',
  read(reading, node) {
    reading.hide(node);
    return reading.yaml.string(node);
  },
};

/** Files of the server are not for tenants. */
export function noFile(name: string): Field<''> {
  return {
    initial: '',
    read({ yaml }, node) {
      if (yaml.string(node) !== '') throw new ConfigError(`setting ${name} is not allowed`);
      return '';
    },
  };
}

/** A setting of the Alertmanager that there is not here. */
export function unsupported(name: string, why: string): Field<undefined> {
  return {
    initial: undefined,
    read({ yaml }, node) {
      if (yaml.isNothing(node)) return undefined;
      throw new ConfigError(`setting ${name} is not supported: ${why}`);
    },
  };
}

/** @throws ConfigError */
export function parseUrl(given: string, shown = given): URL {
  const scheme = /^([a-zA-Z][a-zA-Z0-9+.-]*):/.exec(given)?.[1]?.toLowerCase() ?? '';
  if (scheme !== 'http' && scheme !== 'https') throw new ConfigError(`unsupported scheme ${quoteGo(scheme)} for URL`);
  if (!/^[^:]+:\/\/[^/?#]/.test(given)) throw new ConfigError('missing host for URL');
  const url = URL.parse(given);
  if (url === null) throw new ConfigError(`parse ${quoteGo(shown)}: invalid URL`);
  return url;
}

export const url: Field<URL | undefined> = {
  initial: undefined,
  read: ({ yaml }, node) => (yaml.isNothing(node) ? undefined : parseUrl(yaml.string(node))),
};

export const secretUrl: Field<URL | undefined> = {
  initial: undefined,
  read(reading, node) {
    if (reading.yaml.isNothing(node)) return undefined;
    reading.hide(node);
    return parseUrl(reading.yaml.string(node), secretToken);
  },
};

/** A list of mappings. */
export function listOf<T>(read: (reading: Reading, node: Node | null) => T, type: string): Field<readonly T[]> {
  return {
    initial: [],
    read: (reading, node) => reading.yaml.list(node, type, (item) => read(reading, item)),
  };
}

/** A mapping that may be missing. */
export function optional<T>(read: (reading: Reading, node: Node | null) => T): Field<T | undefined> {
  return {
    initial: undefined,
    read: (reading, node) => (reading.yaml.isNothing(node) ? undefined : read(reading, node)),
  };
}

/** Any values inside each other; texts in them are templates. */
export type Tree = string | number | boolean | null | readonly Tree[] | { readonly [key: string]: Tree };

const treeDepthMax = 32;

export const tree: Field<Tree | undefined> = {
  initial: undefined,
  read: (reading, node) => (reading.yaml.isNothing(node) ? undefined : treeOf(reading, node, 0)),
};

function treeOf(reading: Reading, given: Node | null, depth: number): Tree {
  reading.count();
  if (depth > treeDepthMax) {
    throw new ConfigError(`values inside each other: limit of ${treeDepthMax} exceeded (alertmanager_tree_depth_max)`);
  }
  const node = reading.yaml.resolved(given);
  if (isSeq(node)) return node.items.map((item) => treeOf(reading, item as Node | null, depth + 1));
  if (isMap(node)) {
    const entries = node.items.map(({ key, value }) => [
      reading.yaml.string(key as Node),
      treeOf(reading, value as Node | null, depth + 1),
    ]);
    return Object.fromEntries(entries);
  }
  const value = isScalar(node) ? node.value : null;
  return typeof value === 'number' || typeof value === 'boolean' || value === null ? value : reading.yaml.string(node);
}
