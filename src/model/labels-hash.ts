import xxhash from 'xxhash-wasm';

const { h64Raw } = await xxhash();

/**
 * The low half of XXH64.
 * @param labels canonical bytes (`encodeLabels`)
 */
export function labelsHash(labels: Uint8Array): number {
  return Number(h64Raw(labels, 0n) & 0xffff_ffffn);
}
