import type { Bytes } from '../bytes.ts';
import { locationOf } from '../exec.ts';
import type { Node } from '../node.ts';

/** Where in an HTML document an action stands. The names are Go's, since its error texts show them. */
export type State =
  | 'stateText'
  | 'stateTag'
  | 'stateAttrName'
  | 'stateAfterName'
  | 'stateBeforeValue'
  | 'stateHTMLCmt'
  | 'stateRCDATA'
  | 'stateAttr'
  | 'stateURL'
  | 'stateSrcset'
  | 'stateJS'
  | 'stateJSDqStr'
  | 'stateJSSqStr'
  | 'stateJSTmplLit'
  | 'stateJSRegexp'
  | 'stateJSBlockCmt'
  | 'stateJSLineCmt'
  | 'stateJSHTMLOpenCmt'
  | 'stateJSHTMLCloseCmt'
  | 'stateCSS'
  | 'stateCSSDqStr'
  | 'stateCSSSqStr'
  | 'stateCSSDqURL'
  | 'stateCSSSqURL'
  | 'stateCSSURL'
  | 'stateCSSBlockCmt'
  | 'stateCSSLineCmt'
  | 'stateError'
  | 'stateMetaContent'
  | 'stateMetaContentURL'
  | 'stateDead';
export type Delim = 'delimNone' | 'delimDoubleQuote' | 'delimSingleQuote' | 'delimSpaceOrTagEnd';
export type UrlPart = 'urlPartNone' | 'urlPartPreQuery' | 'urlPartQueryOrFrag' | 'urlPartUnknown';
export type JsCtx = 'jsCtxRegexp' | 'jsCtxDivOp' | 'jsCtxUnknown';
export type Element =
  | 'elementNone'
  | 'elementScript'
  | 'elementStyle'
  | 'elementTextarea'
  | 'elementTitle'
  | 'elementMeta';
export type Attr =
  | 'attrNone'
  | 'attrScript'
  | 'attrScriptType'
  | 'attrStyle'
  | 'attrURL'
  | 'attrSrcset'
  | 'attrMetaContent';

export interface Context {
  readonly state: State;
  readonly delim: Delim;
  readonly urlPart: UrlPart;
  readonly jsCtx: JsCtx;
  /** Open braces in each `${` of template literals; undefined outside of them. */
  readonly jsBraceDepth: readonly number[] | undefined;
  readonly attr: Attr;
  readonly element: Element;
  /** The break or continue that ended here. */
  readonly node: Node | undefined;
  readonly error: EscapeError | undefined;
}

/**
 * A fault that makes a template no HTML that values could be put into safely. All contexts behind it carry the same one: whoever
 * amends it, as loops do, amends it for all, which is how Go's texts come about.
 */
export class EscapeError {
  readonly node: Node | undefined;
  description: Bytes;
  templateName: Bytes = '';
  line: number;

  constructor(description: Bytes, node?: Node, line = 0) {
    this.description = description;
    this.node = node;
    this.line = line;
  }

  /** With where it is. */
  get text(): Bytes {
    const { node, line, templateName, description } = this;
    if (node?.source !== undefined) return `html/template:${locationOf(node, node.source)}: ${description}`;
    if (line !== 0) return `html/template:${templateName}:${line}: ${description}`;
    return templateName === '' ? `html/template: ${description}` : `html/template:${templateName}: ${description}`;
  }

  amend(line: number, prefix: string): void {
    this.line = line;
    this.description = prefix + this.description;
  }
}

const start: Context = {
  state: 'stateText',
  delim: 'delimNone',
  urlPart: 'urlPartNone',
  jsCtx: 'jsCtxRegexp',
  jsBraceDepth: undefined,
  attr: 'attrNone',
  element: 'elementNone',
  node: undefined,
  error: undefined,
};

/** The beginning of a document, but for what is given. */
export function contextOf(parts: Partial<Context> = {}): Context {
  return { ...start, ...parts };
}

export function failed(error: EscapeError): Context {
  return { ...start, state: 'stateError', error };
}

export function areEqual(a: Context, b: Context): boolean {
  return (
    a.state === b.state &&
    a.delim === b.delim &&
    a.urlPart === b.urlPart &&
    a.jsCtx === b.jsCtx &&
    (a.jsBraceDepth ?? []).join() === (b.jsBraceDepth ?? []).join() &&
    a.attr === b.attr &&
    a.element === b.element &&
    a.error === b.error
  );
}

export function printContext(context: Context): string {
  const { state, delim, urlPart, jsCtx, jsBraceDepth = [], attr, element, error } = context;
  const parts = [state, delim, urlPart, jsCtx, `[${jsBraceDepth.join(' ')}]`, attr, element, error?.text ?? '<nil>'];
  return `{${parts.join(' ')}}`;
}

/** The name of a template as it is called in this context. */
export function nameIn(context: Context, name: Bytes): Bytes {
  const { state, delim, urlPart, jsCtx, jsBraceDepth, attr, element } = context;
  if (state === 'stateText') return name;
  let derived = `${name}$htmltemplate_${state}`;
  if (delim !== 'delimNone') derived += `_${delim}`;
  if (urlPart !== 'urlPartNone') derived += `_${urlPart}`;
  if (jsCtx !== 'jsCtxRegexp') derived += `_${jsCtx}`;
  if (jsBraceDepth !== undefined) derived += `_jsBraceDepth([${jsBraceDepth.join(' ')}])`;
  if (attr !== 'attrNone') derived += `_${attr}`;
  if (element !== 'elementNone') derived += `_${element}`;
  return derived;
}

export function isComment(state: State): boolean {
  switch (state) {
    case 'stateHTMLCmt':
    case 'stateJSBlockCmt':
    case 'stateJSLineCmt':
    case 'stateJSHTMLOpenCmt':
    case 'stateJSHTMLCloseCmt':
    case 'stateCSSBlockCmt':
    case 'stateCSSLineCmt':
      return true;
    default:
      return false;
  }
}

export function isInTag(state: State): boolean {
  switch (state) {
    case 'stateTag':
    case 'stateAttrName':
    case 'stateAfterName':
    case 'stateBeforeValue':
    case 'stateAttr':
      return true;
    default:
      return false;
  }
}

export function isInScriptLiteral(state: State): boolean {
  switch (state) {
    case 'stateJSDqStr':
    case 'stateJSSqStr':
    case 'stateJSTmplLit':
    case 'stateJSRegexp':
      return true;
    default:
      return false;
  }
}
