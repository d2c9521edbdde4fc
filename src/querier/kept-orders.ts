import type { Labels } from '../model/labels.ts';
import { ascendingLabels } from '../model/labels-order.ts';
import type { SeriesMemo } from '../storage/series-memo.ts';

/** Series of an answer in ascending order of labels. */
export interface OrderedLabels {
  readonly labels: readonly Labels[];
  /** By the place in order the index in the answer. */
  readonly order: Uint32Array;
  /** Things made of `labels`; undefined: they are not kept. */
  readonly memo: SeriesMemo | undefined;
}

interface Kept extends OrderedLabels {
  /** As they came. */
  readonly of: readonly Labels[];
}

/** Answers of more series are sorted each time. */
const SERIES_MAX = 10_000;
/** Series of all orders that are kept. */
const ALL_SERIES_MAX = 200_000;
/** Characters of a key; a selector of more is not kept. */
const KEY_CHARS_MAX = 1024;

/** Orders of before: a selector that is asked again mostly has the very series of the last time. */
export class KeptOrders {
  /** By what is asked for; the one used last is last. */
  readonly #kept = new Map<string, Kept>();
  #series = 0;

  /** @param key the same for what is asked again */
  of(key: string, labels: readonly Labels[]): OrderedLabels {
    if (labels.length === 0 || labels.length > SERIES_MAX || key.length > KEY_CHARS_MAX) return ordered(labels);
    const kept = this.#kept.get(key);
    if (kept !== undefined) this.#drop(key, kept);
    const isSame = kept !== undefined && areSame(kept.of, labels);
    const now = isSame ? kept : { of: labels.slice(), ...ordered(labels), memo: new Map() };
    this.#kept.set(key, now);
    this.#series += now.of.length;
    for (const [oldest, old] of this.#kept) {
      if (this.#series <= ALL_SERIES_MAX) break;
      this.#drop(oldest, old);
    }
    return now;
  }

  #drop(key: string, { of }: Kept): void {
    this.#kept.delete(key);
    this.#series -= of.length;
  }
}

function ordered(labels: readonly Labels[]): OrderedLabels {
  const order = ascendingLabels(labels);
  return { labels: Array.from(order, (i) => labels[i]!), order, memo: undefined };
}

/** Whether they are the very same objects. */
function areSame(a: readonly Labels[], b: readonly Labels[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
