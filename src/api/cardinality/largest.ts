/** The largest of what it is given, at most `max` of them; equal ones by name. */
export class Largest<T extends { readonly size: number; readonly name: string }> {
  readonly #max: number;
  #kept: T[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  add(entry: T): void {
    this.#kept.push(entry);
    if (this.#kept.length >= 2 * this.#max + 64) this.#kept = this.list();
  }

  /** Largest first. */
  list(): T[] {
    return this.#kept.sort((a, b) => b.size - a.size || (a.name < b.name ? -1 : 1)).slice(0, this.#max);
  }
}
