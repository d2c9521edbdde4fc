/**
 * Compensated summation (Kahan, in Neumaier's form): what `lost` grows by when `addend` is added to `sum`.
 * The caller adds on its own: `const next = sum + addend; lost = lostIn(sum, addend, next, lost); sum = next`.
 * Source: Prometheus `util/kahansum`.
 */
export function lostIn(sum: number, addend: number, next: number, lost: number): number {
  // an infinity has lost nothing; Inf − Inf would make it NaN
  if (next === Infinity || next === -Infinity) return 0;
  return Math.abs(sum) >= Math.abs(addend) ? lost + (sum - next + addend) : lost + (addend - next + sum);
}
