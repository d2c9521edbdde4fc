import { RE2JS } from 're2js';
import type { Budget } from './budget.ts';
import { type Bytes, bytesOf, textOf } from './bytes.ts';
import { canBackquote, quote } from './quote.ts';
import { CallError } from './value.ts';

/** Longer patterns are refused, and so are those whose programs are larger: both bound what a byte of text costs. */
const patternLengthMax = 4096;
const programSizeMax = 5000;

/** @throws CallError as `regexp.MatchString` fails. */
export function matches(pattern: Bytes, bytes: Bytes, budget: Budget): boolean {
  const regexp = compile(pattern);
  charge(regexp, bytes, budget);
  return regexp.matcher(textOf(bytes)).find();
}

/** @throws CallError as `regexp.MustCompile` panics. */
export function replaceAll(pattern: Bytes, template: Bytes, bytes: Bytes, budget: Budget): Bytes {
  let regexp: RE2JS;
  try {
    regexp = compile(pattern);
  } catch (thrown) {
    if (!(thrown instanceof CallError)) throw thrown;
    const shown = canBackquote(pattern) ? `\`${pattern}\`` : quote(pattern);
    throw new CallError(`regexp: Compile(${shown}): ${thrown.message}`);
  }
  charge(regexp, bytes, budget);
  const text = textOf(bytes);
  const expansion = parseExpansion(textOf(template), regexp);
  const matcher = regexp.matcher(text);
  let replaced = '';
  let copiedTo = 0;
  let lastEnd = -1;
  for (let found = matcher.find(); found; found = matcher.find()) {
    const [start, end] = [matcher.start(), matcher.end()];
    // an empty match right after a match is none
    if (end === start && start === lastEnd) continue;
    lastEnd = end;
    let piece = text.slice(copiedTo, start);
    for (const part of expansion) piece += typeof part === 'string' ? part : (matcher.group(part) ?? '');
    budget.make(piece.length);
    replaced += piece;
    copiedTo = end;
  }
  return bytesOf(replaced + text.slice(copiedTo));
}

function compile(pattern: Bytes): RE2JS {
  const text = textOf(pattern);
  if (text.length > patternLengthMax) throw new CallError('error parsing regexp: expression too large');
  if (sizeOf(text) > programSizeMax) throw new CallError('error parsing regexp: expression too large');
  let regexp: RE2JS;
  try {
    regexp = RE2JS.compile(text);
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    // Go shows the empty rest of the pattern here
    const rest = message.endsWith('trailing backslash at end of expression') ? ': ``' : '';
    throw new CallError(bytesOf(message + rest));
  }
  if (regexp.programSize() > programSizeMax) throw new CallError('error parsing regexp: expression too large');
  return regexp;
}

/** Each byte of the text may cost each instruction of the program. */
function charge(regexp: RE2JS, bytes: Bytes, budget: Budget): void {
  budget.read((bytes.length + regexp.programSize()) * regexp.programSize());
}

/** Literal text and group numbers. `$name` takes the longest name it can, so `$1x` is the group named `1x`. */
function parseExpansion(template: string, regexp: RE2JS): readonly (string | number)[] {
  const groups: Readonly<Record<string, number>> = regexp.namedGroups();
  const parts: (string | number)[] = [];
  let copiedTo = 0;
  for (const found of template.matchAll(/\$(?:\$|\{([\p{L}\p{Nd}_]+)\}|([\p{L}\p{Nd}_]+))/gu)) {
    parts.push(template.slice(copiedTo, found.index));
    copiedTo = found.index + found[0].length;
    const name = found[1] ?? found[2];
    if (name === undefined) parts.push('$');
    else if (/^\d+$/.test(name) && !/^0\d/.test(name)) {
      if (Number(name) <= regexp.groupCount()) parts.push(Number(name));
    } else if (Object.hasOwn(groups, name)) parts.push(groups[name]!);
  }
  parts.push(template.slice(copiedTo));
  return parts;
}

/** About how many instructions a pattern has once its repeats are written out, before they are: `((a{99}){99}){99}`. */
function sizeOf(pattern: string): number {
  const outer: number[] = [];
  let [size, atom] = [0, 0];
  for (const [token, least, most] of pattern.matchAll(/\{(\d{1,5})(?:,(\d{0,5}))?\}|\\.|\[\]?[^\]]*|./gsu)) {
    if (token === '(') {
      outer.push(size);
      [size, atom] = [0, 0];
    } else if (token === ')') {
      atom = size + 1;
      size = (outer.pop() ?? 0) + atom;
    } else if (least !== undefined) {
      const times = Math.max(Number(least), Number(most || 0), 1);
      size += atom * (times - 1);
      atom *= times;
    } else {
      atom = 1;
      size++;
    }
  }
  return size;
}
