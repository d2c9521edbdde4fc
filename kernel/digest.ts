// Digests of samples: equal for equal samples, whatever the order in which they came.

// Finaliser of splitmix64.
// @ts-ignore: decorator
@inline function mix(x: u64): u64 {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

/**
 * Adds each (time, value bits) of a series to a sum of 128 bits, two 64-bit lanes without carry: `digest` points to the lanes,
 * `seed` to the 128 bits that stand for the series. In which order, and in how many calls, does not show.
 */
export function digestSamples(times: usize, values: usize, n: u32, seed: usize, digest: usize): void {
  let low = load<u64>(digest);
  let high = load<u64>(digest, 8);
  const seedLow = load<u64>(seed);
  const seedHigh = load<u64>(seed, 8);
  for (let i: u32 = 0; i < n; i++) {
    const time = mix(load<u64>(times + ((<usize>i) << 3)) ^ seedLow);
    const value = mix((load<u64>(values + ((<usize>i) << 3)) + time) ^ seedHigh);
    low += value;
    high += mix(value ^ time ^ seedLow);
  }
  store<u64>(digest, low);
  store<u64>(digest, high, 8);
}

/** 128 bits that stand for the labels of a series in digests. `bytes` has room for 8 zero bytes behind its end. */
export function digestSeed(bytes: usize, length: u32, seed: usize): void {
  let low = mix(<u64>length + 0x9e3779b97f4a7c15);
  let high = mix(low);
  store<u64>(bytes + length, 0);
  for (let i: u32 = 0; i < length; i += 8) {
    const word = load<u64>(bytes + i);
    low = mix(low ^ word);
    high = mix((high + word) ^ low);
  }
  store<u64>(seed, low);
  store<u64>(seed, high, 8);
}
