import type { LabelSet } from './labels.ts';

/** Eight colours that people with any kind of colour blindness can tell (Okabe and Ito), made to show on both grounds. */
const COLORS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#b8860b', '#3f9fd8', '#7b5ea7', '#7f7f7f'];
/** Beyond eight series the same colours come again with another dash. */
const DASHES: readonly (readonly number[])[] = [[], [8, 4], [2, 3], [10, 3, 2, 3]];

export interface Stroke {
  readonly color: string;
  readonly dash: readonly number[];
}

/** The strokes of series shown together: each by the hash of its labels, and no two the same as long as there are enough. */
export function strokesFor(sets: readonly LabelSet[]): Stroke[] {
  const count = COLORS.length * DASHES.length;
  const taken = new Set<number>();
  const few = sets.length <= COLORS.length;
  // in an order that does not depend on that of the answer
  const order = sets.map((labels, i) => ({ i, hash: hashOf(labels) })).sort((a, b) => a.hash - b.hash || a.i - b.i);
  const strokes = Array<Stroke>(sets.length);
  for (const { i, hash } of order) {
    const size = few ? COLORS.length : count;
    let at = hash % size;
    for (let tries = 0; tries < size && taken.has(at); tries++) at = (at + 1) % size;
    taken.add(at);
    strokes[i] = { color: COLORS[at % COLORS.length]!, dash: DASHES[Math.floor(at / COLORS.length)]! };
  }
  return strokes;
}

/** The colour of one thing by itself. */
export function colorOf(labels: LabelSet): string {
  return COLORS[hashOf(labels) % COLORS.length]!;
}

/** FNV-1a of name and value of all labels, whatever their order. */
function hashOf(labels: LabelSet): number {
  let hash = 0x811c9dc5;
  for (const name of Object.keys(labels).sort()) {
    for (const char of `${name}\0${labels[name]}\0`) hash = Math.imul(hash ^ char.codePointAt(0)!, 0x01000193);
  }
  return hash >>> 0;
}
