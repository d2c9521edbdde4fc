const SIMPLE: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** The value of a quoted string that the lexer has found to be right. */
export function unquote(quoted: string): string {
  const inner = quoted.slice(1, -1);
  if (quoted[0] === '`' || !inner.includes('\\')) return inner;
  return inner.replace(
    /\\(?:x(..)|u(.{4})|U(.{8})|([0-7]{3})|(.))/gsu,
    (_, hex: string, short: string, long: string, octal: string, char: string) => {
      if (char !== undefined) return SIMPLE[char] ?? char;
      const code = octal === undefined ? Number.parseInt(hex ?? short ?? long, 16) : Number.parseInt(octal, 8);
      return String.fromCodePoint(code);
    },
  );
}
