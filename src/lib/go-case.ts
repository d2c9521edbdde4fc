// Upper and lower case as Go has them (strings.ToUpper, ToLower): character by character, each becomes one. JavaScript's, which make
// two of some and look at neighbours, are for reading.

/** Greek small letters with iota below, whose capital JavaScript writes as two letters, and how far away that is. */
const IOTA_BELOW: readonly (readonly [from: number, to: number, distance: number])[] = [
  [0x1f80, 0x1f87, 8],
  [0x1f90, 0x1f97, 8],
  [0x1fa0, 0x1fa7, 8],
  [0x1fb3, 0x1fb3, 9],
  [0x1fc3, 0x1fc3, 9],
  [0x1ff3, 0x1ff3, 9],
];

/** I with a dot above. */
const DOTTED_I = 'İ';

export function goUpperCase(text: string): string {
  return mapped(text, upperOf, (ascii) => ascii.toUpperCase());
}

export function goLowerCase(text: string): string {
  return mapped(text, lowerOf, (ascii) => ascii.toLowerCase());
}

function mapped(text: string, one: (letter: string) => string, all: (ascii: string) => string): string {
  if (isAscii(text)) return all(text);
  let out = '';
  for (const letter of text) out += one(letter);
  return out;
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

function upperOf(letter: string): string {
  const upper = letter.toUpperCase();
  if (upper.length === letter.length) return upper;
  const code = letter.codePointAt(0)!;
  const iota = IOTA_BELOW.find(([from, to]) => code >= from && code <= to);
  return iota === undefined ? letter : String.fromCodePoint(code + iota[2]);
}

function lowerOf(letter: string): string {
  return letter === DOTTED_I ? 'i' : letter.toLowerCase();
}
