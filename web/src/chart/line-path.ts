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
 * on one pixel, only first, least, greatest and last of them are drawn: what is seen is the same.
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
  let pixel = Number.NaN;
  let low = 0;
  let high = 0;
  let last = 0;
  let lastX = 0;
  // points of the line so far: 0 after a gap
  let run = 0;
  const flush = () => {
    if (low < last && low < high) sink.lineTo(pixel, y0 + low * ky);
    if (high > last || low < last) sink.lineTo(pixel, y0 + high * ky);
    sink.lineTo(lastX, y0 + last * ky);
  };
  for (let i = from; i <= to; i++) {
    const value = values[i]!;
    // an infinite value has no place
    if (value - value !== 0) {
      if (run > 0) endRun();
      run = 0;
      continue;
    }
    const x = x0 + times[i]! * kx;
    const at = Math.round(x);
    if (run === 0) {
      sink.moveTo(x, y0 + value * ky);
      pixel = at;
      low = high = last = value;
      lastX = x;
    } else if (at === pixel) {
      if (value < low) low = value;
      if (value > high) high = value;
      last = value;
      lastX = x;
    } else {
      if (run > 1) flush();
      pixel = at;
      low = high = last = value;
      lastX = x;
    }
    run++;
  }
  if (run > 0) endRun();

  function endRun() {
    if (run > 1) flush();
    // round ends make a dot of it
    else sink.lineTo(lastX + 0.01, y0 + last * ky);
  }
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
