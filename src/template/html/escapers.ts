import type { Budget } from '../budget.ts';
import { type Bytes, decodeRune, isHexDigit } from '../bytes.ts';
import { sprint } from '../format.ts';
import { toJson } from '../json.ts';
import { ANY, CallError, type Func, indirect, ownText, STRING, type Type, type Value } from '../value.ts';
import { attributeType, type ContentType } from './attribute.ts';
import { contextOf, isInTag } from './context.ts';
import { decodeCss, indexOfAny, isCssNameCharacter, specialTagEnd, transition } from './transition.ts';

/** Functions that the escaper puts behind actions: each makes a value safe for one context. */

/** Stands for what is not let through. */
const unsafeMark = 'ZgotmplZ';

export const HTML: Type = { kind: 'string', name: 'template.HTML' };
export const URL: Type = { kind: 'string', name: 'template.URL' };

const CONTENT: ReadonlyMap<string, ContentType> = new Map([
  ['template.HTML', 'html'],
  ['template.URL', 'url'],
]);

interface Content {
  readonly bytes: Bytes;
  readonly type: ContentType;
}

function contentOf(args: readonly Value[], budget: Budget): Content {
  if (args.length === 1) {
    const { value } = indirect(args[0]);
    if (typeof value === 'string') return { bytes: value, type: 'plain' };
    if (typeof value === 'object' && value.tag === 'string') {
      const type = CONTENT.get(value.type.name);
      if (type !== undefined) return { bytes: value.bytes, type };
    }
  }
  const printed = args.filter((arg) => arg !== undefined).map((arg) => printable(arg, budget));
  return { bytes: sprint(printed, budget), type: 'plain' };
}

/** Through pointers, up to one that prints itself. */
function printable(value: Value, budget: Budget): Value {
  if (typeof value !== 'object' || value.tag !== 'pointer' || value.target === undefined) return value;
  return ownText(value, budget) === undefined ? printable(value.target, budget) : value;
}

type Escape = (args: readonly Value[], budget: Budget) => Bytes;

/** By the names under which Go has them, since pipelines stand in error texts. */
export const ESCAPERS: ReadonlyMap<string, Func> = new Map(
  Object.entries({
    _html_template_attrescaper: (args, budget) => attribute(contentOf(args, budget)),
    _html_template_commentescaper: () => '',
    _html_template_cssescaper: (args, budget) => cssString(contentOf(args, budget).bytes),
    _html_template_cssvaluefilter: (args, budget) => cssValue(contentOf(args, budget)),
    _html_template_htmlnamefilter: (args, budget) => attributeName(contentOf(args, budget)),
    _html_template_htmlescaper: (args, budget) => {
      const { bytes, type } = contentOf(args, budget);
      return type === 'html' ? bytes : replaceIn(bytes, TEXT);
    },
    _html_template_jsregexpescaper: (args, budget) =>
      replaceIn(contentOf(args, budget).bytes, JS_REGEXP, true) || '(?:)',
    _html_template_jsstrescaper: (args, budget) => replaceIn(contentOf(args, budget).bytes, JS_STRING, true),
    _html_template_jstmpllitescaper: (args, budget) => replaceIn(contentOf(args, budget).bytes, JS_TEMPLATE, true),
    _html_template_jsvalescaper: jsValue,
    _html_template_nospaceescaper: (args, budget) => unquoted(contentOf(args, budget)),
    _html_template_rcdataescaper: (args, budget) => {
      const { bytes, type } = contentOf(args, budget);
      return replaceIn(bytes, type === 'html' ? NORMALISED_TEXT : TEXT);
    },
    _html_template_srcsetescaper: (args, budget) => srcset(contentOf(args, budget)),
    _html_template_urlescaper: (args, budget) => {
      const { bytes, type } = contentOf(args, budget);
      return url(bytes, type === 'url');
    },
    _html_template_urlfilter: (args, budget) => {
      const { bytes, type } = contentOf(args, budget);
      return type === 'url' || isSafeUrl(bytes) ? bytes : `#${unsafeMark}`;
    },
    _html_template_urlnormalizer: (args, budget) => url(contentOf(args, budget).bytes, true),
    _eval_args_: (args, budget) =>
      args.length === 1 && typeof args[0] === 'string'
        ? args[0]
        : sprint(
            args.map((arg) => printable(arg, budget)),
            budget,
          ),
  } satisfies Record<string, Escape>).map(([name, escaper]): [string, Func] => [name, counted(escaper)]),
);

function counted(escaper: Escape): Func {
  return {
    in: [ANY],
    variadic: true,
    out: STRING,
    call: (args, budget) => {
      for (const arg of args) if (typeof arg === 'string') budget.read(arg.length * 4);
      const bytes = escaper(args, budget);
      budget.make(bytes.length);
      return bytes;
    },
  };
}

type Replacements = Readonly<Record<string, string>>;

/** Character by character; all that matters is ASCII, and in scripts the line separators of Unicode. */
function replaceIn(bytes: Bytes, replacements: Replacements, isScript = false): Bytes {
  let replaced = '';
  let copiedTo = 0;
  for (let at = 0; at < bytes.length; at++) {
    const character = bytes[at]!;
    let replacement = replacements[character];
    let width = 1;
    if (isScript && character === '\xe2') {
      const three = bytes.slice(at, at + 3);
      if (three === '\xe2\x80\xa8' || three === '\xe2\x80\xa9') {
        replacement = three.endsWith('\xa8') ? '\\u2028' : '\\u2029';
        width = 3;
      }
    }
    if (replacement === undefined) continue;
    replaced += bytes.slice(copiedTo, at) + replacement;
    copiedTo = at + width;
    at += width - 1;
  }
  return replaced + bytes.slice(copiedTo);
}

const MARKUP: Replacements = { '"': '&#34;', "'": '&#39;', '+': '&#43;', '<': '&lt;', '>': '&gt;' };
const NORMALISED_TEXT: Replacements = { ...MARKUP, '\0': '\xef\xbf\xbd' };
const TEXT: Replacements = { ...NORMALISED_TEXT, '&': '&amp;' };
const NORMALISED_UNQUOTED: Replacements = {
  ...MARKUP,
  '\0': '&#xfffd;',
  '\t': '&#9;',
  '\n': '&#10;',
  '\v': '&#11;',
  '\f': '&#12;',
  '\r': '&#13;',
  ' ': '&#32;',
  '=': '&#61;',
  '`': '&#96;',
};
const UNQUOTED: Replacements = { ...NORMALISED_UNQUOTED, '&': '&amp;' };

function lowControls(): Record<string, string> {
  const controls: Record<string, string> = {};
  for (let code = 0; code < 0x20; code++) {
    controls[String.fromCharCode(code)] = `\\u${code.toString(16).padStart(4, '0')}`;
  }
  return { ...controls, '\t': '\\t', '\n': '\\n', '\f': '\\f', '\r': '\\r' };
}

const JS_STRING: Replacements = {
  ...lowControls(),
  '"': '\\u0022',
  '`': '\\u0060',
  '&': '\\u0026',
  "'": '\\u0027',
  '+': '\\u002b',
  '/': '\\/',
  '<': '\\u003c',
  '>': '\\u003e',
  '\\': '\\\\',
};
const JS_TEMPLATE: Replacements = { ...JS_STRING, $: '\\u0024', '{': '\\u007b', '}': '\\u007d' };
const JS_REGEXP: Replacements = {
  ...lowControls(),
  '"': '\\u0022',
  $: '\\$',
  '&': '\\u0026',
  "'": '\\u0027',
  '(': '\\(',
  ')': '\\)',
  '*': '\\*',
  '+': '\\u002b',
  '-': '\\-',
  '.': '\\.',
  '/': '\\/',
  '<': '\\u003c',
  '>': '\\u003e',
  '?': '\\?',
  '[': '\\[',
  '\\': '\\\\',
  ']': '\\]',
  '^': '\\^',
  '{': '\\{',
  '|': '\\|',
  '}': '\\}',
};

function attribute({ bytes, type }: Content): Bytes {
  return type === 'html' ? replaceIn(stripTags(bytes), NORMALISED_TEXT) : replaceIn(bytes, TEXT);
}

/** For a value without quotation marks, in which nothing may be empty and no character beyond HTML's may stand. */
function unquoted({ bytes, type }: Content): Bytes {
  if (bytes === '') return unsafeMark;
  const replaced = replaceIn(
    type === 'html' ? stripTags(bytes) : bytes,
    type === 'html' ? NORMALISED_UNQUOTED : UNQUOTED,
  );
  let text = '';
  for (let at = 0; at < replaced.length; ) {
    const { code, width } = decodeRune(replaced, at);
    const isNoCharacter = (code >= 0xfdd0 && code <= 0xfdef) || (code >= 0xfff0 && code <= 0xffff);
    text += isNoCharacter ? `&#x${code.toString(16)};` : replaced.slice(at, at + width);
    at += width;
  }
  return text;
}

function attributeName({ bytes }: Content): Bytes {
  const name = bytes.toLowerCase();
  return /^[\da-z]+$/.test(name) && attributeType(name) === 'plain' ? name : unsafeMark;
}

/** The text of markup. */
function stripTags(bytes: Bytes): Bytes {
  let text = '';
  let context = contextOf();
  let isAllText = true;
  let at = 0;
  while (at < bytes.length) {
    const { delim, element, state } = context;
    if (delim === 'delimNone') {
      const rest = bytes.slice(at);
      const isRaw = element !== 'elementNone' && !isInTag(state);
      const step = isRaw ? specialTagEnd(context, rest) : transition(context, rest);
      const end = at + step.read;
      if (state === 'stateText' || state === 'stateRCDATA') {
        const tag = step.context.state === state || end === at ? -1 : bytes.lastIndexOf('<', end - 1);
        text += bytes.slice(at, tag >= at ? tag : end);
      } else isAllText = false;
      context = step.context;
      at = end;
      continue;
    }
    const ends = delim === 'delimDoubleQuote' ? '"' : delim === 'delimSingleQuote' ? "'" : ' \t\n\f\r>';
    const end = indexOfAny(bytes, ends, at);
    if (end < 0) break;
    at = delim === 'delimSpaceOrTagEnd' ? end : end + 1;
    context = contextOf({ state: 'stateTag', element });
  }
  if (isAllText) return bytes;
  return context.state === 'stateText' || context.state === 'stateRCDATA' ? text + bytes.slice(at) : text;
}

const CSS_STRING: Replacements = {
  '\0': '\\0',
  '\t': '\\9',
  '\n': '\\a',
  '\f': '\\c',
  '\r': '\\d',
  '"': '\\22',
  '&': '\\26',
  "'": '\\27',
  '(': '\\28',
  ')': '\\29',
  '+': '\\2b',
  '/': '\\2f',
  ':': '\\3a',
  ';': '\\3b',
  '<': '\\3c',
  '>': '\\3e',
  '\\': '\\\\',
  '{': '\\7b',
  '}': '\\7d',
};

function cssString(bytes: Bytes): Bytes {
  let text = '';
  for (let at = 0; at < bytes.length; at++) {
    const replacement = CSS_STRING[bytes[at]!];
    text += replacement ?? bytes[at]!;
    if (replacement === undefined || replacement === '\\\\') continue;
    // what follows must not be taken for more of the escape
    const next = bytes[at + 1];
    if (next === undefined || isHexDigit(next.charCodeAt(0)) || /[\t\n\f\r ]/.test(next)) text += ' ';
  }
  return text;
}

const CSS_UNSAFE = '\0"\'()/;@[\\]`{}<>';

function cssValue({ bytes, type }: Content): Bytes {
  if (type === 'css') return bytes;
  const decoded = decodeCss(bytes);
  if (indexOfAny(decoded, CSS_UNSAFE) >= 0 || decoded.includes('--')) return unsafeMark;
  let name = '';
  for (const byte of decoded) if (byte < '\x80' && isCssNameCharacter(byte.charCodeAt(0))) name += byte;
  return /expression|mozbinding/i.test(name) ? unsafeMark : decoded;
}

function isSafeUrl(bytes: Bytes): boolean {
  const colon = bytes.indexOf(':');
  if (colon < 0) return true;
  const protocol = bytes.slice(0, colon);
  return protocol.includes('/') || /^(?:https?|mailto)$/i.test(protocol);
}

/** Percent-escapes; what is a URL already keeps its own punctuation and escapes. */
function url(bytes: Bytes, isUrl: boolean): Bytes {
  let text = '';
  for (let at = 0; at < bytes.length; at++) {
    const character = bytes[at]!;
    const kept =
      /[A-Za-z\d._~-]/.test(character) ||
      (isUrl && '!#$&*+,/:;=?@[]'.includes(character)) ||
      (isUrl && character === '%' && /^[\dA-Fa-f]{2}$/.test(bytes.slice(at + 1, at + 3)));
    text += kept ? character : `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  }
  return text;
}

function srcset({ bytes, type }: Content): Bytes {
  if (type === 'srcset') return bytes;
  if (type === 'url') return url(bytes, true).replaceAll(',', '%2c');
  return bytes
    .split(',')
    .map((part) => {
      const [, before, address, after] = /^([\t\n\f\r ]*)([^\t\n\f\r ]*)(.*)$/s.exec(part)!;
      // sizes and densities, but nothing else
      return isSafeUrl(address!) && /^[\t\n\f\r \dA-Za-z]*$/.test(after!)
        ? before + url(address!, true) + after
        : `#${unsafeMark}`;
    })
    .join(',');
}

/** A value of any type, as a JavaScript expression. */
function jsValue(args: readonly Value[], budget: Budget): Bytes {
  const [only] = args;
  const value = args.length === 1 ? withOwnText(only, budget) : sprint(args, budget);
  let text: Bytes;
  try {
    text = toJson(value, budget);
  } catch (thrown) {
    if (!(thrown instanceof CallError)) throw thrown;
    const complaint = thrown.message
      .replace(/<(\/?)script/gi, '\\x3C$1script')
      .replaceAll('*/', '* /')
      .replaceAll('<!--', '\\x3C!--');
    return ` /* ${complaint} */null `;
  }
  const pads = /[$\w]/.test(text[0]!) || /[$\w]/.test(text.at(-1)!);
  return pads ? ` ${text} ` : text;
}

function withOwnText(given: Value, budget: Budget): Value {
  let value = given;
  while (typeof value === 'object' && value.tag === 'pointer' && value.target !== undefined) value = value.target;
  // a time knows how to write itself as JSON
  if (typeof value === 'object' && value.tag === 'time') return value;
  return ownText(value, budget) ?? value;
}
