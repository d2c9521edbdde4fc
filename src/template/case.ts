import { type Bytes, bytesOf, textOf } from './bytes.ts';

/** Upper, lower and title case. */

export function toUpper(bytes: Bytes): Bytes {
  return mapRunes(bytes, (character) => character.toUpperCase());
}

export function toLower(bytes: Bytes): Bytes {
  return mapRunes(bytes, (character) => character.toLowerCase());
}

/** One to one, as `strings.ToUpper`: characters whose other case is longer stay as they are. */
function mapRunes(bytes: Bytes, change: (character: string) => string): Bytes {
  let changed = '';
  for (const character of textOf(bytes)) {
    const other = change(character);
    changed += [...other].length === 1 ? other : character;
  }
  return bytesOf(changed);
}

/** Between letters they are no end of a word, unless there are two of them. */
const MID = /[:.'·’‧․﹕：﹒．＇]/;
const IN_WORD = /[\p{L}\p{M}\p{N}_\u200d]/u;
const CASED = /\p{Cased}/u;

/**
 * The first cased letter of each word in title case, as `cases.Title` of x/text for English; the others in lower case
 * or as they stand.
 */
export function toTitle(bytes: Bytes, lowersOthers: boolean): Bytes {
  let titled = '';
  let isMidWord = false;
  let wasMid = false;
  for (const character of textOf(bytes)) {
    const isMid = MID.test(character);
    if (isMid && wasMid) isMidWord = false;
    if (CASED.test(character)) {
      if (!isMidWord) titled += titleCase(character);
      else titled += lowersOthers ? character.toLowerCase() : character;
      isMidWord = true;
    } else {
      titled += character;
      if (!isMid && !IN_WORD.test(character)) isMidWord = false;
    }
    wasMid = isMid;
  }
  return bytesOf(titled);
}

/** Letters that are two in one have a title case of their own. */
const DIGRAPHS: readonly string[] = ['ǄǅǆDž', 'ǇǈǉLj', 'ǊǋǌNj', 'ǱǲǳDz'];

function titleCase(character: string): string {
  const digraph = DIGRAPHS.find((forms) => [...forms].slice(0, 3).includes(character));
  if (digraph !== undefined) return [...digraph][1]!;
  const [first, ...others] = character.toUpperCase();
  return first + others.join('').toLowerCase();
}
