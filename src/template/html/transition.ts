import { type Bytes, decodeLastRune, decodeRune, encodeRune, isHexDigit } from '../bytes.ts';
import { quote } from '../quote.ts';
import { attributeType } from './attribute.ts';
import {
  type Attr,
  type Context,
  contextOf,
  type Element,
  EscapeError,
  failed,
  isComment,
  isInScriptLiteral,
  type JsCtx,
  type State,
} from './context.ts';

/** A context after some text, and how much of the text was read. */
export interface Step {
  readonly context: Context;
  readonly read: number;
}

/** The state machine of Go's `html/template`: reads text from a context up to where the context changes. */
export function transition(context: Context, text: Bytes): Step {
  switch (context.state) {
    case 'stateText':
      return inText(context, text);
    case 'stateTag':
      return inTag(context, text);
    case 'stateAttrName':
      return inAttributeName(context, text);
    case 'stateAfterName':
      return afterName(context, text);
    case 'stateBeforeValue':
      return beforeValue(context, text);
    case 'stateHTMLCmt':
      return inHtmlComment(context, text);
    case 'stateRCDATA':
      return specialTagEnd(context, text);
    case 'stateURL':
    case 'stateSrcset':
      return inUrl(context, text);
    case 'stateMetaContent':
      return inMetaContent(context, text);
    case 'stateMetaContentURL': {
      const end = text.indexOf(';');
      return end < 0 ? all(context, text) : { context: { ...context, state: 'stateMetaContent' }, read: end + 1 };
    }
    case 'stateJS':
      return inJs(context, text);
    case 'stateJSDqStr':
    case 'stateJSSqStr':
    case 'stateJSRegexp':
      return inJsDelimited(context, text);
    case 'stateJSTmplLit':
      return inJsTemplate(context, text);
    case 'stateJSBlockCmt':
      return inBlockComment(context, text, 'stateJS');
    case 'stateCSSBlockCmt':
      return inBlockComment(context, text, 'stateCSS');
    case 'stateJSLineCmt':
    case 'stateJSHTMLOpenCmt':
    case 'stateJSHTMLCloseCmt':
      return inLineComment(context, text, JS_LINE_ENDS, 'stateJS');
    case 'stateCSSLineCmt':
      return inLineComment(context, text, /[\n\f\r]/, 'stateCSS');
    case 'stateCSS':
      return inCss(context, text);
    case 'stateCSSDqStr':
    case 'stateCSSSqStr':
    case 'stateCSSDqURL':
    case 'stateCSSSqURL':
    case 'stateCSSURL':
      return inCssString(context, text);
    case 'stateAttr':
    case 'stateError':
    case 'stateDead':
      return all(context, text);
  }
}

// line ends of JavaScript, the last two in UTF-8
const JS_LINE_ENDS = /[\n\r]|\xe2\x80[\xa8\xa9]/;

function all(context: Context, text: Bytes): Step {
  return { context, read: text.length };
}

function wrong(text: Bytes, description: Bytes): Step {
  return { context: failed(new EscapeError(description)), read: text.length };
}

/** `%.32q`. */
function shown(text: Bytes): Bytes {
  let end = 0;
  for (let count = 0; count < 32 && end < text.length; count++) end += decodeRune(text, end).width;
  return quote(text.slice(0, end));
}

/** Where one of the characters stands, from `from` on; -1 where none does. */
export function indexOfAny(text: Bytes, characters: string, from = 0): number {
  for (let at = from; at < text.length; at++) if (characters.includes(text[at]!)) return at;
  return -1;
}

function inText(context: Context, text: Bytes): Step {
  for (let from = 0; ; ) {
    let at = text.indexOf('<', from);
    if (at < 0 || at + 1 === text.length) return all(context, text);
    if (text.startsWith('<!--', at)) return { context: contextOf({ state: 'stateHTMLCmt' }), read: at + 4 };
    at++;
    let isEnd = false;
    if (text[at] === '/') {
      if (at + 1 === text.length) return all(context, text);
      isEnd = true;
      at++;
    }
    const { end, element } = tagName(text, at);
    if (end !== at) {
      return { context: contextOf({ state: 'stateTag', element: isEnd ? 'elementNone' : element }), read: end };
    }
    from = end;
  }
}

const CONTENT: Readonly<Record<Element, State>> = {
  elementNone: 'stateText',
  elementScript: 'stateJS',
  elementStyle: 'stateCSS',
  elementTextarea: 'stateRCDATA',
  elementTitle: 'stateRCDATA',
  elementMeta: 'stateText',
};

function inTag(context: Context, text: Bytes): Step {
  const { element } = context;
  const at = skipSpace(text, 0);
  if (at === text.length) return all(context, text);
  if (text[at] === '>') {
    const inside = element === 'elementMeta' ? contextOf() : contextOf({ state: CONTENT[element], element });
    return { context: inside, read: at + 1 };
  }
  const end = attributeNameEnd(text, at);
  if (typeof end !== 'number') return end;
  if (end === at) {
    return wrong(text, `expected space, attr name, or end of tag, but got ${quote(text.slice(at))}`);
  }
  const attr = attributeOf(text.slice(at, end).toLowerCase(), element);
  const state = end === text.length ? 'stateAttrName' : 'stateAfterName';
  return { context: contextOf({ state, element, attr }), read: end };
}

function attributeOf(name: string, element: Element): Attr {
  if (element === 'elementScript' && name === 'type') return 'attrScriptType';
  if (element === 'elementMeta' && name === 'content') return 'attrMetaContent';
  switch (attributeType(name)) {
    case 'url':
      return 'attrURL';
    case 'css':
      return 'attrStyle';
    case 'js':
      return 'attrScript';
    case 'srcset':
      return 'attrSrcset';
    default:
      return 'attrNone';
  }
}

function inAttributeName(context: Context, text: Bytes): Step {
  const end = attributeNameEnd(text, 0);
  if (typeof end !== 'number') return end;
  return { context: end === text.length ? context : { ...context, state: 'stateAfterName' }, read: end };
}

function attributeNameEnd(text: Bytes, from: number): number | Step {
  for (let at = from; at < text.length; at++) {
    const character = text[at]!;
    if (' \t\n\f\r=>'.includes(character)) return at;
    if ('\'"<'.includes(character)) return wrong(text, `${quote(character)} in attribute name: ${shown(text)}`);
  }
  return text.length;
}

function afterName(context: Context, text: Bytes): Step {
  const at = skipSpace(text, 0);
  if (at === text.length) return all(context, text);
  if (text[at] !== '=') return { context: { ...context, state: 'stateTag' }, read: at };
  return { context: { ...context, state: 'stateBeforeValue' }, read: at + 1 };
}

/** The state in which the value of an attribute begins. */
export const VALUE_START: Readonly<Record<Attr, State>> = {
  attrNone: 'stateAttr',
  attrScript: 'stateJS',
  attrScriptType: 'stateAttr',
  attrStyle: 'stateCSS',
  attrURL: 'stateURL',
  attrSrcset: 'stateSrcset',
  attrMetaContent: 'stateMetaContent',
};

function beforeValue(context: Context, text: Bytes): Step {
  const at = skipSpace(text, 0);
  if (at === text.length) return all(context, text);
  const state = VALUE_START[context.attr];
  if (text[at] === "'") return { context: { ...context, state, delim: 'delimSingleQuote' }, read: at + 1 };
  if (text[at] === '"') return { context: { ...context, state, delim: 'delimDoubleQuote' }, read: at + 1 };
  return { context: { ...context, state, delim: 'delimSpaceOrTagEnd' }, read: at };
}

function inHtmlComment(context: Context, text: Bytes): Step {
  const end = text.indexOf('-->');
  return end < 0 ? all(context, text) : { context: contextOf(), read: end + 3 };
}

const END_TAGS: Readonly<Record<Element, string>> = {
  elementNone: '',
  elementScript: 'script',
  elementStyle: 'style',
  elementTextarea: 'textarea',
  elementTitle: 'title',
  elementMeta: '',
};

/** Up to the end tag of an element whose content is no markup. */
export function specialTagEnd(context: Context, text: Bytes): Step {
  const { element, state } = context;
  if (element === 'elementNone') return all(context, text);
  // a script's literals and comments do not end with its tag
  if (element === 'elementScript' && (isInScriptLiteral(state) || isComment(state))) return all(context, text);
  const end = endTagAt(text, END_TAGS[element]);
  return end < 0 ? all(context, text) : { context: contextOf(), read: end };
}

function endTagAt(text: Bytes, name: string): number {
  for (let at = text.indexOf('</'); at >= 0; at = text.indexOf('</', at + 2)) {
    const end = at + 2 + name.length;
    const isName = text.slice(at + 2, end).toLowerCase() === name;
    if (isName && end < text.length && '> \t\n\f/'.includes(text[end]!)) return at;
  }
  return -1;
}

function inUrl(context: Context, text: Bytes): Step {
  if (indexOfAny(text, '#?') >= 0) return all({ ...context, urlPart: 'urlPartQueryOrFrag' }, text);
  if (text.length !== skipSpace(text, 0) && context.urlPart === 'urlPartNone') {
    return all({ ...context, urlPart: 'urlPartPreQuery' }, text);
  }
  return all(context, text);
}

function inMetaContent(context: Context, text: Bytes): Step {
  for (const found of text.matchAll(/url/gi)) {
    if (found.index + 3 > text.length - 1) break;
    const at = skipSpace(text, found.index + 3);
    if (text[at] === '=') return { context: { ...context, state: 'stateMetaContentURL' }, read: at + 1 };
  }
  return all(context, text);
}

function inJs(context: Context, text: Bytes): Step {
  const at = indexOfAny(text, '"`\'/{}<-#');
  if (at < 0) return all({ ...context, jsCtx: nextJsCtx(text, context.jsCtx) }, text);
  const jsCtx = nextJsCtx(text.slice(0, at), context.jsCtx);
  const here = { ...context, jsCtx };
  const to = (state: State, read: number, changed: JsCtx = jsCtx): Step => ({
    context: { ...context, state, jsCtx: changed },
    read,
  });
  const depths = context.jsBraceDepth ?? [];
  switch (text[at]) {
    case '"':
      return to('stateJSDqStr', at + 1, 'jsCtxRegexp');
    case "'":
      return to('stateJSSqStr', at + 1, 'jsCtxRegexp');
    case '`':
      return to('stateJSTmplLit', at + 1, 'jsCtxRegexp');
    case '/':
      if (text[at + 1] === '/') return to('stateJSLineCmt', at + 2);
      if (text[at + 1] === '*') return to('stateJSBlockCmt', at + 2);
      if (jsCtx === 'jsCtxRegexp') return to('stateJSRegexp', at + 1);
      if (jsCtx === 'jsCtxDivOp') return to('stateJS', at + 1, 'jsCtxRegexp');
      return wrong(text, `'/' could start a division or regexp: ${shown(text.slice(at))}`);
    case '<':
      return text.startsWith('<!--', at) ? to('stateJSHTMLOpenCmt', at + 4) : { context: here, read: at + 1 };
    case '-':
      return text.startsWith('-->', at) ? to('stateJSHTMLCloseCmt', at + 3) : { context: here, read: at + 1 };
    case '#':
      return text[at + 1] === '!' ? to('stateJSLineCmt', at + 2) : { context: here, read: at + 1 };
    case '{': {
      const jsBraceDepth = depths.length === 0 ? context.jsBraceDepth : withLast(depths, depths.at(-1)! + 1);
      return { context: { ...here, jsBraceDepth, jsCtx: nextJsCtx('{', jsCtx) }, read: at + 1 };
    }
    default: {
      if (depths.length === 0) return to('stateJS', at + 1, nextJsCtx('}', jsCtx));
      const jsBraceDepth = withLast(depths, depths.at(-1)! - 1);
      if (jsBraceDepth.at(-1)! >= 0) {
        return { context: { ...here, jsBraceDepth, jsCtx: nextJsCtx('}', jsCtx) }, read: at + 1 };
      }
      return { context: { ...here, state: 'stateJSTmplLit', jsBraceDepth: depths.slice(0, -1) }, read: at + 1 };
    }
  }
}

function withLast(depths: readonly number[], last: number): readonly number[] {
  return [...depths.slice(0, -1), last];
}

function inJsTemplate(context: Context, text: Bytes): Step {
  for (let at = indexOfAny(text, '`\\$'); at >= 0; at = indexOfAny(text, '`\\$', at + 1)) {
    if (text[at] === '\\') {
      at++;
      if (at === text.length) return wrong(text, `unfinished escape sequence in JS string: ${quote(text)}`);
    } else if (text[at] === '`') return { context: { ...context, state: 'stateJS' }, read: at + 1 };
    else if (text[at + 1] === '{') {
      const jsBraceDepth = [...(context.jsBraceDepth ?? []), 0];
      return { context: { ...context, state: 'stateJS', jsBraceDepth }, read: at + 2 };
    }
  }
  return all(context, text);
}

function inJsDelimited(context: Context, text: Bytes): Step {
  const { state } = context;
  const specials = state === 'stateJSSqStr' ? "\\'" : state === 'stateJSRegexp' ? '\\/[]' : '\\"';
  let isInSet = false;
  for (let at = indexOfAny(text, specials); at >= 0; at = indexOfAny(text, specials, at + 1)) {
    const character = text[at];
    if (character === '\\') {
      at++;
      if (at === text.length) return wrong(text, `unfinished escape sequence in JS string: ${quote(text)}`);
    } else if (character === '[') isInSet = true;
    else if (character === ']') isInSet = false;
    else if (character === '/' && at > 0 && text.slice(at - 1, at + 7).toLowerCase() === '</script') at++;
    else if (!isInSet) return { context: { ...context, state: 'stateJS', jsCtx: 'jsCtxDivOp' }, read: at + 1 };
  }
  if (isInSet) return wrong(text, `unfinished JS regexp charset: ${quote(text)}`);
  return all(context, text);
}

function inBlockComment(context: Context, text: Bytes, after: State): Step {
  const end = text.indexOf('*/');
  return end < 0 ? all(context, text) : { context: { ...context, state: after }, read: end + 2 };
}

function inLineComment(context: Context, text: Bytes, ends: RegExp, after: State): Step {
  const end = text.search(ends);
  return end < 0 ? all(context, text) : { context: { ...context, state: after }, read: end };
}

function inCss(context: Context, text: Bytes): Step {
  const to = (state: State, read: number): Step => ({ context: { ...context, state }, read });
  for (let at = indexOfAny(text, '("\'/'); at >= 0; at = indexOfAny(text, '("\'/', at + 1)) {
    switch (text[at]) {
      case '(': {
        let end = at;
        while (end > 0 && isCssSpace(text[end - 1]!)) end--;
        if (!endsWithUrl(text, end)) break;
        let next = at + 1;
        while (next < text.length && isCssSpace(text[next]!)) next++;
        if (text[next] === '"') return to('stateCSSDqURL', next + 1);
        if (text[next] === "'") return to('stateCSSSqURL', next + 1);
        return to('stateCSSURL', next);
      }
      case '/':
        if (text[at + 1] === '/') return to('stateCSSLineCmt', at + 2);
        if (text[at + 1] === '*') return to('stateCSSBlockCmt', at + 2);
        break;
      case '"':
        return to('stateCSSDqStr', at + 1);
      case "'":
        return to('stateCSSSqStr', at + 1);
    }
  }
  return all(context, text);
}

/** Whether the keyword `url`, and not only the end of a longer one, ends here. */
function endsWithUrl(text: Bytes, end: number): boolean {
  if (text.slice(Math.max(0, end - 3), end).toLowerCase() !== 'url') return false;
  return (
    end === 3 ||
    !isCssNameCharacter(decodeLastRune(text.slice(Math.max(0, end - 7), end - 3), Math.min(4, end - 3)).code)
  );
}

function inCssString(context: Context, text: Bytes): Step {
  const ends =
    context.state === 'stateCSSURL'
      ? '\\\t\n\f\r )'
      : context.state === 'stateCSSDqStr' || context.state === 'stateCSSDqURL'
        ? '\\"'
        : "\\'";
  let here = context;
  let from = 0;
  // where the escape before began: only now is it known how long it is
  let escapeFrom = 0;
  for (;;) {
    const at = indexOfAny(text, ends, from);
    if (at < 0) {
      const rest = decodeCss(text.slice(from));
      const step = inUrl(here, rest);
      return { context: step.context, read: from + step.read };
    }
    if (text[at] !== '\\') return { context: { ...here, state: 'stateCSS' }, read: at + 1 };
    if (at + 1 === text.length) return wrong(text, `unfinished escape sequence in CSS string: ${quote(text)}`);
    here = inUrl(here, decodeCss(text.slice(escapeFrom, at + 2))).context;
    escapeFrom = at;
    from = at + 2;
  }
}

const ELEMENTS: ReadonlyMap<string, Element> = new Map([
  ['script', 'elementScript'],
  ['style', 'elementStyle'],
  ['textarea', 'elementTextarea'],
  ['title', 'elementTitle'],
  ['meta', 'elementMeta'],
]);

function tagName(text: Bytes, from: number): { readonly end: number; readonly element: Element } {
  if (!/[A-Za-z]/.test(text[from] ?? '')) return { end: from, element: 'elementNone' };
  let end = from + 1;
  for (; end < text.length; end++) {
    if (/[A-Za-z0-9]/.test(text[end]!)) continue;
    if (!/[:-]/.test(text[end]!) || !/[A-Za-z0-9]/.test(text[end + 1] ?? '')) break;
    end++;
  }
  return { end, element: ELEMENTS.get(text.slice(from, end).toLowerCase()) ?? 'elementNone' };
}

function skipSpace(text: Bytes, from: number): number {
  let at = from;
  while (at < text.length && ' \t\n\f\r'.includes(text[at]!)) at++;
  return at;
}

// in UTF-8: no-break space, Ogham space, the spaces of general punctuation, ideographic space, byte order mark
const JS_SPACE_END =
  /(?:[\f\n\r\t\v ]|\xc2\xa0|\xe1\x9a\x80|\xe2\x80[\x80-\x8a\xa8\xa9\xaf]|\xe2\x81\x9f|\xe3\x80\x80|\xef\xbb\xbf)$/;

const BEFORE_REGEXP = new Set(
  'break case continue delete do else finally in instanceof return throw try typeof void'.split(' '),
);

/** Whether a slash after this script would divide or begin a regular expression. */
export function nextJsCtx(given: Bytes, preceding: JsCtx): JsCtx {
  let end = given.length;
  for (;;) {
    const space = JS_SPACE_END.exec(given.slice(Math.max(0, end - 3), end));
    if (space === null) break;
    end -= space[0].length;
  }
  const last = given[end - 1];
  if (last === undefined) return preceding;
  if (last === '+' || last === '-') {
    let from = end - 1;
    while (from > 0 && given[from - 1] === last) from--;
    return (end - from) % 2 === 1 ? 'jsCtxRegexp' : 'jsCtxDivOp';
  }
  if (last === '.') return end !== 1 && /\d/.test(given[end - 2]!) ? 'jsCtxDivOp' : 'jsCtxRegexp';
  if (',<>=*%&|^?!~([:;{}'.includes(last)) return 'jsCtxRegexp';
  let from = end;
  while (from > 0 && /[$\w]/.test(given[from - 1]!)) from--;
  return BEFORE_REGEXP.has(given.slice(from, end)) ? 'jsCtxRegexp' : 'jsCtxDivOp';
}

function isCssSpace(character: string): boolean {
  return '\t\n\f\r '.includes(character);
}

export function isCssNameCharacter(code: number): boolean {
  if (code < 0x80) return /[\w-]/.test(String.fromCharCode(code));
  return code <= 0xd7ff || (code >= 0xe000 && code <= 0xfffd) || code >= 0x10000;
}

/** CSS text without its escapes. */
export function decodeCss(text: Bytes): Bytes {
  if (!text.includes('\\')) return text;
  let decoded = '';
  for (let at = 0; at < text.length; ) {
    const backslash = text.indexOf('\\', at);
    if (backslash < 0) return decoded + text.slice(at);
    decoded += text.slice(at, backslash);
    if (backslash + 1 >= text.length) break;
    at = backslash + 1;
    if (!isHexDigit(text.charCodeAt(at))) {
      const { width } = decodeRune(text, at);
      decoded += text.slice(at, at + width);
      at += width;
      continue;
    }
    let end = at;
    while (end < text.length && end < at + 6 && isHexDigit(text.charCodeAt(end))) end++;
    let code = Number.parseInt(text.slice(at, end), 16);
    if (code > 0x10ffff) {
      code = Math.floor(code / 16);
      end--;
    }
    decoded += encodeRune(code);
    at = end + (text.startsWith('\r\n', end) ? 2 : /[\t\n\f\r ]/.test(text[end] ?? '') ? 1 : 0);
  }
  return decoded;
}
