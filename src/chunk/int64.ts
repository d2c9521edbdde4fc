/** A signed 64-bit integer that wraps around, as the encodings compute with, without BigInt. Both words signed. */
export class Int64 {
  high = 0;
  low = 0;

  /** @param value an integer; beyond ±2^53 what a float holds of it */
  setNumber(value: number): this {
    this.low = value | 0;
    this.high = Math.floor(value / 4294967296) | 0;
    return this;
  }

  setBigInt(value: bigint): this {
    this.low = Number(BigInt.asIntN(32, value));
    this.high = Number(BigInt.asIntN(32, value >> 32n));
    return this;
  }

  setWords(high: number, low: number): this {
    this.high = high | 0;
    this.low = low | 0;
    return this;
  }

  set(other: Int64): this {
    this.high = other.high;
    this.low = other.low;
    return this;
  }

  /** To a + b. */
  setSum(a: Int64, b: Int64): this {
    const low = (a.low >>> 0) + (b.low >>> 0);
    this.high = (a.high + b.high + (low > 0xffffffff ? 1 : 0)) | 0;
    this.low = low | 0;
    return this;
  }

  /** To a − b. */
  setDifference(a: Int64, b: Int64): this {
    const borrow = a.low >>> 0 < b.low >>> 0 ? 1 : 0;
    this.high = (a.high - b.high - borrow) | 0;
    this.low = (a.low - b.low) | 0;
    return this;
  }

  get isZero(): boolean {
    return this.high === 0 && this.low === 0;
  }

  equals(other: Int64): boolean {
    return this.high === other.high && this.low === other.low;
  }

  /** Whether it is from −(2^(bits−1) − 1) to 2^(bits−1): the ranges of the encodings reach one further up than down. */
  fits(bits: number): boolean {
    const { high, low } = this;
    if (bits > 32) {
      const limit = 2 ** (bits - 33);
      if (high === limit) return low === 0;
      return high < limit && (high > -limit || (high === -limit && low !== 0));
    }
    return high === low >> 31 && low > -(2 ** (bits - 1)) && low <= 2 ** (bits - 1);
  }

  toNumber(): number {
    return this.high * 4294967296 + (this.low >>> 0);
  }

  /** Whether `toNumber` is exact. */
  get isSafe(): boolean {
    return this.high >= -0x200000 && this.high < 0x200000;
  }

  toBigInt(): bigint {
    return (BigInt(this.high) << 32n) | BigInt(this.low >>> 0);
  }
}
