import { peerErrors } from '../model/errors-peer.ts';

// Shapes of what came from another process. Each reader throws peerMessageInvalid where a value is not as it should be.

export type Fields = Readonly<Record<string, unknown>>;

export function wrongShape(name: string): Error {
  return peerErrors.peerMessageInvalid({ reason: `${name} is not as it should be` });
}

export function fieldsOf(value: unknown, name: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value)) {
    throw wrongShape(name);
  }
  return value as Fields;
}

export function textOf(value: unknown, name: string, charsMax: number): string {
  if (typeof value !== 'string' || value.length > charsMax) throw wrongShape(name);
  return value;
}

/** A number that is not NaN: ends of ranges may be infinite. */
export function numberOf(value: unknown, name: string): number {
  if (typeof value !== 'number' || Number.isNaN(value)) throw wrongShape(name);
  return value;
}

/** A whole number that is not negative. */
export function countOf(value: unknown, name: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw wrongShape(name);
  return value as number;
}

export function boolOf(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean') throw wrongShape(name);
  return value;
}

export function bytesOf(value: unknown, name: string): Uint8Array {
  if (!(value instanceof Uint8Array)) throw wrongShape(name);
  return value;
}

/** Reads each item of a list. */
export function listOf<T>(value: unknown, name: string, itemsMax: number, item: (value: unknown) => T): readonly T[] {
  if (!Array.isArray(value) || value.length > itemsMax) throw wrongShape(name);
  return value.map(item);
}

export function optional<T>(value: unknown, read: (value: unknown) => T): T | undefined {
  return value === undefined ? undefined : read(value);
}

/** Texts of any number: their list is no longer than its message. */
export function textsOf(value: unknown, name: string, charsMax: number): readonly string[] {
  return listOf(value, name, Number.POSITIVE_INFINITY, (each) => textOf(each, name, charsMax));
}
