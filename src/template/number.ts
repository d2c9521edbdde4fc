import type { Bytes } from './bytes.ts';
import { parseFloat64, underscoresFit, withoutUnderscores } from './float-text.ts';
import type { NumberNode } from './node.ts';
import { quote, syntaxError, unquoteCharacter } from './quote.ts';

type Constant = Pick<NumberNode, 'int' | 'uint' | 'float' | 'complex'>;

const intMax = 2n ** 63n - 1n;
const intMin = -(2n ** 63n);
const uintMax = 2n ** 64n - 1n;
/** Longer ones are no number that fits anywhere, and reading them would cost more than their length. */
const digitsMax = 1000;

/** A constant in each type that can hold it, as Go's ideal constants. Returns the reason where it is none. */
export function parseNumber(text: Bytes, kind: 'charConstant' | 'complex' | 'number'): Constant | string {
  if (kind === 'charConstant') return parseCharacter(text);
  if (text.length > digitsMax) return `illegal number syntax: ${quote(text)}`;
  if (kind === 'complex') return parseComplex(text);
  if (text.endsWith('i')) {
    const im = parseFloat64(text.slice(0, -1));
    if (typeof im === 'number') return simplified(0, im);
  }
  const int = parseInteger(text);
  if (int !== undefined) {
    return {
      int: int >= intMin && int <= intMax ? int : undefined,
      uint: int >= 0n && !/^[+-]./.test(text) ? int : int === 0n ? 0n : undefined,
      float: Number(int),
      complex: undefined,
    };
  }
  const float = parseFloat64(text);
  if (typeof float !== 'number') return `illegal number syntax: ${quote(text)}`;
  if (!/[.eEpP]/.test(text)) return `integer overflow: ${quote(text)}`;
  return { ...wholesOf(float), float, complex: undefined };
}

function parseCharacter(text: Bytes): Constant | string {
  const character = unquoteCharacter(text.slice(1), "'");
  if (character === undefined) return syntaxError;
  if (character.rest !== "'") return `malformed character constant: ${text}`;
  const code = BigInt(character.code);
  return { int: code, uint: code, float: character.code, complex: undefined };
}

function parseComplex(text: Bytes): Constant | string {
  const split = text.slice(1).search(/(?<![eEpP])[+-]/) + 1;
  const parts = [text.slice(0, split), text.slice(split, -1)];
  const [re, im] = parts.map(parseFloat64);
  if (typeof re === 'number' && typeof im === 'number') return simplified(re, im);
  if (parts[1]!.length === 1) return 'syntax error scanning complex number';
  const bad = typeof re === 'number' ? 1 : 0;
  return `strconv.ParseFloat: parsing ${quote(parts[bad]!)}: ${bad === 0 ? re : im}`;
}

/** A complex number without an imaginary part is all the others as well. */
function simplified(re: number, im: number): Constant {
  if (im !== 0) return { int: undefined, uint: undefined, float: undefined, complex: { re, im } };
  return { ...wholesOf(re), float: re, complex: { re, im } };
}

function wholesOf(float: number): Pick<Constant, 'int' | 'uint'> {
  const isWhole = Number.isInteger(float);
  return {
    int: isWhole && float >= -(2 ** 63) && float < 2 ** 63 ? BigInt(float) : undefined,
    uint: isWhole && float >= 0 && float < 2 ** 64 ? BigInt(float) : undefined,
  };
}

/** In any base that Go writes integers in, up to 64 bits; undefined where it is no such integer. */
function parseInteger(text: Bytes): bigint | undefined {
  const parts = /^([+-]?)(?:0x([\da-f_]+)|0b([01_]+)|0o([0-7_]+)|0([0-7_]*)|([1-9][\d_]*))$/i.exec(text);
  if (parts === null || (text.includes('_') && !underscoresFit(text))) return undefined;
  const [, sign, hex, binary, octal, oldOctal, decimal] = parts;
  const digits =
    hex !== undefined
      ? `0x${hex}`
      : binary !== undefined
        ? `0b${binary}`
        : decimal !== undefined
          ? decimal
          : `0o0${octal ?? oldOctal}`;
  const size = BigInt(withoutUnderscores(digits));
  const value = sign === '-' ? -size : size;
  return value >= intMin && value <= uintMax && (sign === '' || value <= intMax) ? value : undefined;
}
