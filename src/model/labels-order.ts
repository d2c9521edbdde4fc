import { compareUtf8, Labels } from './labels.ts';

/** So few are compared with each other. */
const FEW = 24;

/** Indexes in ascending order of labels (`Labels.compare`). */
export function ascendingLabels(labels: readonly Labels[]): Uint32Array {
  const order = Uint32Array.from(labels, (_, i) => i);
  if (!isAscending(labels)) new LabelsOrder(labels, order).sort(0, order.length, 0);
  return order;
}

function isAscending(labels: readonly Labels[]): boolean {
  for (let i = 1; i < labels.length; i++) if (Labels.compare(labels[i - 1]!, labels[i]!) >= 0) return false;
  return true;
}

/**
 * Sorts by one string of the pairs after the other: series share most of theirs, so that few distinct strings are compared where a
 * sort of whole labels would compare the same ones millions of times.
 */
class LabelsOrder {
  readonly #labels: readonly Labels[];
  readonly #order: Uint32Array;
  readonly #moved: Uint32Array;
  readonly #groupOf: Uint32Array;

  constructor(labels: readonly Labels[], order: Uint32Array) {
    this.#labels = labels;
    this.#order = order;
    this.#moved = new Uint32Array(order.length);
    this.#groupOf = new Uint32Array(order.length);
  }

  /** Sorts [from, to), whose labels are equal in the first `depth` strings of their pairs. */
  sort(from: number, to: number, depth: number): void {
    if (to - from <= FEW) {
      const labels = this.#labels;
      this.#order.subarray(from, to).sort((a, b) => Labels.compare(labels[a]!, labels[b]!));
      return;
    }
    let at = depth;
    while (this.#areEqualAt(from, to, at)) {
      if (this.#textOf(from, at) === undefined) return; // all of them end here
      at++;
    }
    for (const [groupFrom, groupTo] of this.#group(from, to, at)) {
      if (groupTo - groupFrom > 1) this.sort(groupFrom, groupTo, at + 1);
    }
  }

  #textOf(place: number, at: number): string | undefined {
    return this.#labels[this.#order[place]!]!.pairs[at];
  }

  #areEqualAt(from: number, to: number, at: number): boolean {
    const first = this.#textOf(from, at);
    for (let place = from + 1; place < to; place++) if (this.#textOf(place, at) !== first) return false;
    return true;
  }

  /** Puts those together that have the same string, in order of the strings; labels without one come first. */
  #group(from: number, to: number, at: number): (readonly [from: number, to: number])[] {
    const groups = new Map<string | undefined, number>();
    const sizes: number[] = [];
    for (let place = from; place < to; place++) {
      const text = this.#textOf(place, at);
      let group = groups.get(text);
      if (group === undefined) {
        group = sizes.push(0) - 1;
        groups.set(text, group);
      }
      sizes[group]!++;
      this.#groupOf[place] = group;
    }
    const texts = [...groups].sort(([a], [b]) => (a === undefined ? -1 : b === undefined ? 1 : compareUtf8(a, b)));
    const ends = new Uint32Array(sizes.length);
    const ranges: (readonly [number, number])[] = [];
    let next = from;
    for (const [, group] of texts) {
      ends[group] = next;
      ranges.push([next, next + sizes[group]!]);
      next += sizes[group]!;
    }
    for (let place = from; place < to; place++) this.#moved[ends[this.#groupOf[place]!]!++] = this.#order[place]!;
    this.#order.set(this.#moved.subarray(from, to), from);
    return ranges;
  }
}
