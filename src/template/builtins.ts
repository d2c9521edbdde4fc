import type { Budget } from './budget.ts';
import { type Bytes, decodeRune, encodeRune, isPrint } from './bytes.ts';
import { sprint, sprintf, sprintln } from './format.ts';
import {
  ANY,
  BOOL,
  CallError,
  canBeNil,
  type Func,
  INT,
  indirect,
  indirectInterface,
  integer,
  isAssignable,
  isNil,
  isTrue,
  kindOf,
  list,
  placed,
  REFLECT,
  STRING,
  stringOf,
  type Type,
  typeOf,
  UINT8,
  type Value,
  wholeOf,
  zeroOf,
} from './value.ts';

/** The functions that every template has, as `text/template` defines them. */

type Call = Func['call'];

function func(types: readonly Type[], out: Type, call: Call): Func {
  return { in: types, out, call };
}

function variadic(types: readonly Type[], out: Type, call: Call): Func {
  return { in: types, variadic: true, out, call };
}

/** `and` and `or` have only their signature here: they do not evaluate all arguments. */
export const COMPARISONS_AND_MORE: ReadonlyMap<Bytes, Func> = new Map([
  ['and', variadic([REFLECT, REFLECT], REFLECT, ([value]) => value)],
  ['or', variadic([REFLECT, REFLECT], REFLECT, ([value]) => value)],
  ['not', func([REFLECT], BOOL, ([value]) => !isTrue(indirectInterface(value)))],
  ['call', variadic([REFLECT, REFLECT], REFLECT, (args, budget) => callNamed('', args, budget))],
  ['html', variadic([ANY], STRING, (args, budget) => escaped(args, budget, escapeHtml))],
  ['js', variadic([ANY], STRING, (args, budget) => escaped(args, budget, escapeJs))],
  ['urlquery', variadic([ANY], STRING, (args, budget) => escaped(args, budget, escapeQuery))],
  ['index', variadic([REFLECT, REFLECT], REFLECT, ([item, ...indexes]) => index(item, indexes))],
  ['slice', variadic([REFLECT, REFLECT], REFLECT, ([item, ...indexes]) => slice(item, indexes))],
  ['len', func([REFLECT], INT, ([item]) => length(item))],
  ['print', variadic([ANY], STRING, sprint)],
  ['println', variadic([ANY], STRING, sprintln)],
  ['printf', variadic([STRING, ANY], STRING, ([format, ...args], budget) => sprintf(stringOf(format)!, args, budget))],
  ['eq', variadic([REFLECT, REFLECT], BOOL, ([first, ...others], budget) => isEqual(first, others, budget))],
  ['ne', func([REFLECT, REFLECT], BOOL, ([a, b], budget) => !isEqual(a, [b], budget))],
  ['lt', func([REFLECT, REFLECT], BOOL, ([a, b]) => isLess(a, b))],
  ['le', func([REFLECT, REFLECT], BOOL, ([a, b], budget) => isLess(a, b) || isEqual(a, [b], budget))],
  ['gt', func([REFLECT, REFLECT], BOOL, ([a, b], budget) => !isLess(a, b) && !isEqual(a, [b], budget))],
  ['ge', func([REFLECT, REFLECT], BOOL, ([a, b]) => !isLess(a, b))],
]);

/** @param name of what is called, as it stands in the template. */
export function callNamed(name: Bytes, [given, ...args]: readonly Value[], budget: Budget): Value {
  const callee = indirectInterface(given);
  if (callee === undefined) throw new CallError('call of nil');
  if (typeof callee !== 'object' || callee.tag !== 'func') {
    throw new CallError(`non-function ${name} of type ${typeOf(callee).name}`);
  }
  const { in: types, variadic: isVariadic = false, call, out } = callee.func;
  const least = types.length - 1;
  if (isVariadic ? args.length < least : args.length !== types.length) {
    const want = isVariadic ? `at least ${least}` : String(types.length);
    throw new CallError(`wrong number of args for ${name}: got ${args.length} want ${want}`);
  }
  const prepared = args.map((arg, i) => {
    try {
      return prepare(indirectInterface(arg), types[Math.min(i, least)]!);
    } catch (thrown) {
      if (thrown instanceof CallError) throw new CallError(`arg ${i}: ${thrown.message}`);
      throw thrown;
    }
  });
  return placed(call(prepared, budget), out);
}

function prepare(value: Value, type: Type): Value {
  if (value === undefined) {
    if (!canBeNil(type)) throw new CallError(`value is nil; should be of type ${type.name}`);
    return zeroOf(type);
  }
  if (isAssignable(typeOf(value), type)) return value;
  const whole = wholeOf(value);
  if (whole !== undefined && (type.kind === 'int' || type.kind === 'uint')) {
    return type === INT ? whole : integer(whole, type);
  }
  throw new CallError(`value has type ${typeOf(value).name}; should be ${type.name}`);
}

function indexOf(given: Value, capacity: number): number {
  const value = indirectInterface(given);
  if (value === undefined) throw new CallError('cannot index slice/array with nil');
  const whole = wholeOf(value);
  if (whole === undefined) throw new CallError(`cannot index slice/array with type ${typeOf(value).name}`);
  if (whole < 0n || whole > BigInt(capacity)) throw new CallError(`index out of range: ${whole}`);
  return Number(whole);
}

function index(given: Value, indexes: readonly Value[]): Value {
  let item = indirectInterface(given);
  if (item === undefined) throw new CallError('index of untyped nil');
  for (const at of indexes) {
    const { value, isNil: isNilPointer } = indirect(item);
    if (isNilPointer) throw new CallError('index of nil pointer');
    const bytes = stringOf(value);
    if (bytes !== undefined) {
      const i = indexOf(at, bytes.length);
      if (i === bytes.length) throw new CallError('reflect: string index out of range');
      item = integer(BigInt(bytes.charCodeAt(i)), UINT8);
    } else if (typeof value === 'object' && value.tag === 'list') {
      const i = indexOf(at, value.items.length);
      if (i === value.items.length) throw new CallError('reflect: slice index out of range');
      item = placed(value.items[i], value.type.elem!);
    } else if (typeof value === 'object' && value.tag === 'map') {
      const key = stringOf(prepare(indirectInterface(at), STRING))!;
      const elem = value.type.elem!;
      item = value.entries.has(key) ? placed(value.entries.get(key), elem) : zeroOf(elem);
    } else throw new CallError(`can't index item of type ${typeOf(value as Exclude<Value, undefined>).name}`);
  }
  return item;
}

function slice(given: Value, indexes: readonly Value[]): Value {
  const unwrapped = indirectInterface(given);
  if (unwrapped === undefined) throw new CallError('slice of untyped nil');
  const { value, isNil: isNilPointer } = indirect(unwrapped);
  if (isNilPointer) throw new CallError('slice of nil pointer');
  if (indexes.length > 3) throw new CallError(`too many slice indexes: ${indexes.length}`);
  const bytes = stringOf(value);
  const items = typeof value === 'object' && value.tag === 'list' ? value.items : undefined;
  if (bytes !== undefined && indexes.length === 3) throw new CallError('cannot 3-index slice a string');
  const size = bytes?.length ?? items?.length;
  if (size === undefined) {
    throw new CallError(`can't slice item of type ${typeOf(value as Exclude<Value, undefined>).name}`);
  }
  const bounds = [0, size, size];
  indexes.forEach((at, i) => {
    bounds[i] = indexOf(at, size);
  });
  const [start, end, capacity] = bounds as [number, number, number];
  if (start > end) throw new CallError(`invalid slice index: ${start} > ${end}`);
  if (indexes.length === 3 && end > capacity) throw new CallError(`invalid slice index: ${end} > ${capacity}`);
  if (items !== undefined) return list(items.slice(start, end), typeOf(value as Exclude<Value, undefined>));
  const part = bytes!.slice(start, end);
  return typeof value === 'object' && value.tag === 'string' ? { ...value, bytes: part } : part;
}

function length(given: Value): Value {
  const { value, isNil: isNilPointer } = indirect(given);
  if (isNilPointer) throw new CallError('len of nil pointer');
  const bytes = stringOf(value);
  if (bytes !== undefined) return BigInt(bytes.length);
  if (typeof value === 'object' && value.tag === 'list') return BigInt(value.items.length);
  if (typeof value === 'object' && value.tag === 'map') return BigInt(value.entries.size);
  if (value === undefined) throw new CallError('reflect: call of reflect.Value.Type on zero Value');
  throw new CallError(`len of type ${typeOf(value).name}`);
}

/** Kinds that can be compared with `lt`, and some that only `eq` knows. */
const BASIC = new Set(['bool', 'int', 'uint', 'float', 'complex', 'string']);

function basicKind(value: Value): string | undefined {
  const kind = kindOf(value);
  return kind !== undefined && BASIC.has(kind) ? kind : undefined;
}

function isEqual(given: Value, others: readonly Value[], budget: Budget): boolean {
  const first = indirectInterface(given);
  if (others.length === 0) throw new CallError('missing argument for comparison');
  return others.some((other) => areEqual(first, indirectInterface(other), budget));
}

function areEqual(a: Value, b: Value, budget: Budget): boolean {
  const [kindA, kindB] = [basicKind(a), basicKind(b)];
  if (kindA !== kindB) {
    const [wholeA, wholeB] = [wholeOf(a), wholeOf(b)];
    if (wholeA !== undefined && wholeB !== undefined) return wholeA === wholeB;
    if (a === undefined || b === undefined) return false;
    throw incompatible(a, b);
  }
  switch (kindA) {
    case 'bool':
    case 'float':
      return a === b;
    case 'int':
    case 'uint':
      return wholeOf(a) === wholeOf(b);
    case 'string': {
      const bytes = stringOf(a)!;
      budget.read(bytes.length);
      return bytes === stringOf(b);
    }
    case 'complex':
      return typeof a === 'object' && a.tag === 'complex' && typeof b === 'object' && b.tag === 'complex'
        ? a.re === b.re && a.im === b.im
        : false;
  }
  if (isNil(a) || isNil(b)) return isNil(a) === isNil(b);
  if (kindOf(a) !== kindOf(b)) {
    const [shownA, shownB] = [sprintf('%s', [a], budget), sprintf('%v', [b], budget)];
    throw new CallError(`non-comparable types ${shownA}: ${typeName(a)}, ${typeName(b)}: ${shownB}`);
  }
  if (kindOf(b) === 'list' || kindOf(b) === 'map' || kindOf(b) === 'func') {
    throw new CallError(`non-comparable type ${sprintf('%s', [b], budget)}: ${typeName(b)}`);
  }
  if (typeof a === 'object' && a.tag === 'time' && typeof b === 'object' && b.tag === 'time') {
    return a.seconds === b.seconds && a.nanos === b.nanos && a.zone === b.zone;
  }
  return a === b;
}

function typeName(value: Value): string {
  return value === undefined ? '<nil>' : typeOf(value).name;
}

function incompatible(a: Exclude<Value, undefined>, b: Exclude<Value, undefined>): CallError {
  return new CallError(`incompatible types for comparison: ${typeOf(a).name} and ${typeOf(b).name}`);
}

function isLess(givenA: Value, givenB: Value): boolean {
  const [a, b] = [indirectInterface(givenA), indirectInterface(givenB)];
  const [kindA, kindB] = [basicKind(a), basicKind(b)];
  if (kindA === undefined || kindB === undefined) throw new CallError('invalid type for comparison');
  const [wholeA, wholeB] = [wholeOf(a), wholeOf(b)];
  if (wholeA !== undefined && wholeB !== undefined) return wholeA < wholeB;
  if (kindA !== kindB) throw incompatible(a!, b!);
  if (kindA === 'float') return (a as number) < (b as number);
  if (kindA === 'string') return stringOf(a)! < stringOf(b)!;
  throw new CallError('invalid type for comparison');
}

function escaped(args: readonly Value[], budget: Budget, escaper: (bytes: Bytes) => Bytes): Bytes {
  const [only] = args;
  const bytes =
    args.length === 1 && typeof only === 'string'
      ? only
      : sprint(
          args.map((arg) => printable(arg)),
          budget,
        );
  // an escape is at most six bytes long
  budget.make(bytes.length * 2);
  return escaper(bytes);
}

function printable(value: Value): Value {
  const shown = kindOf(value) === 'pointer' ? indirect(value).value : value;
  return shown === undefined ? '<no value>' : shown;
}

const HTML: Readonly<Record<string, string>> = {
  '\0': '\xef\xbf\xbd',
  '"': '&#34;',
  "'": '&#39;',
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
};

function escapeHtml(bytes: Bytes): Bytes {
  let text = '';
  for (const byte of bytes) text += HTML[byte] ?? byte;
  return text;
}

const JS: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  "'": "\\'",
  '"': '\\"',
  '<': '\\u003C',
  '>': '\\u003E',
  '&': '\\u0026',
  '=': '\\u003D',
};

function escapeJs(bytes: Bytes): Bytes {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const { code, width } = decodeRune(bytes, at);
    at += width;
    if (code < 0x20) text += `\\u00${code.toString(16).toUpperCase().padStart(2, '0')}`;
    else if (code < 0x80) {
      const character = String.fromCharCode(code);
      text += JS[character] ?? character;
    } else if (isPrint(code)) text += width === 1 ? bytes[at - 1] : encodeRune(code);
    else text += `\\u${code.toString(16).toUpperCase().padStart(4, '0')}`;
  }
  return text;
}

/** As `url.QueryEscape`. */
export function escapeQuery(bytes: Bytes): Bytes {
  let text = '';
  for (const byte of bytes) {
    if (/[\w.~-]/.test(byte)) text += byte;
    else if (byte === ' ') text += '+';
    else text += `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return text;
}
