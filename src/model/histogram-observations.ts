import { equalBounds, type FloatHistogram } from './histogram.ts';
import { negativeSide, positiveSide, type Side, SideCursor } from './histogram-side.ts';

/** The same observations, whatever empty buckets either spells out. The reset hint does not count; NaN equals NaN. */
export function equalObservations(a: FloatHistogram, b: FloatHistogram): boolean {
  return (
    a.schema === b.schema &&
    a.zeroThreshold === b.zeroThreshold &&
    Object.is(a.zeroCount, b.zeroCount) &&
    Object.is(a.count, b.count) &&
    Object.is(a.sum, b.sum) &&
    equalBounds(a.customValues, b.customValues) &&
    equalSides(positiveSide(a), positiveSide(b)) &&
    equalSides(negativeSide(a), negativeSide(b))
  );
}

function equalSides(a: Side, b: Side): boolean {
  const x = new SideCursor(a.spans, a.buckets);
  const y = new SideCursor(b.spans, b.buckets);
  for (;;) {
    const hasX = nextFilled(x);
    const hasY = nextFilled(y);
    if (!hasX || !hasY) return hasX === hasY;
    if (x.index !== y.index || !Object.is(x.count, y.count)) return false;
  }
}

function nextFilled(cursor: SideCursor): boolean {
  while (cursor.next()) if (cursor.count !== 0) return true;
  return false;
}
