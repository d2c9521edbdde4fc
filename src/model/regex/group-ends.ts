/** The groups of a pattern: where each ends, and how many ways it may branch. */
export class GroupEnds {
  /** Places of opening brackets, ascending. */
  readonly #opens: readonly number[];
  readonly #closes: readonly number[];
  readonly #ways: readonly number[];

  private constructor(opens: readonly number[], closes: readonly number[], ways: readonly number[]) {
    this.#opens = opens;
    this.#closes = closes;
    this.#ways = ways;
  }

  /** Undefined where brackets do not match, or stand too deep. Yields now and then. */
  static *reading(source: string, depthMax: number): Generator<undefined, GroupEnds | undefined> {
    const opens: number[] = [];
    const closes: number[] = [];
    const ways: number[] = [];
    /** Each open group: its number, the ways of its alternatives so far, those of the alternative at hand. */
    const stack: { readonly group: number; sum: number; product: number }[] = [];
    for (let i = 0; i < source.length; i++) {
      if ((i & 0xffff) === 0xffff) yield;
      switch (source.charCodeAt(i)) {
        case BACKSLASH:
          i++;
          if (source[i] === 'Q') {
            const end = source.indexOf('\\E', i);
            i = end < 0 ? source.length : end + 1;
          }
          break;
        case BRACKET:
          i = classEnd(source, i);
          if (i < 0) return undefined;
          break;
        case OPEN:
          if (stack.length === depthMax) return undefined;
          stack.push({ group: opens.push(i) - 1, sum: 0, product: 1 });
          break;
        case BAR: {
          const top = stack.at(-1);
          if (top === undefined) break;
          top.sum += top.product;
          top.product = 1;
          break;
        }
        case CLOSE: {
          const top = stack.pop();
          if (top === undefined) return undefined;
          const own = top.sum + top.product;
          closes[top.group] = i;
          ways[top.group] = own;
          const outer = stack.at(-1);
          // one more where the group may be left out
          if (outer !== undefined) outer.product = Math.min(outer.product * (own + 1), 1 << 20);
        }
      }
    }
    return stack.length > 0 ? undefined : new GroupEnds(opens, closes, ways);
  }

  /** The place of the closing bracket, and the ways. @param open place of a group's opening bracket */
  of(open: number): { readonly close: number; readonly ways: number } {
    let low = 0;
    let high = this.#opens.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#opens[middle]! < open) low = middle + 1;
      else high = middle;
    }
    return { close: this.#closes[low]!, ways: this.#ways[low]! };
  }
}

/** The place of the bracket that ends a class of characters; −1: there is none. @param from place of its opening one */
export function classEnd(source: string, from: number): number {
  let i = from + 1;
  if (source[i] === '^') i++;
  // the first one stands for itself
  if (source[i] === ']') i++;
  for (; i < source.length; i++) {
    if (source[i] === '\\') i++;
    else if (source[i] === '[' && source[i + 1] === ':') {
      const end = source.indexOf(':]', i + 2);
      if (end >= 0 && /^[\^a-z]*$/.test(source.slice(i + 2, end))) i = end + 1;
    } else if (source[i] === ']') return i;
  }
  return -1;
}

const BACKSLASH = 0x5c;
const BRACKET = 0x5b;
const OPEN = 0x28;
const CLOSE = 0x29;
const BAR = 0x7c;
