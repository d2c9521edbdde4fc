/** The result of a generator that yields only to let others have their turn, run without a pause: for where nobody waits. */
export function inOneGo<T>(work: Generator<undefined, T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
  }
}
