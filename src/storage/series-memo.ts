/** A place for what is made of a list of series, which is the same for the very same list, query after query. */
export type SeriesMemo = Map<string, unknown>;

/** Things that are kept of a list; others are made anew each time. */
const KEPT_MAX = 16;

/** Things that `make` made for the list under this key: never changed, and made anew where there is no memo. */
export function memoOf<T extends object | boolean>(memo: SeriesMemo | undefined, key: string, make: () => T): T {
  const known = memo?.get(key);
  if (known !== undefined) return known as T;
  const made = make();
  if (memo !== undefined && memo.size < KEPT_MAX) memo.set(key, made);
  return made;
}
