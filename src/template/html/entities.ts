import { type Bytes, encodeRune } from '../bytes.ts';

/** Entities that stand for characters which mean something in tags, URLs, scripts or styles. */
const NAMED: Readonly<Record<string, string>> = {
  AMP: '&',
  DiacriticalGrave: '`',
  GT: '>',
  Hat: '^',
  LT: '<',
  NewLine: '\n',
  QUOT: '"',
  Tab: '\t',
  UnderBar: '_',
  VerticalLine: '|',
  amp: '&',
  apos: "'",
  ast: '*',
  bsol: '\\',
  colon: ':',
  comma: ',',
  commat: '@',
  dollar: '$',
  equals: '=',
  excl: '!',
  grave: '`',
  gt: '>',
  lbrace: '{',
  lbrack: '[',
  lcub: '{',
  lowbar: '_',
  lpar: '(',
  lsqb: '[',
  lt: '<',
  midast: '*',
  nbsp: '\xc2\xa0',
  NonBreakingSpace: '\xc2\xa0',
  num: '#',
  percnt: '%',
  period: '.',
  plus: '+',
  quest: '?',
  quot: '"',
  rbrace: '}',
  rbrack: ']',
  rcub: '}',
  rpar: ')',
  rsqb: ']',
  semi: ';',
  sol: '/',
  verbar: '|',
  vert: '|',
};
/** These need no semicolon. */
const BARE = /^(?:AMP|GT|LT|QUOT|amp|gt|lt|nbsp|quot)/;
/** Any other name stands for a letter or symbol that ends no context: which one does not matter. */
const otherwise = '\xc3\xa9';
const windows1252 =
  '\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\x8d\u017d\x8f\x90\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178';

/** The value of an attribute as the browser will see it, as far as contexts depend on it. */
export function unescapeHtml(text: Bytes): Bytes {
  if (!text.includes('&')) return text;
  return text.replace(
    /&(?:#[xX]([\dA-Fa-f]{1,10});?|#(\d{1,12});?|([A-Za-z][A-Za-z\d]{0,40})(;?))/g,
    (all, hex, decimal, name, semicolon) => {
      if (name === undefined) return character(hex === undefined ? Number(decimal) : Number.parseInt(hex, 16));
      if (semicolon === ';') return Object.hasOwn(NAMED, name) ? NAMED[name]! : otherwise;
      const bare = BARE.exec(name)?.[0];
      return bare === undefined ? all : NAMED[bare]! + name.slice(bare.length);
    },
  );
}

function character(code: number): Bytes {
  if (code >= 0x80 && code <= 0x9f) return encodeRune(windows1252.charCodeAt(code - 0x80));
  return code === 0 ? encodeRune(0xfffd) : encodeRune(code);
}
