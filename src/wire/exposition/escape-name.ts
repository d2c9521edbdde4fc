/** How names that older readers do not know are written: as they are, or made of the characters that metrics had from the start. */
export type NameEscaping = 'allow-utf-8' | 'underscores' | 'dots' | 'values';

/** Source: prometheus/common `EscapeMetricFamily`; names of labels take colons there, too. */
export function escapeName(name: string, escaping: NameEscaping): string {
  if (escaping === 'allow-utf-8' || isLegacyName(name)) return name;
  switch (escaping) {
    case 'underscores':
      return escaped(name, () => '_');
    case 'dots':
      return escaped(name, (char) => (char === '.' ? '_dot_' : '__'), '__');
    case 'values':
      return `U__${escaped(name, (char) => `_${char.codePointAt(0)!.toString(16)}_`, '__')}`;
  }
}

export function isLegacyName(name: string): boolean {
  return /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name);
}

/** @param other what stands for a character that no name had, `underscore` for one that separates */
function escaped(name: string, other: (char: string) => string, underscore = '_'): string {
  let out = '';
  let first = true;
  for (const char of name) {
    if (char === '_') out += underscore;
    else if (/[a-zA-Z:]/.test(char) || (/[0-9]/.test(char) && !first)) out += char;
    else out += other(char);
    first = false;
  }
  return out;
}
