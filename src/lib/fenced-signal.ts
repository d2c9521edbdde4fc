const fences = new WeakMap<AbortSignal, () => void>();

/**
 * A signal for work that must not be done any more once `passed` gives a reason. No timer can abort it in time: where a process stood
 * still, what goes on first may be the next try of a call. So who tries asks.
 */
export function fencedSignal(passed: () => Error | undefined): AbortSignal {
  const abort = new AbortController();
  fences.set(abort.signal, () => {
    const reason = passed();
    if (reason !== undefined) abort.abort(reason);
  });
  return abort.signal;
}

/** To be called before each try. @throws the signal's reason where it is aborted, or its fence has been passed */
export function throwIfFenced(signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  fences.get(signal)?.();
  signal.throwIfAborted();
}
