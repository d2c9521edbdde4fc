/** Tells when others should have their turn, and gives it to them: a `Pacer`. */
export interface Turns {
  readonly due: boolean;
  pause(): Promise<void>;
}

/** The result of a generator that yields where others may have their turn. */
export async function inTurns<T>(work: Generator<undefined, T>, turns: Turns): Promise<T> {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
    if (turns.due) await turns.pause();
  }
}
