import { formatBytes, formatDuration, parseBytes, parseDuration } from './units.ts';

/**
 * One thing an operator may set. A field knows its default, how to read what a flag or file says, and how to print
 * itself; where it stands (section, YAML key, flag) is the section's business.
 */
export interface Field<T> {
  readonly default: T;
  readonly help: string;
  /** For `--help` and the reference page: `duration`, `size`, `text`, … */
  readonly kind: string;
  /** Flag where it differs from `-section.name`, without the dash; `null`: only in the file. */
  readonly flag?: string | null;
  /** YAML key where it differs from the field's name in snake case. */
  readonly key?: string;
  /** Masked wherever configuration is shown. */
  readonly secret: boolean;
  /** A boolean flag may stand without a value. */
  readonly boolean: boolean;
  /** Given more than once, the values add up. */
  readonly repeatable: boolean;
  /** Written without a value it is refused: an empty variable of the environment is not a choice. */
  readonly valueWanted: boolean;
  /** A later version acts on it: nothing but its default is taken, and no page lists it. */
  readonly planned: boolean;
  /** Reads a flag's text, or several of a repeatable flag. Throws with the reason; the caller adds flag, or file and line. */
  parse(text: string): T;
  /** Reads a list or a mapping of the file; absent: only plain values are taken. */
  parseNode?(value: unknown): T;
  /** As it would stand in a file. */
  print(value: T): unknown;
}

/** Options that every maker takes. */
interface Spec {
  readonly help: string;
  readonly flag?: string | null;
  readonly key?: string;
}

/** A length of time in milliseconds, written as Prometheus does: `1h30m`, `15s`, `100ms`. */
export function duration(spec: Spec & { default: string; min?: string; max?: string }): Field<number> {
  const minMs = spec.min === undefined ? 0 : parseDuration(spec.min);
  const maxMs = spec.max === undefined ? Number.POSITIVE_INFINITY : parseDuration(spec.max);
  return field(spec, 'duration', parseDuration(spec.default), {
    parse(text) {
      const ms = parseDuration(text);
      if (ms < minMs) throw new RangeError(`${text} is below the least, ${spec.min}`);
      if (ms > maxMs) throw new RangeError(`${text} is above the most, ${spec.max}`);
      return ms;
    },
    print: formatDuration,
  });
}

/** A whole number. */
export function count(spec: Spec & { default: number; min?: number; max?: number }): Field<number> {
  return field(spec, 'count', spec.default, {
    parse(text) {
      if (!/^\d+$/.test(text)) throw new RangeError(`${text} is not a whole number`);
      return within(spec, Number(text), text);
    },
    print: (value) => value,
  });
}

/** Any finite number. */
export function ratio(spec: Spec & { default: number; min?: number; max?: number }): Field<number> {
  return field(spec, 'number', spec.default, {
    parse(text) {
      const value = Number(text);
      if (text.trim() === '' || !Number.isFinite(value)) throw new RangeError(`${text} is not a number`);
      return within(spec, value, text);
    },
    print: (value) => value,
  });
}

/** A size in bytes: `512KiB`, `3GiB`, or a plain number. */
export function bytes(spec: Spec & { default: string; min?: string }): Field<number> {
  const least = spec.min === undefined ? 0 : parseBytes(spec.min);
  return field(spec, 'size', parseBytes(spec.default), {
    parse(text) {
      const size = parseBytes(text);
      if (size < least) throw new RangeError(`${text} is below the least, ${spec.min}`);
      return size;
    },
    print: formatBytes,
  });
}

export function text(
  spec: Spec & { default?: string; valueWanted?: boolean; check?: (value: string) => void },
): Field<string> {
  const { valueWanted = false } = spec;
  const reads = {
    parse(value: string) {
      if (valueWanted && value === '') throw new RangeError(NO_VALUE);
      spec.check?.(value);
      return value;
    },
    print: (value: string) => value,
  };
  return { ...field(spec, 'text', spec.default ?? '', reads), valueWanted };
}

/** Said of what is written without a value, and wants one. */
export const NO_VALUE = 'it is given, but empty; give it a value or leave it out';

/** Text that is never shown. */
export function secret(spec: Spec & { valueWanted?: boolean }): Field<string> {
  return { ...text(spec), kind: 'secret', secret: true };
}

/** Yes or no. */
export function toggle(spec: Spec & { default: boolean }): Field<boolean> {
  return {
    ...field(spec, 'boolean', spec.default, {
      parse(value) {
        if (value === 'true') return true;
        if (value === 'false') return false;
        throw new RangeError(`${value} is neither true nor false`);
      },
      print: (value) => value,
    }),
    boolean: true,
  };
}

/** One of a few words. */
export function choice<const V extends string>(spec: Spec & { default: NoInfer<V>; values: readonly V[] }): Field<V> {
  return field<V>(spec, spec.values.join('|'), spec.default, {
    parse(value) {
      const found = spec.values.find((one) => one === value);
      if (found === undefined) throw new RangeError(`${value} is none of ${spec.values.join(', ')}`);
      return found;
    },
    print: (value) => value,
  });
}

/** Several words, separated by commas; the flag may be repeated; in the file also a list. */
export function list(
  spec: Spec & { default?: readonly string[]; check?: (value: string) => void },
): Field<readonly string[]> {
  const checked = (values: string[]) => {
    for (const value of values) spec.check?.(value);
    return values;
  };
  return {
    ...field<readonly string[]>(spec, 'list', spec.default ?? [], {
      parse: (value) =>
        checked(
          value
            .split(',')
            .map((part) => part.trim())
            .filter((part) => part !== ''),
        ),
      parseNode(value) {
        if (!Array.isArray(value)) throw new RangeError('a list is wanted');
        return checked(value.map(String));
      },
      print: (value) => [...value],
    }),
    repeatable: true,
  };
}

/** Names with a text each: `{cluster: eu}`. Only in the file. */
export function mapping(spec: Omit<Spec, 'flag'>): Field<Readonly<Record<string, string>>> {
  return field<Readonly<Record<string, string>>>(
    { ...spec, flag: null },
    'mapping',
    {},
    {
      parse() {
        throw new RangeError('a mapping is wanted');
      },
      parseNode(value) {
        if (typeof value !== 'object' || value === null || Array.isArray(value))
          throw new RangeError('a mapping is wanted');
        return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, String(one)]));
      },
      print: (value) => ({ ...value }),
    },
  );
}

/** Anything else that a file may hold. Only in the file. */
export function structure<T>(
  spec: Omit<Spec, 'flag'> & { default: T; parse: (value: unknown) => T; print: (value: T) => unknown },
): Field<T> {
  return field<T>({ ...spec, flag: null }, 'structure', spec.default, {
    parse() {
      throw new RangeError('a list or mapping is wanted');
    },
    parseNode: spec.parse,
    print: spec.print,
  });
}

/** A list of mappings, each read as one value; only in the file. */
export function records<T>(
  spec: Omit<Spec, 'flag'> & {
    /** Throws with the reason. */
    read(record: Readonly<Record<string, string>>): T;
    print(value: T): Readonly<Record<string, string>>;
  },
): Field<readonly T[]> {
  return field<readonly T[]>({ ...spec, flag: null }, 'list of mappings', [], {
    parse() {
      throw new RangeError('a list of mappings is wanted');
    },
    parseNode(value) {
      if (!Array.isArray(value)) throw new RangeError('a list of mappings is wanted');
      return value.map((one: unknown, i) => {
        if (typeof one !== 'object' || one === null || Array.isArray(one)) {
          throw new RangeError(`entry ${i + 1} is not a mapping`);
        }
        const record = Object.fromEntries(Object.entries(one).map(([name, each]) => [name, String(each)]));
        try {
          return spec.read(record);
        } catch (error) {
          throw new RangeError(`entry ${i + 1}: ${(error as Error).message}`);
        }
      });
    },
    print: (values) => values.map((value) => spec.print(value)),
  });
}

/** A setting that is known, but that nothing acts on in this version. Its default may be written down; what differs is refused. */
export function planned<T>(of: Field<T>): Field<T> {
  const { parseNode } = of;
  const standing = JSON.stringify(of.print(of.default));
  const checked = (value: T): T => {
    if (JSON.stringify(of.print(value)) === standing) return value;
    throw new RangeError(`not in this version: nothing but the default, ${standing}, is taken`);
  };
  return {
    ...of,
    planned: true,
    parse: (text) => checked(of.parse(text)),
    ...(parseNode === undefined ? {} : { parseNode: (value: unknown) => checked(parseNode(value)) }),
  };
}

function field<T>(
  spec: Spec,
  kind: string,
  value: T,
  reads: Pick<Field<T>, 'parse' | 'parseNode' | 'print'>,
): Field<T> {
  return {
    default: value,
    help: spec.help,
    kind,
    flag: spec.flag,
    key: spec.key,
    secret: false,
    boolean: false,
    repeatable: false,
    valueWanted: false,
    planned: false,
    ...reads,
  };
}

function within(spec: { min?: number; max?: number }, value: number, text: string): number {
  if (spec.min !== undefined && value < spec.min) throw new RangeError(`${text} is below the least, ${spec.min}`);
  if (spec.max !== undefined && value > spec.max) throw new RangeError(`${text} is above the most, ${spec.max}`);
  return value;
}
