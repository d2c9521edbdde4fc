import type { Turns } from './turns.ts';

/** Items sorted, or put in place, without a look at the clock. */
const RUN = 2048;

/** `items` in order, as `toSorted` gives them, with turns for others in between. */
export async function sortInTurns<T>(turns: Turns, items: readonly T[], compare: (a: T, b: T) => number): Promise<T[]> {
  const { length } = items;
  if (length <= RUN) return items.toSorted(compare);
  let from: T[] = [];
  for (let at = 0; at < length; at += RUN) {
    if (turns.due) await turns.pause();
    for (const item of items.slice(at, at + RUN).sort(compare)) from.push(item);
  }
  let to: T[] = from.slice();
  for (let run = RUN; run < length; run *= 2) {
    for (let start = 0; start < length; start += 2 * run) {
      const middle = Math.min(start + run, length);
      const end = Math.min(start + 2 * run, length);
      let left = start;
      let right = middle;
      for (let at = start; at < end; at++) {
        if (at % RUN === 0 && turns.due) await turns.pause();
        const takesLeft = left < middle && (right >= end || compare(from[left]!, from[right]!) <= 0);
        to[at] = takesLeft ? from[left++]! : from[right++]!;
      }
    }
    [from, to] = [to, from];
  }
  return from;
}
