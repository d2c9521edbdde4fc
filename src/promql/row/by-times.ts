/** Steps of what is kept, all together. */
const STEPS_MAX = 16 * 1024;
const KEPT_MAX = 128;

/**
 * Results found from samples' times, for each of the last few `SampleColumns.timesId`: the series of some targets often alternate.
 * The oldest is handed out again for another when there are too many.
 */
export class ByTimes<T> {
  readonly #make: () => T;
  readonly #keptMax: number;
  readonly #kept = new Map<number, T>();

  constructor(steps: number, make: () => T) {
    this.#make = make;
    this.#keptMax = Math.max(1, Math.min(KEPT_MAX, Math.floor(STEPS_MAX / steps)));
  }

  of(timesId: number): T {
    const known = this.#kept.get(timesId);
    if (known !== undefined) return known;
    let made: T;
    if (this.#kept.size < this.#keptMax) {
      made = this.#make();
    } else {
      const [oldest, again] = this.#kept.entries().next().value!;
      this.#kept.delete(oldest);
      made = again;
    }
    this.#kept.set(timesId, made);
    return made;
  }
}
