/** 32 bits of a text, unsigned: to spread rows and counters, not to tell texts apart. Rows are named by it, so it stays as it is. */
export function textHash(text: string): number {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) >>> 0;
  return hash;
}
