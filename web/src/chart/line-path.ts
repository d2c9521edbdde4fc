/** A path that is drawn into: a `Path2D`, or a test's list. */
export interface PathSink {
  moveTo(x: number, y: number): void;
  lineTo(x: number, y: number): void;
}

/** Columns in pixels: x = x0 + value · kx, and likewise y. */
export interface Transform {
  readonly x0: number;
  readonly kx: number;
  readonly y0: number;
  readonly ky: number;
}

/**
 * The line of a column of values, ascending by time; it breaks at NaN, and a point that stands alone is a dot. Where several points fall
 * on one pixel, the least and the greatest of them are drawn: what is seen is the same.
 * @param from, to both inclusive
 */
export function traceLine(
  times: Float64Array,
  values: Float64Array,
  from: number,
  to: number,
  { x0, kx, y0, ky }: Transform,
  sink: PathSink,
): void {
  // points on the pixel, and which extreme came last
  let pixel = Number.NaN;
  let low = 0;
  let high = 0;
  let lowIsLast = false;
  let x = 0;
  let onPixel = 0;
  // pixels of the line so far; 0 after a gap
  let run = 0;
  const flush = () => {
    if (onPixel === 0) return;
    const [first, last] = lowIsLast ? [high, low] : [low, high];
    if (run === 0) sink.moveTo(x, y0 + first * ky);
    else sink.lineTo(x, y0 + first * ky);
    if (first !== last) sink.lineTo(x, y0 + last * ky);
    run += first === last ? 1 : 2;
    onPixel = 0;
  };
  const endRun = () => {
    flush();
    // round ends make a dot of it
    if (run === 1) sink.lineTo(x + 0.01, y0 + low * ky);
    run = 0;
    pixel = Number.NaN;
  };
  for (let i = from; i <= to; i++) {
    const value = values[i]!;
    // an infinite value has no place
    if (value - value !== 0) {
      endRun();
      continue;
    }
    const at = x0 + times[i]! * kx;
    const rounded = Math.round(at);
    if (rounded !== pixel) {
      flush();
      pixel = rounded;
      low = high = value;
      x = at;
    } else if (value < low) {
      low = value;
      lowIsLast = true;
    } else if (value > high) {
      high = value;
      lowIsLast = false;
    }
    onPixel++;
  }
  endRun();
}

/** The sums of columns up to and with each; what is absent counts as nothing, and stays absent where all before it are. */
export function stacked(columns: readonly Float64Array[]): Float64Array[] {
  const sums: Float64Array[] = [];
  for (const values of columns) {
    const below = sums.at(-1);
    sums.push(
      values.map((value, i) => {
        const ground = below?.[i] ?? Number.NaN;
        if (Number.isNaN(value)) return ground;
        return Number.isNaN(ground) ? value : ground + value;
      }),
    );
  }
  return sums;
}

/** Least and greatest of all finite values of columns between two places, both inclusive; undefined where there are none. */
export function extentOf(columns: Iterable<Float64Array>, from: number, to: number): [number, number] | undefined {
  let least = Number.POSITIVE_INFINITY;
  let greatest = Number.NEGATIVE_INFINITY;
  for (const values of columns) {
    for (let i = from; i <= to; i++) {
      const value = values[i]!;
      if (value < least && value !== Number.NEGATIVE_INFINITY) least = value;
      if (value > greatest && value !== Number.POSITIVE_INFINITY) greatest = value;
    }
  }
  return least <= greatest ? [least, greatest] : undefined;
}
