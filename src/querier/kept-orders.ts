import type { Labels } from '../model/labels.ts';
import { ascendingLabels } from '../model/labels-order.ts';

/** Series of an answer in ascending order of labels. */
export interface OrderedLabels {
  readonly labels: readonly Labels[];
  /** By the place in order the index in the answer. */
  readonly order: Uint32Array;
}

interface Kept extends OrderedLabels {
  /** As they came. */
  readonly of: readonly Labels[];
}

/** Answers of more series are sorted each time. */
const SERIES_MAX = 10_000;
/** Series of all orders that are kept. */
const ALL_SERIES_MAX = 500_000;

/** Orders of before: a selector that is asked again mostly has the very series of the last time. */
export class KeptOrders {
  /** By the first of the series as they came; the one used last is last. */
  readonly #kept = new Map<Labels, Kept>();
  #series = 0;

  of(labels: readonly Labels[]): OrderedLabels {
    const first = labels[0];
    if (first === undefined || labels.length > SERIES_MAX) return ordered(labels);
    const kept = this.#kept.get(first);
    if (kept !== undefined) this.#drop(first, kept);
    const now = kept !== undefined && areSame(kept.of, labels) ? kept : { of: labels.slice(), ...ordered(labels) };
    this.#kept.set(first, now);
    this.#series += now.of.length;
    for (const [oldest, old] of this.#kept) {
      if (this.#series <= ALL_SERIES_MAX) break;
      this.#drop(oldest, old);
    }
    return now;
  }

  #drop(first: Labels, { of }: Kept): void {
    this.#kept.delete(first);
    this.#series -= of.length;
  }
}

function ordered(labels: readonly Labels[]): OrderedLabels {
  const order = ascendingLabels(labels);
  return { labels: Array.from(order, (i) => labels[i]!), order };
}

/** Whether they are the very same objects. */
function areSame(a: readonly Labels[], b: readonly Labels[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
