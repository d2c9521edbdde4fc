/**
 * The answers of `parts`, in their order. Some are under way at a time, earlier ones first. Where one fails, those after it end, and the error
 * is that of the first one that failed: the same whichever is quicker.
 *
 * @param parallelMax at least 1
 * @param signal its reason ends all
 */
export async function runParts<Part, Answer>(
  parts: readonly Part[],
  parallelMax: number,
  signal: AbortSignal,
  run: (part: Part, signal: AbortSignal) => Promise<Answer>,
): Promise<Answer[]> {
  const answers: Answer[] = [];
  const ends = new Map<number, AbortController>();
  let failed: { readonly at: number; readonly error: unknown } | undefined;
  let next = 0;
  const fail = (at: number, error: unknown): void => {
    if (failed !== undefined && failed.at < at) return;
    failed = { at, error };
    for (const [other, end] of ends) if (other > at) end.abort(error);
  };
  const work = async (): Promise<void> => {
    while (next < parts.length && failed === undefined) {
      const at = next++;
      const end = new AbortController();
      ends.set(at, end);
      try {
        signal.throwIfAborted();
        answers[at] = await run(parts[at]!, AbortSignal.any([signal, end.signal]));
      } catch (error) {
        fail(at, error);
      } finally {
        ends.delete(at);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(parallelMax, parts.length) }, work));
  if (failed !== undefined) throw failed.error;
  return answers;
}
