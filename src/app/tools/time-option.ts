/** Checks an option that is a time. @throws RangeError */
export function checkTime(written: string): void {
  if (Number.isNaN(timeOf(written))) throw new RangeError(`${written} is neither Unix seconds nor a time of RFC 3339`);
}

/** Unix ms; NaN where it is no time; undefined where nothing is said. */
export function timeOf(written: string): number | undefined {
  if (written === '') return undefined;
  return /^[+-]?[\d.]+$/.test(written) ? Math.round(Number(written) * 1000) : Date.parse(written);
}
