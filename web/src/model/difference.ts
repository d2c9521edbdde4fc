/** A line of two texts: in both, in the one before, or in the one after. */
export interface DifferenceLine {
  readonly kind: 'same' | 'gone' | 'new';
  readonly text: string;
}

/** More differing lines are compared as a block. */
const LINES_MAX = 1_500;

/** How a text became another, by lines: the longest common ones stay. */
export function differenceOf(before: string, after: string): DifferenceLine[] {
  const [a, b] = [before.split('\n'), after.split('\n')];
  let from = 0;
  while (from < a.length && from < b.length && a[from] === b[from]) from++;
  let [endA, endB] = [a.length, b.length];
  while (endA > from && endB > from && a[endA - 1] === b[endB - 1]) {
    endA--;
    endB--;
  }
  const same = (lines: readonly string[]) => lines.map((text): DifferenceLine => ({ kind: 'same', text }));
  const middle = between(a.slice(from, endA), b.slice(from, endB));
  return [...same(a.slice(0, from)), ...middle, ...same(a.slice(endA))];
}

function between(a: readonly string[], b: readonly string[]): DifferenceLine[] {
  const gone = (text: string): DifferenceLine => ({ kind: 'gone', text });
  const fresh = (text: string): DifferenceLine => ({ kind: 'new', text });
  if (a.length > LINES_MAX || b.length > LINES_MAX) return [...a.map(gone), ...b.map(fresh)];
  const width = b.length + 1;
  // lengths of the longest common sequence of the lines from (i, j) on, row-major
  const lengths = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      lengths[i * width + j] =
        a[i] === b[j]
          ? lengths[(i + 1) * width + j + 1]! + 1
          : Math.max(lengths[(i + 1) * width + j]!, lengths[i * width + j + 1]!);
    }
  }
  const found: DifferenceLine[] = [];
  let [i, j] = [0, 0];
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) {
      found.push({ kind: 'same', text: a[i]! });
      i++;
      j++;
    } else if (lengths[(i + 1) * width + j]! >= lengths[i * width + j + 1]!) found.push(gone(a[i++]!));
    else found.push(fresh(b[j++]!));
  }
  return [...found, ...a.slice(i).map(gone), ...b.slice(j).map(fresh)];
}
