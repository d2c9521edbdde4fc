/**
 * Compensated summation over part of a column, as Prometheus' `kahansum` does it: the sum and what rounding took from it.
 * TwoSum has no branch and takes the same from each addition as Neumaier's form.
 */
export class KahanSum {
  sum = 0;
  lost = 0;

  start(sum: number): void {
    this.sum = sum;
    this.lost = 0;
  }

  add(value: number): void {
    const { sum } = this;
    const next = sum + value;
    // an infinity has lost nothing; Inf − Inf would make it NaN
    if (next === Infinity || next === -Infinity) this.lost = 0;
    else {
      const taken = next - sum;
      this.lost += sum - (next - taken) + (value - taken);
    }
    this.sum = next;
  }

  /** As `add` of each of `values` from `from` up to but not including `to`. */
  addRange(values: Float64Array, from: number, to: number): void {
    let { sum, lost } = this;
    for (let i = from; i < to; i++) {
      const value = values[i]!;
      const next = sum + value;
      const taken = next - sum;
      const error = sum - (next - taken) + (value - taken);
      // of a NaN the sum is NaN whatever was lost
      lost = next - next === 0 ? lost + error : 0;
      sum = next;
    }
    this.sum = sum;
    this.lost = lost;
  }
}
