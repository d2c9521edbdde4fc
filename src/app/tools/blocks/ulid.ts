import type { Random } from '../../../lib/random.ts';

const DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const TIME_DIGITS = 10;
const RANDOM_DIGITS = 16;

/** A name for a block, by its time in Unix ms and by chance (github.com/ulid/spec). */
export function ulidOf(timeMs: number, random: Random): string {
  let time = '';
  for (let left = timeMs; time.length < TIME_DIGITS; left = Math.floor(left / 32)) time = DIGITS[left % 32]! + time;
  return time + Array.from({ length: RANDOM_DIGITS }, () => DIGITS[Math.floor(random() * 32)]).join('');
}
