import type { PlanData } from './plan.ts';
import { ALT, EMPTY_WIDTH, FAIL, MATCH, NOP, type RegexProgram, RUNE } from './program.ts';
import type { Part } from './shape.ts';
import type { TextTableData } from './text-table.ts';

// Plans that came from another process: whoever matches with one looks at nothing again, and a wrong one would never end.

type Unknown = Readonly<Record<string, unknown>>;

/** Lists of parts, and parts and texts of one. */
const GENERAL_MAX = 100_000;
const RUNE_MAX = 0x10ffff;

/** Whether a value is a plan that matching comes to an end with. Says nothing about whether it is that of its pattern. */
export function isPlanData(value: unknown): value is PlanData {
  if (typeof value !== 'object' || value === null) return false;
  const { exact, prefixes, suffixes, general, program } = value as Unknown;
  return (
    [exact, prefixes, suffixes].every((table) => table === undefined || isTextTable(table)) &&
    isListOf(general, (parts): parts is readonly Part[] => isListOf(parts, isPart)) &&
    (program === undefined || isProgram(program))
  );
}

function isListOf<T>(value: unknown, isItem: (item: unknown) => item is T): value is readonly T[] {
  return Array.isArray(value) && value.length <= GENERAL_MAX && value.every(isItem);
}

function isPart(value: unknown): value is Part {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, texts, charsMin } = value as Unknown;
  switch (kind) {
    case 'set':
      return isListOf(texts, (text): text is string => typeof text === 'string');
    case 'gap':
      return charsMin === 0 || charsMin === 1;
    case 'opaque':
      return true;
    default:
      return false;
  }
}

function isTextTable(value: unknown): value is TextTableData {
  if (typeof value !== 'object' || value === null) return false;
  const { text, starts, slots, lengths, seed, backwards } = value as Unknown;
  if (typeof text !== 'string' || typeof backwards !== 'boolean') return false;
  const columns = [starts, slots, lengths, seed];
  if (!columns.every((column) => column instanceof Uint32Array)) return false;
  const [from, places, sizes, two] = columns as [Uint32Array, Uint32Array, Uint32Array, Uint32Array];
  const texts = from.length - 1;
  if (texts < 0 || from[0] !== 0 || from[texts] !== text.length || !isAscending(from)) return false;
  if (two.length !== 2 || !isAscending(sizes)) return false;
  // a table with a free place ends every search
  const size = places.length;
  return size > texts && (size & (size - 1)) === 0 && places.includes(0) && places.every((number) => number <= texts);
}

function isAscending(column: Uint32Array): boolean {
  for (let i = 1; i < column.length; i++) if (column[i]! < column[i - 1]!) return false;
  return true;
}

function isProgram(value: unknown): value is RegexProgram {
  if (typeof value !== 'object' || value === null) return false;
  const { start, ops, outs, args, classes, ranges, cost } = value as Unknown;
  if (!(ops instanceof Uint8Array)) return false;
  const columns = [outs, args, classes, ranges];
  if (!columns.every((column) => column instanceof Int32Array)) return false;
  const [next, other, from, pairs] = columns as [Int32Array, Int32Array, Int32Array, Int32Array];
  const size = ops.length;
  const isPlace = (at: unknown) => Number.isInteger(at) && (at as number) >= 0 && (at as number) < size;
  if (next.length !== size || other.length !== size || !isPlace(start)) return false;
  if (cost !== undefined && !(typeof cost === 'number' && cost > 0)) return false;
  if (from[0] !== 0 || from.at(-1) !== pairs.length || pairs.length % 2 !== 0) return false;
  for (let i = 1; i < from.length; i++) if (from[i]! < from[i - 1]! || from[i]! % 2 !== 0) return false;
  if (!pairs.every((rune) => rune >= 0 && rune <= RUNE_MAX)) return false;
  return ops.every((op, pc) => {
    switch (op) {
      case MATCH:
      case FAIL:
        return true;
      case ALT:
        return isPlace(next[pc]) && isPlace(other[pc]);
      case NOP:
      case EMPTY_WIDTH:
        return isPlace(next[pc]);
      case RUNE:
        return isPlace(next[pc]) && other[pc]! >= 0 && other[pc]! < from.length - 1;
      default:
        return false;
    }
  });
}
