/** Characters of a text that is kept, and of all of them. */
const CHARS_MAX = 256 * 1024;
const ALL_CHARS_MAX = 8 * 1024 * 1024;

interface Kept {
  readonly pairs: readonly (readonly string[])[];
  readonly text: string;
}

/** Labels of answers as JSON: a rule that is evaluated again mostly has the very series of the last time. */
export class KeptTexts {
  /** By expression; the one used last is last. */
  readonly #kept = new Map<string, Kept>();
  #chars = 0;

  /** @param pairs name, value, … of each series; the same lists for the same series */
  of(expr: string, pairs: readonly (readonly string[])[]): string {
    const kept = this.#kept.get(expr);
    if (kept !== undefined) this.#drop(expr, kept);
    const now = kept !== undefined && areSame(kept.pairs, pairs) ? kept : { pairs, text: JSON.stringify(pairs) };
    if (expr.length + now.text.length > CHARS_MAX) return now.text;
    this.#kept.set(expr, now);
    this.#chars += expr.length + now.text.length;
    for (const [oldest, old] of this.#kept) {
      if (this.#chars <= ALL_CHARS_MAX) break;
      this.#drop(oldest, old);
    }
    return now.text;
  }

  #drop(expr: string, { text }: Kept): void {
    this.#kept.delete(expr);
    this.#chars -= expr.length + text.length;
  }
}

/** Whether they are the very same lists. */
function areSame(a: readonly (readonly string[])[], b: readonly (readonly string[])[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
