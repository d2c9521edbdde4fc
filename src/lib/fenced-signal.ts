const fences = new WeakMap<AbortSignal, () => void>();

/**
 * A signal for work that must not be done any more once `passed` gives a reason. No timer can abort it in time: where a process stood
 * still, what goes on first may be the next try of a call. So who tries asks.
 * @param within the signal of what the work is a part of, which may have a fence of its own
 */
export function fencedSignal(passed: () => Error | undefined, within?: AbortSignal): AbortSignal {
  const abort = new AbortController();
  const signal = within === undefined ? abort.signal : AbortSignal.any([abort.signal, within]);
  fences.set(signal, () => {
    if (within !== undefined) fences.get(within)?.();
    const reason = passed();
    if (reason !== undefined) abort.abort(reason);
  });
  return signal;
}

/** To be called before each try. @throws the signal's reason where it is aborted, or its fence has been passed */
export function throwIfFenced(signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  fences.get(signal)?.();
  signal.throwIfAborted();
}
