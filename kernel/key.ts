import { sipHash, sipHigh } from './hash';

// A series' key: SipHash-1-3-128 of its canonical labels under its tenant's key, which is that of the tenant's id under a secret of
// the process. Who has the secret (the edges and shards of a process) makes the same keys; nobody else can craft two labels of one.

export let secret0: u64 = 0;
export let secret1: u64 = 0;
/** The two halves of the key that the last call here has made. */
export let key0: u64 = 0;
export let key1: u64 = 0;

/** `secret`: 16 random bytes. */
export function keyInit(secret: usize): void {
  secret0 = load<u64>(secret);
  secret1 = load<u64>(secret, 8);
}

export function tenantKey(id: usize, len: u32): void {
  key0 = sipHash(id, len, secret0, secret1);
  key1 = sipHigh;
}

export function seriesKey(labels: usize, len: u32, tenant0: u64, tenant1: u64): void {
  key0 = sipHash(labels, len, tenant0, tenant1);
  key1 = sipHigh;
}
