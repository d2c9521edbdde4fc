import { createHash } from 'node:crypto';
import type { TenantLimits } from '../limits/limits.ts';
import { Relabelling } from '../limits/relabel.ts';
import { Labels } from '../model/labels.ts';
import { sortPairs } from '../model/validate.ts';

/** A tenant's rules on labels, as text that travels to edges; empty where there are none. */
export function rewriteText({ metricRelabelConfigs, dropLabels }: TenantLimits): string {
  const known = texts.get(metricRelabelConfigs);
  if (known?.dropLabels === dropLabels) return known.text;
  const none = metricRelabelConfigs.isEmpty && dropLabels.length === 0;
  const text = none ? '' : JSON.stringify({ steps: metricRelabelConfigs.file, dropLabels });
  texts.set(metricRelabelConfigs, { dropLabels, text });
  return text;
}

const texts = new WeakMap<Relabelling, { readonly dropLabels: readonly string[]; readonly text: string }>();

/** A tenant's rules on the labels of what it writes: steps of relabelling, then labels that are dropped. As Cortex has them. */
export class Rewrite {
  /** Tells rules apart, for what is remembered of series under them: two words, not both 0. */
  readonly hash: readonly [number, number];
  readonly #steps: Relabelling;
  readonly #dropLabels: ReadonlySet<string>;

  private constructor(hash: readonly [number, number], steps: Relabelling, dropLabels: ReadonlySet<string>) {
    this.hash = hash;
    this.#steps = steps;
    this.#dropLabels = dropLabels;
  }

  /** @param text from `rewriteText`, not empty */
  static parse(text: string): Rewrite {
    const { steps, dropLabels } = JSON.parse(text) as { steps: unknown; dropLabels: readonly string[] };
    const digest = createHash('sha256').update(text).digest();
    return new Rewrite(
      [digest.readUInt32LE(0) | 1, digest.readUInt32LE(4)],
      Relabelling.parse(steps),
      new Set(dropLabels),
    );
  }

  /**
   * The labels that a series gets, or undefined where it is dropped. Names that are given twice stay, to be refused.
   * @param pairs name, value, … as they were sent
   */
  apply(pairs: readonly string[]): readonly string[] | undefined {
    const sorted = sortPairs(pairs);
    for (let i = 2; i < sorted.length; i += 2) if (sorted[i] === sorted[i - 2]) return sorted;
    const changed = this.#steps.apply(Labels.fromSortedPairs(sorted));
    if (changed === undefined) return undefined;
    const kept = changed.pairs.filter((_, i) => !this.#dropLabels.has(changed.pairs[i - (i % 2)]!));
    return kept.length === 0 ? undefined : kept;
  }
}

/** Rules that are kept ready; what many tenants have is one. */
const REWRITES_KEPT_MAX = 1_000;

/** Rules by their text. */
export class Rewrites {
  readonly #byText = new Map<string, Rewrite>();

  /** @returns undefined for no rules */
  of(text = ''): Rewrite | undefined {
    if (text === '') return undefined;
    let rewrite = this.#byText.get(text);
    if (rewrite === undefined) {
      if (this.#byText.size === REWRITES_KEPT_MAX) this.#byText.clear();
      rewrite = Rewrite.parse(text);
      this.#byText.set(text, rewrite);
    }
    return rewrite;
  }
}
