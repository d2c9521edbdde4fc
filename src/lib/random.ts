/** A number in [0, 1). Comes in through a parameter where its outcome can be seen. */
export type Random = () => number;

/** Chance itself; nothing else in src/ asks the system for it. */
export const systemRandom: Random = Math.random;

/** A source of `count` bytes that nobody can guess. */
export type RandomBytes = (count: number) => Uint8Array<ArrayBuffer>;

export const systemBytes: RandomBytes = (count) => crypto.getRandomValues(new Uint8Array(count));

/** The same sequence for the same seed (mulberry32). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** The same values in an order that is drawn. */
export function shuffled<T>(all: readonly T[], random: Random): T[] {
  const out = [...all];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
}
