import { floatOfWords, highWord, isStale, lowWord } from '../lib/float-bits.ts';
import { type BitReader, type BitWriter, leadingZeros, trailingZeros } from './bits.ts';

/** A window that was never set: no value fits it. */
export const NO_WINDOW = 0xff;

/** No float sample has more leading zeros written than the five bits for them hold. */
const LEADING_MAX = 31;

/**
 * A float that is written as its difference to the one before: `0` for none, `10` for one whose bits fit the window of the last,
 * `11` with a new window. Source: Gorilla (Pelkonen et al., 2015), and Prometheus `tsdb/chunkenc/xor.go`.
 */
export class XorValue {
  high = 0;
  low = 0;
  /** Zero bits before and behind the bits that were written last. */
  leading = NO_WINDOW;
  trailing = 0;

  get value(): number {
    return floatOfWords(this.high, this.low);
  }

  get isStale(): boolean {
    return isStale(this.high, this.low);
  }

  set(high: number, low: number): void {
    this.high = high;
    this.low = low;
  }

  writeFirstValue(to: BitWriter, value: number): void {
    this.writeFirst(to, highWord(value), lowWord(value));
  }

  writeValue(to: BitWriter, value: number): void {
    this.write(to, highWord(value), lowWord(value));
  }

  writeFirst(to: BitWriter, high: number, low: number): void {
    to.writeLong(high, low, 64);
    this.set(high, low);
  }

  write(to: BitWriter, high: number, low: number): void {
    const changedHigh = high ^ this.high;
    const changedLow = low ^ this.low;
    this.set(high, low);
    if (changedHigh === 0 && changedLow === 0) {
      to.writeBit(0);
      return;
    }
    to.writeBit(1);
    const leading = Math.min(leadingZeros(changedHigh, changedLow), LEADING_MAX);
    const trailing = trailingZeros(changedHigh, changedLow);
    if (this.leading !== NO_WINDOW && leading >= this.leading && trailing >= this.trailing) {
      to.writeBit(0);
      this.writeSignificant(to, changedHigh, changedLow);
      return;
    }
    to.writeBit(1);
    this.leading = leading;
    this.trailing = trailing;
    this.writeWindow(to, changedHigh, changedLow);
  }

  /** The window, and the bits of a difference within it. */
  writeWindow(to: BitWriter, changedHigh: number, changedLow: number): void {
    to.writeBits(this.leading, 5);
    // 64 bits do not fit the field; they are written as 0, which never occurs
    to.writeBits((64 - this.leading - this.trailing) & 63, 6);
    this.writeSignificant(to, changedHigh, changedLow);
  }

  writeSignificant(to: BitWriter, changedHigh: number, changedLow: number): void {
    const { trailing } = this;
    const count = 64 - this.leading - trailing;
    if (trailing >= 32) to.writeLong(0, changedHigh >>> (trailing - 32), count);
    else if (trailing === 0) to.writeLong(changedHigh, changedLow, count);
    else to.writeLong(changedHigh >>> trailing, (changedLow >>> trailing) | (changedHigh << (32 - trailing)), count);
  }

  readFirst(from: BitReader): void {
    from.readLong(64);
    this.set(from.high, from.low);
  }

  read(from: BitReader): void {
    if (from.readBit() === 0) return;
    if (from.readBit() === 1) this.readWindow(from);
    this.readSignificant(from);
  }

  readWindow(from: BitReader): void {
    const leading = from.readBits(5);
    const count = from.readBits(6) || 64;
    if (leading + count > 64) from.fail(`a value of ${count} bits behind ${leading} zeros`);
    this.leading = leading;
    this.trailing = 64 - leading - count;
  }

  /** Bits of the window, which change the value. */
  readSignificant(from: BitReader): void {
    const { leading, trailing } = this;
    // a reader that has seen no window takes it to be all 64 bits, as Prometheus' does
    const count = leading === NO_WINDOW ? 64 : 64 - leading - trailing;
    from.readLong(count);
    const { high, low } = from;
    if (trailing >= 32) this.high ^= low << (trailing - 32);
    else if (trailing === 0) {
      this.high ^= high;
      this.low ^= low;
    } else {
      this.high ^= (high << trailing) | (low >>> (32 - trailing));
      this.low ^= low << trailing;
    }
  }
}
