import type { HeadMatcher } from '../../contract/ingester.ts';
import type { RefList } from './tenant-index.ts';

/** Refs that are kept in all. */
const REFS_MAX = 1024 * 1024;
/** An entry counts as so many refs beside its own: key, object, place in the map. */
const ENTRY_REFS = 128;
const KEY_CHARS_MAX = 1024;

/** Series of a metric that a list of matchers matched. Labels of a series never change, so what was looked at need not be again. */
export interface KeptMatch {
  readonly list: RefList;
  readonly removals: number;
  /** Series of the list that were looked at, from its beginning. */
  readonly looked: number;
  readonly refs: Uint32Array;
}

/** Says what matchers say, and is the same for no others. Undefined: too long to be kept, or they do not tell all of themselves. */
export function matchersKey(matchers: readonly HeadMatcher[]): string | undefined {
  let key = '';
  for (const { name, op, value, plan } of matchers) {
    // of a long pattern only its plan travels
    if (plan !== undefined && value === '') return undefined;
    key += `${name.length}:${name}${op}${value.length}:${value}`;
  }
  return key.length > KEY_CHARS_MAX ? undefined : key;
}

/** Matches of before: dashboards and rules look for the same series again and again. Those that were asked for longest ago go. */
export class KeptMatches {
  readonly #kept = new Map<string, KeptMatch>();
  #refs = 0;

  /** Undefined: it cannot be kept. */
  static keyOf(tenant: number, matchers: readonly HeadMatcher[]): string | undefined {
    const key = matchersKey(matchers);
    return key === undefined ? undefined : `${tenant}:${key}`;
  }

  get(key: string, list: RefList): KeptMatch | undefined {
    const match = this.#kept.get(key);
    if (match === undefined) return undefined;
    this.#kept.delete(key);
    if (match.list !== list || match.removals !== list.removals) {
      this.#refs -= ENTRY_REFS + match.refs.length;
      return undefined;
    }
    this.#kept.set(key, match);
    return match;
  }

  put(key: string, match: KeptMatch): void {
    const before = this.#kept.get(key);
    if (before !== undefined) this.#drop(key, before);
    const size = ENTRY_REFS + match.refs.length;
    if (size > REFS_MAX / 4) return;
    this.#kept.set(key, match);
    this.#refs += size;
    for (const [oldest, old] of this.#kept) {
      if (this.#refs <= REFS_MAX) return;
      this.#drop(oldest, old);
    }
  }

  #drop(key: string, match: KeptMatch): void {
    this.#kept.delete(key);
    this.#refs -= ENTRY_REFS + match.refs.length;
  }
}
