import type { Budget } from './budget.ts';
import type { Bytes } from './bytes.ts';

/**
 * Go's values, as far as templates meet them. Plain ones are plain JavaScript values: a `bigint` is Go's `int`, a
 * `number` its `float64`, a string its `string` as bytes. All else carries its type. `undefined` is no value at all
 * (reflect's zero Value), which is not the same as an empty interface that holds nothing.
 */
export type Value =
  | undefined
  | boolean
  | bigint
  | number
  | Bytes
  | IntValue
  | ComplexValue
  | NamedString
  | ListValue
  | MapValue
  | StructValue
  | PointerValue
  | TimeValue
  | InterfaceValue
  | FuncValue;

export type Kind =
  | 'bool'
  | 'int'
  | 'uint'
  | 'float'
  | 'complex'
  | 'string'
  | 'list'
  | 'map'
  | 'struct'
  | 'pointer'
  | 'interface'
  | 'func'
  | 'reflect';

export interface Type {
  readonly kind: Kind;
  /** As `%T` prints it. */
  readonly name: string;
  /** The element type of lists, maps and pointers. */
  readonly elem?: Type;
  readonly fields?: readonly Field[];
  readonly methods?: ReadonlyMap<string, Method>;
}

export interface Field {
  readonly name: string;
  readonly type: Type;
  /** In JSON; the name itself by default. */
  readonly jsonName?: string;
  /** Printed with the others, but not to be reached by its name, nor in JSON. */
  readonly isHidden?: boolean;
}

export interface Signature {
  readonly in: readonly Type[];
  /** The last of `in` is then the type of each of the remaining arguments. */
  readonly variadic?: boolean;
  readonly out: Type;
}

/** @throws CallError with Go's text of the error */
export interface Func extends Signature {
  call(args: readonly Value[], budget: Budget): Value;
}

export interface Method extends Signature {
  call(receiver: Value, args: readonly Value[], budget: Budget): Value;
}

/** An error that a function returns. */
export class CallError extends Error {}

/** A value of any integer type but `int`. */
export interface IntValue {
  readonly tag: 'int';
  readonly type: Type;
  readonly value: bigint;
}

export interface ComplexValue {
  readonly tag: 'complex';
  readonly type: Type;
  readonly re: number;
  readonly im: number;
}

/** A value of a string type of its own, such as safe HTML. */
export interface NamedString {
  readonly tag: 'string';
  readonly type: Type;
  readonly bytes: Bytes;
}

export interface ListValue {
  readonly tag: 'list';
  readonly type: Type;
  readonly items: readonly Value[];
  readonly isNil?: boolean;
}

/** Keys are strings. */
export interface MapValue {
  readonly tag: 'map';
  readonly type: Type;
  readonly entries: ReadonlyMap<Bytes, Value>;
  readonly isNil?: boolean;
}

export interface StructValue {
  readonly tag: 'struct';
  readonly type: Type;
  /** In the order of the type's fields. */
  readonly fields: readonly Value[];
}

export interface PointerValue {
  readonly tag: 'pointer';
  readonly type: Type;
  /** Undefined in a nil pointer. */
  readonly target: Value;
}

/** `time.Time`: an instant, and the zone it is shown in. */
export interface TimeValue {
  readonly tag: 'time';
  readonly type: Type;
  /** Whole seconds since 1970, floored. */
  readonly seconds: number;
  /** 0 to 999,999,999. */
  readonly nanos: number;
  readonly zone: Zone;
}

export interface Zone {
  /** Seconds east of UTC, and the zone's short name, at a Unix time in seconds. */
  at(seconds: number): { readonly offset: number; readonly name: string };
  readonly name: string;
}

/** A value in a place whose type is `interface {}`: a field, an element, a result. */
export interface InterfaceValue {
  readonly tag: 'interface';
  readonly type: Type;
  /** Undefined in a nil interface; never an interface itself. */
  readonly inner: Value;
}

export interface FuncValue {
  readonly tag: 'func';
  readonly type: Type;
  readonly func: Func;
}

export const BOOL: Type = { kind: 'bool', name: 'bool' };
export const INT: Type = { kind: 'int', name: 'int' };
export const INT64: Type = { kind: 'int', name: 'int64' };
export const UINT8: Type = { kind: 'uint', name: 'uint8' };
export const FLOAT64: Type = { kind: 'float', name: 'float64' };
export const COMPLEX128: Type = { kind: 'complex', name: 'complex128' };
export const STRING: Type = { kind: 'string', name: 'string' };
export const ANY: Type = { kind: 'interface', name: 'interface {}' };
/** The type for functions that want an argument as it stands, interfaces included. */
export const REFLECT: Type = { kind: 'reflect', name: 'reflect.Value' };
export const STRINGS: Type = listOf(STRING);
export const ANYS: Type = listOf(ANY);
export const STRING_MAP: Type = mapOf(STRING);
export const ANY_MAP: Type = mapOf(ANY);

export function listOf(elem: Type): Type {
  return { kind: 'list', name: `[]${elem.name}`, elem };
}

export function mapOf(elem: Type): Type {
  return { kind: 'map', name: `map[string]${elem.name}`, elem };
}

export function pointerTo(elem: Type): Type {
  return { kind: 'pointer', name: `*${elem.name}`, elem, methods: elem.methods };
}

export function list(items: readonly Value[], type: Type): ListValue {
  return { tag: 'list', type, items };
}

export function map(entries: ReadonlyMap<Bytes, Value>, type: Type): MapValue {
  return { tag: 'map', type, entries };
}

export function struct(type: Type, fields: readonly Value[]): StructValue {
  return { tag: 'struct', type, fields };
}

export function pointer(target: Value, type: Type): PointerValue {
  return { tag: 'pointer', type, target };
}

export function integer(value: bigint, type: Type): IntValue {
  return { tag: 'int', type, value };
}

/** The value as it stands in a place of this type: wrapped where the type is an interface. */
export function placed(value: Value, type: Type): Value {
  if (type.kind !== 'interface' || (typeof value === 'object' && value.tag === 'interface')) return value;
  return { tag: 'interface', type, inner: value };
}

export function typeOf(value: Exclude<Value, undefined>): Type {
  switch (typeof value) {
    case 'boolean':
      return BOOL;
    case 'bigint':
      return INT;
    case 'number':
      return FLOAT64;
    case 'string':
      return STRING;
    default:
      return value.type;
  }
}

/** Undefined for no value. */
export function kindOf(value: Value): Kind | undefined {
  return value === undefined ? undefined : typeOf(value).kind;
}

/** Nothing where the interface is nil. */
export function indirectInterface(value: Value): Value {
  return typeof value === 'object' && value.tag === 'interface' ? value.inner : value;
}

/** Through pointers and interfaces; stops at one that is nil. */
export function indirect(value: Value): { readonly value: Value; readonly isNil: boolean } {
  let at = value;
  while (typeof at === 'object' && (at.tag === 'pointer' || at.tag === 'interface')) {
    const next: Value = at.tag === 'pointer' ? at.target : at.inner;
    if (next === undefined) return { value: at, isNil: true };
    at = next;
  }
  return { value: at, isNil: false };
}

export function isNil(value: Value): boolean {
  if (value === undefined) return true;
  if (typeof value !== 'object') return false;
  switch (value.tag) {
    case 'interface':
      return value.inner === undefined;
    case 'pointer':
      return value.target === undefined;
    case 'list':
    case 'map':
      return value.isNil === true;
    default:
      return false;
  }
}

export function canBeNil({ kind }: Type): boolean {
  return (
    kind === 'interface' ||
    kind === 'map' ||
    kind === 'pointer' ||
    kind === 'list' ||
    kind === 'func' ||
    kind === 'reflect'
  );
}

export function zeroOf(type: Type): Value {
  switch (type.kind) {
    case 'bool':
      return false;
    case 'int':
    case 'uint':
      return type === INT ? 0n : integer(0n, type);
    case 'float':
      return 0;
    case 'complex':
      return { tag: 'complex', type, re: 0, im: 0 };
    case 'string':
      return type === STRING ? '' : { tag: 'string', type, bytes: '' };
    case 'list':
      return { tag: 'list', type, items: [], isNil: true };
    case 'map':
      return { tag: 'map', type, entries: new Map(), isNil: true };
    case 'struct':
      return struct(
        type,
        (type.fields ?? []).map((field) => zeroOf(field.type)),
      );
    case 'pointer':
      return pointer(undefined, type);
    case 'interface':
      return { tag: 'interface', type, inner: undefined };
    case 'func':
    case 'reflect':
      return undefined;
  }
}

export function isAssignable(from: Type, to: Type): boolean {
  if (from === to || to.kind === 'interface') return true;
  if (from.kind !== to.kind) return false;
  if (from.name === to.name) return true;
  // a list or map type of its own, and the plain one of the same elements
  const isPlain =
    from.name.startsWith('[]') ||
    to.name.startsWith('[]') ||
    from.name.startsWith('map[') ||
    to.name.startsWith('map[');
  return (from.kind === 'list' || from.kind === 'map') && isPlain && from.elem!.name === to.elem!.name;
}

/** The whole number of any integer type. */
export function wholeOf(value: Value): bigint | undefined {
  if (typeof value === 'bigint') return value;
  return typeof value === 'object' && value.tag === 'int' ? value.value : undefined;
}

/** The bytes of any string type. */
export function stringOf(value: Value): Bytes | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'object' && value.tag === 'string' ? value.bytes : undefined;
}

/** Whether `if` takes the branch. */
export function isTrue(value: Value): boolean {
  switch (typeof value) {
    case 'undefined':
      return false;
    case 'boolean':
      return value;
    case 'bigint':
      return value !== 0n;
    case 'number':
      return value !== 0;
    case 'string':
      return value !== '';
  }
  switch (value.tag) {
    case 'int':
      return value.value !== 0n;
    case 'complex':
      return value.re !== 0 || value.im !== 0;
    case 'string':
      return value.bytes !== '';
    case 'list':
      return value.items.length > 0;
    case 'map':
      return value.entries.size > 0;
    case 'pointer':
      return value.target !== undefined;
    case 'interface':
      return value.inner !== undefined;
    case 'struct':
    case 'time':
    case 'func':
      return true;
  }
}

/** The text of a value that prints itself; undefined for all others. */
export function ownText(value: Value, budget: Budget): Bytes | undefined {
  if (typeof value !== 'object') return undefined;
  const method = value.type.methods?.get('String');
  if (method === undefined || method.in.length > 0 || isNil(value)) return undefined;
  const text = method.call(value.tag === 'pointer' ? value.target : value, [], budget);
  return stringOf(text);
}

export function sortedKeys(entries: ReadonlyMap<Bytes, Value>): Bytes[] {
  return [...entries.keys()].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}
