const SIMPLE: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/**
 * The value of a quoted string that the lexer has found to be right. `\xff` and `\377` are bytes; those that make no
 * UTF-8 become lone surrogates, U+DC00 and the byte, as in Python's `surrogateescape`: the string is then not
 * well-formed, so that it is no label's name or value, but prints as it was written.
 */
export function unquote(quoted: string): string {
  const inner = quoted.slice(1, -1);
  if (quoted[0] === '`' || !inner.includes('\\')) return inner;
  // as in patterns, where others are rare and there may be many
  if (/^(?:[^\\]|\\\\)*$/.test(inner)) return inner.replaceAll('\\\\', '\\');
  let hasBytes = false;
  const text = inner.replace(
    /\\(?:x(..)|u(.{4})|U(.{8})|([0-7]{3})|(.))/gsu,
    (_, hex?: string, short?: string, long?: string, octal?: string, char?: string) => {
      if (char !== undefined) return SIMPLE[char] ?? char;
      if (short !== undefined || long !== undefined) return String.fromCodePoint(Number.parseInt(short ?? long!, 16));
      const byte = octal === undefined ? Number.parseInt(hex!, 16) : Number.parseInt(octal, 8);
      if (byte < 0x80) return String.fromCharCode(byte);
      hasBytes = true;
      return String.fromCharCode(LONE_BYTES + byte);
    },
  );
  return hasBytes ? joinBytes(text) : text;
}

/** A lone low surrogate from here on stands for a byte; text that was written out has none. */
const LONE_BYTES = 0xdc00;

/** Turns bytes, and bytes next to characters, into characters where they are UTF-8. */
function joinBytes(text: string): string {
  return text.replace(/(?<![\ud800-\udbff])[\udc80-\udcff]+/g, (run) => {
    const bytes = Uint8Array.from(run, (unit) => unit.charCodeAt(0) - LONE_BYTES);
    let joined = '';
    for (let pos = 0; pos < bytes.length; ) {
      const code = codePointAt(bytes, pos);
      joined += code === undefined ? run[pos] : String.fromCodePoint(code);
      pos += code === undefined ? 1 : sequenceLength(bytes[pos]!);
    }
    return joined;
  });
}

function sequenceLength(lead: number): number {
  if (lead < 0xe0) return 2;
  return lead < 0xf0 ? 3 : 4;
}

/** Least code point that a sequence of so many bytes may stand for. */
const LEAST_CODE = [0, 0, 0x80, 0x800, 0x10000];

/** The code point whose UTF-8 begins at `pos`; undefined: none does. Every byte is at least 0x80. */
function codePointAt(bytes: Uint8Array, pos: number): number | undefined {
  const lead = bytes[pos]!;
  const length = sequenceLength(lead);
  if (lead < 0xc2 || lead > 0xf4 || pos + length > bytes.length) return undefined;
  let code = lead & (0xff >> (length + 1));
  for (let i = 1; i < length; i++) {
    const next = bytes[pos + i]!;
    if (next >> 6 !== 0b10) return undefined;
    code = (code << 6) | (next & 0x3f);
  }
  const isSurrogate = code >= 0xd800 && code < 0xe000;
  return code < LEAST_CODE[length]! || code > 0x10ffff || isSurrogate ? undefined : code;
}
