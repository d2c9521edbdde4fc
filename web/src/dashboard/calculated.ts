/** One value of many, NaN left out; the last one where nothing else is asked for. */
export function calculated(values: Float64Array | readonly number[], calculation: unknown): number {
  const known = Array.from(values).filter((value) => !Number.isNaN(value));
  if (calculation === 'count') return known.length;
  if (known.length === 0) return Number.NaN;
  const sum = () => known.reduce((total, value) => total + value, 0);
  const least = () => known.reduce((low, value) => Math.min(low, value));
  const most = () => known.reduce((high, value) => Math.max(high, value));
  switch (calculation) {
    case 'mean':
      return sum() / known.length;
    case 'sum':
      return sum();
    case 'min':
      return least();
    case 'max':
      return most();
    case 'range':
      return most() - least();
    case 'first':
    case 'firstNotNull':
      return known[0]!;
    default:
      return known.at(-1)!;
  }
}
