/** Times that are looked at one by one before the search takes larger steps: windows that follow closely end within them. */
const NEAR = 8;

/** The index of the first of ascending `times` in [from, end) that is after `limitMs`; `end` where none is. */
export function firstAfter(times: Float64Array, from: number, end: number, limitMs: number): number {
  const near = Math.min(end, from + NEAR);
  let low = from;
  while (low < near && times[low]! <= limitMs) low++;
  if (low < near || low >= end) return low;
  let stride = NEAR;
  let high = low + stride;
  while (high < end && times[high]! <= limitMs) {
    low = high + 1;
    stride *= 2;
    high = low + stride;
  }
  high = Math.min(high, end);
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle]! <= limitMs) low = middle + 1;
    else high = middle;
  }
  return low;
}
