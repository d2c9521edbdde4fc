/** A request target taken apart. */
export interface Target {
  /** Decoded. A byte that is no UTF-8 stands as the lone surrogate U+DC00 + byte, so that nothing is lost. */
  readonly path: string;
  readonly query: string;
}

export function parseTarget(url: string): Target {
  const mark = url.indexOf('?');
  const path = mark < 0 ? url : url.slice(0, mark);
  return { path: decodePercent(path), query: mark < 0 ? '' : url.slice(mark + 1) };
}

/** The same target with nothing in its path that a router would refuse to decode. */
export function routable(url: string): string {
  const mark = url.indexOf('?');
  const path = mark < 0 ? url : url.slice(0, mark);
  try {
    decodeURIComponent(path);
    return url;
  } catch {
    const segments = path.split('/').map((segment) => encodeURIComponent(decodePercent(segment).toWellFormed()));
    return segments.join('/') + (mark < 0 ? '' : url.slice(mark));
  }
}

function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return decodeBytes(percentBytes(text));
  }
}

/** A `%` that two hexadecimal digits do not follow stands for itself. */
function percentBytes(text: string): Uint8Array {
  const out: number[] = [];
  const raw = new TextEncoder().encode(text);
  for (let i = 0; i < raw.length; i++) {
    const code = raw[i] === 0x25 ? Number.parseInt(hexPair(raw, i + 1), 16) : Number.NaN;
    if (Number.isNaN(code)) out.push(raw[i]!);
    else {
      out.push(code);
      i += 2;
    }
  }
  return Uint8Array.from(out);
}

function hexPair(raw: Uint8Array, at: number): string {
  const pair = String.fromCharCode(raw[at] ?? 0, raw[at + 1] ?? 0);
  return /^[0-9a-fA-F]{2}$/.test(pair) ? pair : 'no';
}

function decodeBytes(bytes: Uint8Array): string {
  const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let out = '';
  for (let i = 0; i < bytes.length; ) {
    const lead = bytes[i]!;
    const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    try {
      out += strict.decode(bytes.subarray(i, i + length));
      i += length;
    } catch {
      out += String.fromCharCode(0xdc00 + lead);
      i++;
    }
  }
  return out;
}
