// XXH64 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md) for placement and checksums; SipHash-1-3 with a 128-bit result
// (Aumasson and Bernstein, github.com/veorq/SipHash) for look-up, where the keys come from strangers.

const P1: u64 = 0x9e3779b185ebca87;
const P2: u64 = 0xc2b2ae3d27d4eb4f;
const P3: u64 = 0x165667b19e3779f9;
const P4: u64 = 0x85ebca77c2b2ae63;
const P5: u64 = 0x27d4eb2f165667c5;

// @ts-ignore: decorator
@inline function round(acc: u64, lane: u64): u64 {
  return rotl<u64>(acc + lane * P2, 31) * P1;
}

// @ts-ignore: decorator
@inline function merge(acc: u64, lane: u64): u64 {
  return (acc ^ round(0, lane)) * P1 + P4;
}

export function xxh64(p: usize, len: u32): u64 {
  return xxh64Seeded(p, len, 0);
}

export function xxh64Seeded(p: usize, len: u32, seed: u64): u64 {
  const end = p + len;
  let h: u64;
  if (len >= 32) {
    let a = seed + P1 + P2;
    let b = seed + P2;
    let c = seed;
    let d = seed - P1;
    const stop = end - 32;
    do {
      a = round(a, load<u64>(p));
      b = round(b, load<u64>(p, 8));
      c = round(c, load<u64>(p, 16));
      d = round(d, load<u64>(p, 24));
      p += 32;
    } while (p <= stop);
    h = rotl<u64>(a, 1) + rotl<u64>(b, 7) + rotl<u64>(c, 12) + rotl<u64>(d, 18);
    h = merge(merge(merge(merge(h, a), b), c), d);
  } else {
    h = seed + P5;
  }
  h += len;
  for (; p + 8 <= end; p += 8) h = rotl<u64>(h ^ round(0, load<u64>(p)), 27) * P1 + P4;
  if (p + 4 <= end) {
    h = rotl<u64>(h ^ (<u64>load<u32>(p) * P1), 23) * P2 + P3;
    p += 4;
  }
  for (; p < end; p++) h = rotl<u64>(h ^ (<u64>load<u8>(p) * P5), 11) * P1;
  h = (h ^ (h >> 33)) * P2;
  h = (h ^ (h >> 29)) * P3;
  return h ^ (h >> 32);
}

/** For checksums: the low half, as JavaScript can take it. */
export function checksum(p: usize, len: u32): u32 {
  return <u32>xxh64(p, len);
}

/** The second half of the last `sipHash`. */
export let sipHigh: u64 = 0;

/**
 * SipHash-1-3-128: returns the first half, leaves the second in `sipHigh`. Its round stands here four times: one loop for all of them
 * makes a hash of 40 bytes half as slow again, and there are no functions with four results.
 */
export function sipHash(p: usize, len: u32, k0: u64, k1: u64): u64 {
  let v0 = k0 ^ 0x736f6d6570736575;
  let v1 = k1 ^ 0x646f72616e646f6d ^ 0xee;
  let v2 = k0 ^ 0x6c7967656e657261;
  let v3 = k1 ^ 0x7465646279746573;
  const end = p + (len & ~7);
  let m: u64;
  for (; p < end; p += 8) {
    m = load<u64>(p);
    v3 ^= m;
    v0 += v1;
    v1 = rotl<u64>(v1, 13);
    v1 ^= v0;
    v0 = rotl<u64>(v0, 32);
    v2 += v3;
    v3 = rotl<u64>(v3, 16);
    v3 ^= v2;
    v0 += v3;
    v3 = rotl<u64>(v3, 21);
    v3 ^= v0;
    v2 += v1;
    v1 = rotl<u64>(v1, 17);
    v1 ^= v2;
    v2 = rotl<u64>(v2, 32);
    v0 ^= m;
  }
  m = (<u64>len) << 56;
  const rest = len & 7;
  if (len >= 8) {
    if (rest != 0) m |= load<u64>(p + rest - 8) >> ((8 - rest) << 3);
  } else {
    for (let i: u32 = 0; i < rest; i++) m |= (<u64>load<u8>(p + i)) << (i << 3);
  }
  v3 ^= m;
  v0 += v1;
  v1 = rotl<u64>(v1, 13);
  v1 ^= v0;
  v0 = rotl<u64>(v0, 32);
  v2 += v3;
  v3 = rotl<u64>(v3, 16);
  v3 ^= v2;
  v0 += v3;
  v3 = rotl<u64>(v3, 21);
  v3 ^= v0;
  v2 += v1;
  v1 = rotl<u64>(v1, 17);
  v1 ^= v2;
  v2 = rotl<u64>(v2, 32);
  v0 ^= m;
  v2 ^= 0xee;
  for (let i = 0; i < 3; i++) {
    v0 += v1;
    v1 = rotl<u64>(v1, 13);
    v1 ^= v0;
    v0 = rotl<u64>(v0, 32);
    v2 += v3;
    v3 = rotl<u64>(v3, 16);
    v3 ^= v2;
    v0 += v3;
    v3 = rotl<u64>(v3, 21);
    v3 ^= v0;
    v2 += v1;
    v1 = rotl<u64>(v1, 17);
    v1 ^= v2;
    v2 = rotl<u64>(v2, 32);
  }
  const first = v0 ^ v1 ^ v2 ^ v3;
  v1 ^= 0xdd;
  for (let i = 0; i < 3; i++) {
    v0 += v1;
    v1 = rotl<u64>(v1, 13);
    v1 ^= v0;
    v0 = rotl<u64>(v0, 32);
    v2 += v3;
    v3 = rotl<u64>(v3, 16);
    v3 ^= v2;
    v0 += v3;
    v3 = rotl<u64>(v3, 21);
    v3 ^= v0;
    v2 += v1;
    v1 = rotl<u64>(v1, 17);
    v1 ^= v2;
    v2 = rotl<u64>(v2, 32);
  }
  sipHigh = v0 ^ v1 ^ v2 ^ v3;
  return first;
}
