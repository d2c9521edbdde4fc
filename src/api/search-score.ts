/** How well a name fits what was typed: 0 not at all, 1 as well as can be. Source: Prometheus `util/strutil`, `web/api/v1/search_filters.go`. */
export type Score = (candidate: string) => number;

export interface SearchSpec {
  readonly terms: readonly string[];
  readonly algorithm: 'subsequence' | 'jarowinkler';
  /** Least score that counts as fitting, 0 … 1. */
  readonly threshold: number;
  readonly caseSensitive: boolean;
}

/** The best score of any term; without terms everything fits. */
export function scorer({ terms, algorithm, threshold, caseSensitive }: SearchSpec): Score {
  if (terms.length === 0) return () => 1;
  const folded = terms.map((term) => (caseSensitive ? term : term.toLowerCase()));
  const one = algorithm === 'subsequence' ? bySubsequence : bySubstring;
  return (candidate) => {
    const name = caseSensitive ? candidate : candidate.toLowerCase();
    let best = 0;
    for (const term of folded) best = Math.max(best, one(term, name, threshold));
    return best;
  };
}

function bySubsequence(term: string, name: string, threshold: number): number {
  if (name.startsWith(term)) return 1;
  const score = subsequenceScore([...term], [...name]);
  return score >= threshold ? score : 0;
}

/** A name that contains the term fits well. With a threshold, other names fit by their likeness to it. */
function bySubstring(term: string, name: string, threshold: number): number {
  if (name.startsWith(term)) return 1;
  if (name.includes(term)) return 0.9;
  if (threshold === 0) return 0;
  const score = jaroWinkler([...term], [...name]);
  return score >= threshold ? score : 0;
}

/**
 * The characters of `term` must occur in `name` in order. Runs count by the square of their length, gaps take away their
 * share of the name, the rest behind the last run half of that. Of all places to begin the best counts.
 */
export function subsequenceScore(term: readonly string[], name: readonly string[]): number {
  let best = 0;
  for (let start = 0; start <= name.length - term.length; start++) {
    if (name[start] !== term[0]) continue;
    const score = scoreFrom(term, name, start);
    if (score === undefined) break; // what is not complete from here is not from any later place
    best = Math.max(best, score);
  }
  return best / (term.length * term.length);
}

function scoreFrom(term: readonly string[], name: readonly string[], start: number): number | undefined {
  const share = 1 / name.length;
  let score = 0;
  let runEnd = 0;
  let at = start;
  for (let matched = 0; matched < term.length; ) {
    while (at < name.length && name[at] !== term[matched]) at++;
    if (at === name.length) return undefined;
    const from = at;
    while (at < name.length && matched < term.length && name[at] === term[matched]) {
      at++;
      matched++;
    }
    score += (at - from) ** 2 - (from - runEnd) * share;
    runEnd = at;
  }
  return score - (name.length - runEnd) * share * 0.5;
}

/** Jaro–Winkler similarity with the usual factor of 0.1 for up to four equal characters at the beginning. */
export function jaroWinkler(a: readonly string[], b: readonly string[]): number {
  const [short, long] = a.length <= b.length ? [a, b] : [b, a];
  if (short.length === 0) return long.length === 0 ? 1 : 0;
  const reach = Math.max(0, Math.floor(long.length / 2) - 1);
  const taken = new Uint8Array(long.length);
  const matched: string[] = [];
  for (const [i, char] of short.entries()) {
    const end = Math.min(i + reach + 1, long.length);
    for (let j = Math.max(0, i - reach); j < end; j++) {
      if (taken[j] === 1 || long[j] !== char) continue;
      taken[j] = 1;
      matched.push(char);
      break;
    }
  }
  if (matched.length === 0) return 0;
  const others = long.filter((_, j) => taken[j] === 1);
  const transposed = matched.filter((char, i) => char !== others[i]).length;
  const matches = matched.length;
  const jaro = (matches / short.length + matches / long.length + (matches - transposed / 2) / matches) / 3;
  let prefix = 0;
  while (prefix < Math.min(4, short.length) && short[prefix] === long[prefix]) prefix++;
  return jaro + prefix * 0.1 * (1 - jaro);
}
