import type { Random } from '../../../src/lib/random.ts';

// Parts that requests of the cost fuzzer are put together from.

const BODY_BYTES_MAX = 3_000_000;

export function pick<T>(random: Random, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)]!;
}

/** `n` of them, cut so that all together stay below the size of a body. */
export function repeat(part: string, n: number): string {
  return part.repeat(Math.max(1, Math.min(n, Math.floor(BODY_BYTES_MAX / Math.max(1, part.length)))));
}

export function many(n: number, part: (i: number) => string, separator: string): string {
  const out: string[] = [];
  let bytes = 0;
  for (let i = 0; i < n && bytes < BODY_BYTES_MAX; i++) {
    const one = part(i);
    bytes += one.length + separator.length;
    out.push(one);
  }
  return out.join(separator);
}

const REGEX_PARTS = [
  'a?',
  '.',
  '.*',
  '[a-z]+',
  '(a|b)',
  '(?:[a-m].?|[n-z]..?)',
  '\\d{1,3}',
  '.{0,1000}',
  '(x+x+)+y',
  '(?i)ab',
  '[^/]*/',
  'é',
  '\\pL',
  '(?s).',
  'ab|cd|ef',
  '10\\.0\\.0\\.1',
];

export function regex(random: Random, n: number): string {
  const part = pick(random, REGEX_PARTS);
  const style = random();
  if (style < 0.3) return repeat(part, n);
  if (style < 0.5) return many(n, (i) => `${part}${i}`, '|');
  if (style < 0.7) return `(?:${part}){${Math.min(n, 1000)}}${pick(random, REGEX_PARTS)}`;
  if (style < 0.85) return `${repeat('(', Math.min(n, 5000))}${part}${repeat(')', Math.min(n, 5000))}`;
  return many(n, (i) => `host-${i}.example.com`, '|');
}

export const quoted = (text: string) => JSON.stringify(text);

export function selector(random: Random, [a, b]: readonly number[]): string {
  const op = () => pick(random, ['=', '!=', '=~', '!~']);
  const value = () => (random() < 0.5 ? regex(random, b!) : 'v'.repeat(Math.min(b!, 100_000)));
  if (random() < 0.5) return `fuzz{l1${op()}${quoted(value())}}`;
  return `{__name__=~"fuzz.*",${many(a!, (i) => `l${i}${op()}"v${i}"`, ',')}}`;
}
