import { compareUtf8, quoteGo } from '../model/labels.ts';

/** Labels or annotations of an alert. Names are unique; no value is empty. */
export type LabelSet = ReadonlyMap<string, string>;

const utf8 = new TextEncoder();
const separator = 0xff;

/** FNV-1a of names and values in the order of names, as 16 hex digits: what the Alertmanager calls a fingerprint. */
export function fingerprintOf(labels: LabelSet): string {
  let [high, low] = [0xcbf29ce4, 0x84222325];
  const add = (byte: number) => {
    const mixed = (low ^ byte) >>> 0;
    // times 2^40 + 0x1b3, in halves of 32 bits
    const lowProduct = mixed * 0x1b3;
    high = (high * 0x1b3 + Math.floor(lowProduct / 2 ** 32) + ((mixed << 8) >>> 0)) % 2 ** 32;
    low = lowProduct % 2 ** 32;
  };
  for (const [name, value] of sortedLabels(labels)) {
    for (const byte of utf8.encode(name)) add(byte);
    add(separator);
    for (const byte of utf8.encode(value)) add(byte);
    add(separator);
  }
  return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0');
}

export function sortedLabels(labels: LabelSet): (readonly [name: string, value: string])[] {
  return [...labels].sort(([a], [b]) => compareUtf8(a, b));
}

/** `{a="b", c="d"}`: a part of the key of a group. */
export function labelsText(labels: LabelSet): string {
  return `{${sortedLabels(labels)
    .map(([name, value]) => `${name}=${quoteGo(value)}`)
    .join(', ')}}`;
}

/** Fewer labels first, then by the first name or value that differs. */
export function compareLabels(a: LabelSet, b: LabelSet): number {
  if (a.size !== b.size) return a.size - b.size;
  const names = [...new Set([...a.keys(), ...b.keys()])].sort(compareUtf8);
  for (const name of names) {
    const [ours, theirs] = [a.get(name), b.get(name)];
    if (ours === undefined) return -1;
    if (theirs === undefined) return 1;
    const order = compareUtf8(ours, theirs);
    if (order !== 0) return order;
  }
  return 0;
}
