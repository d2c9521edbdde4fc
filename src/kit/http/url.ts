import { isUtf8 } from 'node:buffer';

/** A request target taken apart. */
export interface Target {
  /** Decoded. A byte that is no UTF-8 stands as the lone surrogate U+DC00 + byte, so that nothing is lost. */
  readonly path: string;
  readonly query: string;
}

/** A path of more bytes is answered without being read. */
export const PATH_BYTES_MAX = 32 << 10;

/** Where a router looks for what it shall not find. */
export const NOWHERE = '/nowhere';

export function parseTarget(url: string): Target {
  const [path, query] = parted(url);
  return { path: decodePath(path), query };
}

/** The same target with nothing in its path that a router would refuse to decode, or take long for. */
export function routable(url: string): string {
  const [path, query] = parted(url);
  if (path.length > PATH_BYTES_MAX) return NOWHERE;
  if (!path.includes('%') || isDecodable(path)) return url;
  const segments = path.split('/').map((segment) => encodeURIComponent(decodePath(segment).toWellFormed()));
  return segments.join('/') + (query === '' ? '' : `?${query}`);
}

/** The target below a prefix like `/metrics-store`; undefined where it is elsewhere. */
export function belowPrefix(url: string, prefix: string): string | undefined {
  if (prefix === '') return url;
  if (!url.startsWith(prefix)) return undefined;
  const rest = url.slice(prefix.length);
  return rest === '' || rest.startsWith('?') ? `/${rest}` : rest.startsWith('/') ? rest : undefined;
}

/** Whether the path is longer than any that is served. */
export function isPathTooLong(url: string): boolean {
  return parted(url)[0].length > PATH_BYTES_MAX;
}

/** The target without doubled slashes; undefined where there are none. */
export function withoutDoubledSlashes(url: string): string | undefined {
  const [path, query] = parted(url);
  if (!path.includes('//')) return undefined;
  return path.replace(/\/{2,}/g, '/') + (query === '' ? '' : `?${query}`);
}

function parted(url: string): [path: string, query: string] {
  const mark = url.indexOf('?');
  return mark < 0 ? [url, ''] : [url.slice(0, mark), url.slice(mark + 1)];
}

function isDecodable(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}

function decodePath(path: string): string {
  if (PLAIN_PATH.test(path)) return path;
  const bytes = percentDecoded(Buffer.from(path, 'latin1'));
  return isUtf8(bytes) ? bytes.toString('utf8') : decodeLossless(bytes);
}

/** A `%` that two hexadecimal digits do not follow stands for itself. */
function percentDecoded(text: Buffer): Buffer {
  let from = text.indexOf(PERCENT);
  if (from < 0) return text;
  const out = Buffer.allocUnsafe(text.length);
  let at = text.copy(out, 0, 0, from);
  for (; from < text.length; from++) {
    const code = text[from] === PERCENT ? hexPair(text, from + 1) : -1;
    out[at++] = code < 0 ? text[from]! : code;
    if (code >= 0) from += 2;
  }
  return out.subarray(0, at);
}

function decodeLossless(bytes: Buffer): string {
  const parts: string[] = [];
  for (let i = 0; i < bytes.length; ) {
    const lead = bytes[i]!;
    const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    const sequence = bytes.subarray(i, i + length);
    const whole = sequence.length === length && isUtf8(sequence);
    parts.push(whole ? sequence.toString('utf8') : String.fromCharCode(0xdc00 + lead));
    i += whole ? length : 1;
  }
  return parts.join('');
}

/** The byte that two hexadecimal digits stand for; -1: they are none. */
export function hexPair(text: Uint8Array, at: number): number {
  const high = HEX[text[at] ?? 0]!;
  const low = HEX[text[at + 1] ?? 0]!;
  return high < 0 || low < 0 ? -1 : (high << 4) | low;
}

/** Byte → its value as a hexadecimal digit, or -1. */
const HEX = Int8Array.from({ length: 256 }, (_, byte) => {
  const value = Number.parseInt(String.fromCharCode(byte), 16);
  return Number.isNaN(value) ? -1 : value;
});

/** Nothing in it stands for anything else. */
const PLAIN_PATH = /^[\x21-\x24\x26-\x7e]*$/;

const PERCENT = 0x25;
