import type { Budget } from './budget.ts';
import { type Bytes, decodeRune, encodeRune, isPrint, runeCount, runeError, runesOf } from './bytes.ts';
import { type FloatVerb, formatFloat } from './float-text.ts';
import { canBackquote, quote, quoteRune } from './quote.ts';
import {
  INT64,
  indirect,
  integer,
  isNil,
  ownText,
  placed,
  pointer,
  sortedKeys,
  type Type,
  typeOf,
  type Value,
  wholeOf,
} from './value.ts';

/** `Sprint`, `Sprintf` and `Sprintln` of Go's `fmt`, after its documentation and its order of decisions. */

interface Flags {
  width: number | undefined;
  precision: number | undefined;
  minus: boolean;
  plus: boolean;
  sharp: boolean;
  space: boolean;
  zero: boolean;
  /** `%+v` and `%#v`, which mean more than the flags alone. */
  plusV: boolean;
  sharpV: boolean;
}

/** Go takes no width or precision above it. */
const sizeMax = 1_000_000;

const noAddress = 0xc000000000n;

const UINT64: Type = { kind: 'uint', name: 'uint64' };
const LOCATION: Type = { kind: 'pointer', name: '*time.Location' };
const sinceYear1 = 62_135_596_800n;

export function sprint(args: readonly Value[], budget: Budget): Bytes {
  const printer = new Printer(budget);
  let wasString = true;
  args.forEach((arg, i) => {
    const isString = arg !== undefined && typeOf(arg).kind === 'string';
    if (i > 0 && !isString && !wasString) printer.write(' ');
    printer.clear();
    printer.argument(arg, 'v');
    wasString = isString;
  });
  return printer.text;
}

export function sprintln(args: readonly Value[], budget: Budget): Bytes {
  const printer = new Printer(budget);
  args.forEach((arg, i) => {
    if (i > 0) printer.write(' ');
    printer.clear();
    printer.argument(arg, 'v');
  });
  printer.write('\n');
  return printer.text;
}

export function sprintf(format: Bytes, args: readonly Value[], budget: Budget): Bytes {
  const printer = new Printer(budget);
  printer.format(format, args);
  return printer.text;
}

class Printer {
  text: Bytes = '';
  #flags: Flags = noFlags();
  /** While a value is shown that the verb does not fit: then values do not print themselves. */
  #isComplaining = false;
  readonly #budget: Budget;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  write(bytes: Bytes): void {
    this.#budget.make(bytes.length);
    this.text += bytes;
  }

  clear(): void {
    this.#flags = noFlags();
  }

  format(format: Bytes, args: readonly Value[]): void {
    const reader = new DirectiveReader(format, args);
    for (;;) {
      const plain = reader.plainText();
      if (plain !== '') this.write(plain);
      if (reader.atEnd) break;
      this.#budget.step();
      this.#flags = noFlags();
      for (const complaint of reader.directive(this.#flags)) this.write(complaint);
      const verb = reader.verb();
      if (verb === undefined) {
        this.write('%!(NOVERB)');
        break;
      }
      if (verb === '%') this.write('%');
      else if (!reader.indexFits) this.write(`%!${verb}(BADINDEX)`);
      else if (reader.argument >= args.length) this.write(`%!${verb}(MISSING)`);
      else {
        if (verb === 'v') {
          this.#flags.sharpV = this.#flags.sharp;
          this.#flags.plusV = this.#flags.plus;
          this.#flags.sharp = false;
          this.#flags.plus = false;
        }
        this.argument(args[reader.argument++], verb);
      }
    }
    if (reader.isReordered || reader.argument >= args.length) return;
    this.clear();
    this.write('%!(EXTRA ');
    args.slice(reader.argument).forEach((arg, i) => {
      if (i > 0) this.write(', ');
      if (arg === undefined) this.write('<nil>');
      else {
        this.write(`${typeOf(arg).name}=`);
        this.argument(arg, 'v');
      }
    });
    this.write(')');
  }

  argument(given: Value, verb: Bytes): void {
    const arg = typeof given === 'object' && given.tag === 'interface' ? given.inner : given;
    if (arg === undefined) {
      if (verb === 'v' || verb === 'T') this.#pad('<nil>');
      else this.#badVerb(verb, arg);
    } else if (verb === 'T') this.#string(typeOf(arg).name, 's', arg);
    else if (verb === 'p') this.#pointer(arg, verb);
    else this.#value(arg, verb, 0);
  }

  #value(value: Value, verb: Bytes, depth: number): void {
    this.#budget.step();
    if (depth > 50) {
      this.write('...');
      return;
    }
    if (value === undefined) {
      if (verb === 'v') this.write('<nil>');
      else this.#badVerb(verb, value);
      return;
    }
    switch (typeof value) {
      case 'boolean':
        if (verb === 't' || verb === 'v') this.#pad(value ? 'true' : 'false');
        else this.#badVerb(verb, value);
        return;
      case 'bigint':
        this.#integer(value, true, verb, value);
        return;
      case 'number':
        this.#float(value, verb, value);
        return;
      case 'string':
        this.#string(value, verb, value);
        return;
    }
    if (!this.#flags.sharpV && !this.#isComplaining && ['v', 's', 'x', 'X', 'q'].includes(verb)) {
      const own = ownText(value, this.#budget);
      if (own !== undefined) {
        this.#string(own, verb, value);
        return;
      }
    }
    const { sharpV } = this.#flags;
    switch (value.tag) {
      case 'int':
        this.#integer(value.value, value.type.kind === 'int', verb, value);
        return;
      case 'complex':
        this.#complex(value.re, value.im, verb, value);
        return;
      case 'string':
        this.#string(value.bytes, verb, value);
        return;
      case 'interface':
        if (value.inner !== undefined) {
          this.#value(value.inner, verb, depth + 1);
          return;
        }
        this.write(sharpV ? 'interface {}(nil)' : '<nil>');
        return;
      case 'list':
        if (sharpV && value.isNil) {
          this.write(`${value.type.name}(nil)`);
          return;
        }
        this.#sequence(sharpV ? `${value.type.name}{` : '[', sharpV ? '}' : ']', value.items, (item) =>
          this.#value(placed(item, value.type.elem!), verb, depth + 1),
        );
        return;
      case 'map':
        if (sharpV && value.isNil) {
          this.write(`${value.type.name}(nil)`);
          return;
        }
        this.#sequence(
          sharpV ? `${value.type.name}{` : 'map[',
          sharpV ? '}' : ']',
          sortedKeys(value.entries),
          (key) => {
            this.#value(key, verb, depth + 1);
            this.write(':');
            this.#value(placed(value.entries.get(key), value.type.elem!), verb, depth + 1);
          },
        );
        return;
      case 'struct':
        this.#sequence(sharpV ? `${value.type.name}{` : '{', '}', value.type.fields ?? [], (field, i) => {
          if (this.#flags.plusV || sharpV) this.write(`${field.name}:`);
          this.#value(placed(value.fields[i], field.type), verb, depth + 1);
        });
        return;
      case 'pointer': {
        const { target } = value;
        if (depth === 0 && typeof target === 'object' && ['list', 'struct', 'map'].includes(target.tag)) {
          this.write('&');
          this.#value(target, verb, depth + 1);
          return;
        }
        this.#pointer(value, verb);
        return;
      }
      case 'time': {
        // the parts that Go keeps an instant in: nanoseconds, seconds since the year 1, a zone
        const zone = pointer(value.zone.name === 'UTC' ? undefined : '', LOCATION);
        const parts = [integer(BigInt(value.nanos), UINT64), integer(BigInt(value.seconds) + sinceYear1, INT64), zone];
        this.#sequence('{', '}', parts, (part) => this.#value(part, verb, depth + 1));
        return;
      }
      case 'func':
        this.#pointer(value, verb);
        return;
    }
  }

  #sequence<T>(open: string, close: string, items: readonly T[], each: (item: T, i: number) => void): void {
    const comma = this.#flags.sharpV ? ', ' : ' ';
    this.write(open);
    items.forEach((item, i) => {
      if (i > 0) this.write(comma);
      each(item, i);
    });
    this.write(close);
  }

  #badVerb(verb: Bytes, value: Value): void {
    this.#isComplaining = true;
    this.write(`%!${verb}(`);
    if (value === undefined) this.write('<nil>');
    else {
      this.write(`${typeOf(value).name}=`);
      this.#value(value, 'v', 0);
    }
    this.write(')');
    this.#isComplaining = false;
  }

  /** Values have no addresses here; those that Go would print are all the same one. */
  #pointer(value: Value, verb: Bytes): void {
    const isPointer = typeof value === 'object' && ['pointer', 'func', 'map', 'list'].includes(value.tag);
    if (!isPointer) {
      this.#badVerb(verb, value);
      return;
    }
    const address = isNil(value) ? 0n : noAddress;
    const hex = `0x${address.toString(16)}`;
    switch (verb) {
      case 'v':
        if (this.#flags.sharpV) {
          this.write(`(${value.type.name})(${address === 0n ? 'nil' : hex})`);
          return;
        }
        if (address === 0n) this.#pad('<nil>');
        else this.write(hex);
        return;
      case 'p':
        this.write(this.#flags.sharp ? hex.slice(2) : hex);
        return;
      case 'b':
      case 'o':
      case 'd':
      case 'x':
      case 'X':
        this.#integer(address, false, verb, value);
        return;
      default:
        this.#badVerb(verb, value);
        return;
    }
  }

  #integer(value: bigint, isSigned: boolean, verb: Bytes, whole: Value): void {
    switch (verb) {
      case 'v':
        if (!this.#flags.sharpV || isSigned) {
          this.#digits(value, 10, verb);
          return;
        }
        this.#flags.sharp = true;
        this.#digits(value, 16, verb);
        this.#flags.sharp = false;
        return;
      case 'd':
        this.#digits(value, 10, verb);
        return;
      case 'b':
        this.#digits(value, 2, verb);
        return;
      case 'o':
      case 'O':
        this.#digits(value, 8, verb);
        return;
      case 'x':
      case 'X':
        this.#digits(value, 16, verb);
        return;
      case 'c':
        this.#pad(encodeRune(codeOf(value)));
        return;
      case 'q':
        this.#pad(quoteRune(codeOf(value), this.#flags.plus));
        return;
      case 'U':
        this.#unicode(value);
        return;
      default:
        this.#badVerb(verb, whole);
        return;
    }
  }

  #digits(value: bigint, base: 2 | 8 | 10 | 16, verb: Bytes): void {
    const { precision, width, zero, minus, plus, space, sharp } = this.#flags;
    const isNegative = value < 0n;
    if (precision === 0 && value === 0n) {
      this.write(' '.repeat(width ?? 0));
      return;
    }
    let least = precision ?? 0;
    // zeros in front, instead of spaces, leave room for the sign
    if (precision === undefined && zero && !minus && width !== undefined) {
      least = width - (isNegative || plus || space ? 1 : 0);
    }
    let digits = (isNegative ? -value : value).toString(base);
    this.#budget.make(Math.max(0, least));
    digits = digits.padStart(least, '0');
    if (sharp) {
      if (base === 2) digits = `0b${digits}`;
      else if (base === 8 && digits[0] !== '0') digits = `0${digits}`;
      else if (base === 16) digits = `0x${digits}`;
    }
    if (verb === 'X') digits = digits.toUpperCase();
    if (verb === 'O') digits = `0o${digits}`;
    this.#pad((isNegative ? '-' : plus ? '+' : space ? ' ' : '') + digits, true);
  }

  #unicode(value: bigint): void {
    const { sharp, precision } = this.#flags;
    const code = BigInt.asUintN(64, value);
    let text = `U+${code
      .toString(16)
      .toUpperCase()
      .padStart(Math.max(4, precision ?? 0), '0')}`;
    if (sharp && code <= 0x10ffffn && isPrint(Number(code))) text += ` '${encodeRune(Number(code))}'`;
    this.#pad(text, true);
  }

  #float(value: number, verb: Bytes, whole: Value): void {
    switch (verb) {
      case 'v':
        this.#decimal(value, 'g', -1);
        return;
      case 'b':
      case 'g':
      case 'G':
      case 'x':
      case 'X':
        this.#decimal(value, verb, -1);
        return;
      case 'f':
      case 'e':
      case 'E':
        this.#decimal(value, verb, 6);
        return;
      case 'F':
        this.#decimal(value, 'f', 6);
        return;
      default:
        this.#badVerb(verb, whole);
        return;
    }
  }

  #decimal(value: number, verb: FloatVerb, usual: number): void {
    const { plus, space, zero, minus, sharp, width } = this.#flags;
    const precision = this.#flags.precision ?? usual;
    this.#budget.make(Math.max(precision, 0));
    let text = formatFloat(value, verb, precision);
    let sign = '+';
    if (text[0] === '-' || text[0] === '+') {
      sign = text[0];
      text = text.slice(1);
    }
    if (space && sign === '+' && !plus) sign = ' ';
    if (text === 'Inf' || text === 'NaN') {
      const shown = (text === 'NaN' && !space && !plus) || (sign === '+' && !plus) ? '' : sign;
      // infinity has its sign as `+Inf` always
      this.#pad((text === 'Inf' && shown === '' ? '+' : shown) + text, true);
      return;
    }
    if (sharp && verb !== 'b') text = withPoint(text, verb, precision);
    const shown = plus || sign !== '+' ? sign : '';
    if (shown !== '' && zero && !minus && width !== undefined && width > text.length + 1) {
      this.write(shown);
      this.write('0'.repeat(width - text.length - 1) + text);
      return;
    }
    this.#pad(shown + text);
  }

  #complex(re: number, im: number, verb: Bytes, whole: Value): void {
    if (!'vbgGxXfFeE'.includes(verb)) {
      this.#badVerb(verb, whole);
      return;
    }
    const { plus } = this.#flags;
    this.write('(');
    this.#float(re, verb, re);
    this.#flags.plus = true;
    this.#float(im, verb, im);
    this.write('i)');
    this.#flags.plus = plus;
  }

  #string(bytes: Bytes, verb: Bytes, whole: Value): void {
    this.#budget.read(bytes.length);
    switch (verb) {
      case 'v':
        if (this.#flags.sharpV) this.#quoted(bytes);
        else this.#pad(this.#cut(bytes));
        return;
      case 's':
        this.#pad(this.#cut(bytes));
        return;
      case 'x':
      case 'X':
        this.#hex(bytes, verb);
        return;
      case 'q':
        this.#quoted(bytes);
        return;
      default:
        this.#badVerb(verb, whole);
        return;
    }
  }

  #quoted(bytes: Bytes): void {
    const cut = this.#cut(bytes);
    this.#budget.make(cut.length * 2);
    if (this.#flags.sharp && canBackquote(cut)) {
      this.#pad(`\`${cut}\``);
      return;
    }
    this.#pad(quote(cut, this.#flags.plus));
  }

  /** The first runes, as many as the precision says. */
  #cut(bytes: Bytes): Bytes {
    const { precision } = this.#flags;
    if (precision === undefined || precision >= bytes.length) return bytes;
    let left = precision;
    for (const { at } of runesOf(bytes)) if (left-- === 0) return bytes.slice(0, at);
    return bytes;
  }

  #hex(bytes: Bytes, verb: 'x' | 'X'): void {
    const { precision, space, sharp, minus, width } = this.#flags;
    const length = Math.min(bytes.length, precision ?? bytes.length);
    if (length === 0) {
      this.write(this.#padding(width ?? 0, this.#flags.zero && !minus));
      return;
    }
    this.#budget.make(length * 5);
    const prefix = sharp ? '0x' : '';
    const pairs: string[] = [];
    for (let i = 0; i < length; i++) pairs.push(bytes.charCodeAt(i).toString(16).padStart(2, '0'));
    const text = space ? prefix + pairs.join(` ${prefix}`) : prefix + pairs.join('');
    const shown = verb === 'X' ? text.toUpperCase() : text;
    const filling = this.#padding((width ?? 0) - text.length, this.#flags.zero && !minus);
    this.write(minus ? shown + filling : filling + shown);
  }

  #pad(bytes: Bytes, withSpaces = false): void {
    const { width, minus, zero } = this.#flags;
    if (width === undefined || width === 0) {
      this.write(bytes);
      return;
    }
    const filling = this.#padding(width - runeCount(bytes), zero && !minus && !withSpaces);
    this.write(minus ? bytes + filling : filling + bytes);
  }

  #padding(count: number, withZeros: boolean): string {
    if (count <= 0) return '';
    this.#budget.make(count);
    return (withZeros ? '0' : ' ').repeat(count);
  }
}

/** Reads one format's directives: flags, width, precision, argument numbers. */
class DirectiveReader {
  argument = 0;
  isReordered = false;
  indexFits = true;
  #at = 0;
  readonly #format: Bytes;
  readonly #args: readonly Value[];

  constructor(format: Bytes, args: readonly Value[]) {
    this.#format = format;
    this.#args = args;
  }

  get atEnd(): boolean {
    return this.#at >= this.#format.length;
  }

  plainText(): Bytes {
    const from = this.#at;
    const percent = this.#format.indexOf('%', from);
    this.#at = percent < 0 ? this.#format.length : percent;
    return this.#format.slice(from, this.#at);
  }

  /** From the percent sign up to the verb. Complaints are written where it stands. */
  directive(flags: Flags): string[] {
    const complaints: string[] = [];
    this.indexFits = true;
    this.#at++;
    for (; ; this.#at++) {
      const character = this.#format[this.#at];
      if (character === '#') flags.sharp = true;
      else if (character === '0') flags.zero = true;
      else if (character === '+') flags.plus = true;
      else if (character === '-') flags.minus = true;
      else if (character === ' ') flags.space = true;
      else break;
    }
    let afterIndex = this.#argumentNumber();
    if (this.#format[this.#at] === '*') {
      this.#at++;
      const width = this.#sizeArgument();
      flags.width = width === undefined ? undefined : Math.abs(width);
      if (width === undefined) complaints.push('%!(BADWIDTH)');
      else if (width < 0) {
        flags.minus = true;
        flags.zero = false;
      }
      afterIndex = false;
    } else {
      flags.width = this.#number();
      if (afterIndex && flags.width !== undefined) this.indexFits = false;
    }
    if (this.#format[this.#at] === '.' && this.#at + 1 < this.#format.length) {
      this.#at++;
      if (afterIndex) this.indexFits = false;
      afterIndex = this.#argumentNumber();
      if (this.#format[this.#at] === '*') {
        this.#at++;
        const precision = this.#sizeArgument();
        flags.precision = precision !== undefined && precision >= 0 ? precision : undefined;
        if (flags.precision === undefined) complaints.push('%!(BADPREC)');
        afterIndex = false;
      } else {
        flags.precision = this.#number() ?? 0;
      }
    }
    if (!afterIndex) this.#argumentNumber();
    return complaints;
  }

  verb(): Bytes | undefined {
    if (this.atEnd) return undefined;
    const { code, width } = decodeRune(this.#format, this.#at);
    this.#at += width;
    return encodeRune(width === 1 && code === runeError ? runeError : code);
  }

  #number(): number | undefined {
    const from = this.#at;
    let number = 0;
    while (/\d/.test(this.#format[this.#at] ?? '')) {
      if (number > sizeMax) {
        // Go then gives up on the whole rest
        this.#at = this.#format.length;
        return undefined;
      }
      number = number * 10 + Number(this.#format[this.#at++]);
    }
    return this.#at > from ? number : undefined;
  }

  #sizeArgument(): number | undefined {
    if (this.argument >= this.#args.length) return undefined;
    const size = wholeOf(indirect(this.#args[this.argument]).value);
    this.argument++;
    return size === undefined || size > sizeMax || size < -sizeMax ? undefined : Number(size);
  }

  /** `[3]`; whether there is one. */
  #argumentNumber(): boolean {
    if (this.#format[this.#at] !== '[') return false;
    this.isReordered = true;
    const close = this.#format.indexOf(']', this.#at);
    if (close < 0 || this.#format.length - this.#at < 3) {
      this.indexFits = false;
      this.#at++;
      return false;
    }
    const digits = this.#format.slice(this.#at + 1, close);
    this.#at = close + 1;
    const isNumber = /^\d+$/.test(digits) && Number(digits) <= sizeMax;
    const index = Number(digits) - 1;
    if (isNumber && index >= 0 && index < this.#args.length) {
      this.argument = index;
      return true;
    }
    this.indexFits = false;
    return isNumber;
  }
}

function noFlags(): Flags {
  return {
    width: undefined,
    precision: undefined,
    minus: false,
    plus: false,
    sharp: false,
    space: false,
    zero: false,
    plusV: false,
    sharpV: false,
  };
}

function codeOf(value: bigint): number {
  return value < 0n || value > 0x10ffffn ? runeError : Number(value);
}

/** As `%#g`: a decimal point always, and zeros at the end kept. */
function withPoint(text: string, verb: FloatVerb, precision: number): string {
  let digits = 0;
  if (verb === 'g' || verb === 'G' || verb === 'x') digits = precision === -1 ? 6 : precision;
  const exponentAt = verb === 'x' || verb === 'X' ? text.search(/[pP]/) : text.search(/[eE]/);
  let number = exponentAt < 0 ? text : text.slice(0, exponentAt);
  const tail = exponentAt < 0 ? '' : text.slice(exponentAt);
  let sawNonzero = false;
  for (const character of number) {
    if (character === '.') continue;
    if (character !== '0') sawNonzero = true;
    if (sawNonzero) digits--;
  }
  if (!number.includes('.')) {
    if (number === '0') digits--;
    number += '.';
  }
  return number + '0'.repeat(Math.max(digits, 0)) + tail;
}
