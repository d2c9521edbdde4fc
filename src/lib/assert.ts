/** For bugs only: what can never be false unless our own code is wrong. What the world does wrong is an `AppError`. */
export function assert(condition: unknown, what = 'assertion failed'): asserts condition {
  if (!condition) throw new Error(`bug: ${what}`);
}
