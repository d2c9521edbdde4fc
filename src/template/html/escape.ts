import { type Budget, LimitError } from '../budget.ts';
import { type Bytes, textOf } from '../bytes.ts';
import {
  type ActionNode,
  type BranchNode,
  type CommandNode,
  type JumpNode,
  type ListNode,
  type Node,
  type PipeNode,
  printNode,
  type Statement,
  type TemplateNode,
  type TextNode,
  type Tree,
} from '../node.ts';
import { TemplateError } from '../parser.ts';
import { quote } from '../quote.ts';
import {
  areEqual,
  type Context,
  contextOf,
  EscapeError,
  failed,
  isComment,
  isInScriptLiteral,
  nameIn,
  printContext,
} from './context.ts';
import { unescapeHtml } from './entities.ts';
import { indexOfAny, type Step, specialTagEnd, transition, VALUE_START } from './transition.ts';

/** Templates that call each other in ever new contexts. */
const callDepthMax = 100;

/**
 * Templates whose actions escape their values for the place where they stand: `root`, those that it calls, and copies
 * of them for the contexts in which they are called.
 * @throws TemplateError
 */
export function escapeTemplates(
  trees: ReadonlyMap<Bytes, Tree>,
  root: Bytes,
  budget: Budget,
): ReadonlyMap<Bytes, Tree> {
  const escaper = new Escaper(trees, budget);
  let end: Context;
  try {
    end = escaper.tree(contextOf(), undefined, root, 0).context;
  } catch (thrown) {
    if (thrown instanceof LimitError) throw new TemplateError(textOf(`html/template:${root}: ${thrown.message}`));
    throw thrown;
  }
  const error = end.state === 'stateText' ? undefined : (end.error ?? endError(end));
  if (error !== undefined) {
    error.templateName = root;
    throw new TemplateError(textOf(error.text));
  }
  return escaper.edited();
}

function endError(end: Context): EscapeError {
  return new EscapeError(`ends in a non-text context: ${printContext(end)}`);
}

/** Contexts at the breaks and continues of a loop. */
interface Loop {
  readonly outer: Loop | undefined;
  readonly breaks: Context[];
  readonly continues: Context[];
}

/** The findings of escaping, and what is to be changed for them. */
interface Findings {
  /** Called template → context behind it. */
  readonly output: Map<Bytes, Context>;
  readonly derived: Map<Bytes, Tree>;
  readonly called: Set<Bytes>;
  readonly actions: Map<ActionNode, readonly string[]>;
  readonly calls: Map<TemplateNode, Bytes>;
  readonly texts: Map<TextNode, Bytes>;
}

function findings(output: Map<Bytes, Context>, derived: Map<Bytes, Tree>): Findings {
  return { output, derived, called: new Set(), actions: new Map(), calls: new Map(), texts: new Map() };
}

class Escaper {
  readonly #trees: ReadonlyMap<Bytes, Tree>;
  readonly #budget: Budget;
  #found: Findings = findings(new Map(), new Map());
  #loop: Loop | undefined;
  #depth = 0;

  constructor(trees: ReadonlyMap<Bytes, Tree>, budget: Budget) {
    this.#trees = trees;
    this.#budget = budget;
  }

  /** A template called in this context: the context behind it, and the name of its copy for this context. */
  tree(context: Context, node: Node | undefined, name: Bytes, line: number): { context: Context; name: Bytes } {
    const derivedName = nameIn(context, name);
    this.#found.called.add(derivedName);
    const known = this.#found.output.get(derivedName);
    if (known !== undefined) return { context: known, name: derivedName };
    const tree = this.#tree(name);
    if (tree === undefined) {
      const error = new EscapeError(`no such template ${quote(name)}`, node, line);
      return { context: failed(error), name: derivedName };
    }
    let target = tree;
    if (derivedName !== name) {
      target = this.#tree(derivedName) ?? { ...tree, name: derivedName, root: copyList(tree.root) };
      this.#found.derived.set(derivedName, target);
    }
    if (++this.#depth > callDepthMax) throw new LimitError(`exceeded maximum template depth (${callDepthMax})`);
    const end = this.#outputContext(context, target);
    this.#depth--;
    return { context: end, name: derivedName };
  }

  #tree(name: Bytes): Tree | undefined {
    return this.#trees.get(name) ?? this.#found.derived.get(name);
  }

  edited(): ReadonlyMap<Bytes, Tree> {
    const edited = new Map(this.#trees);
    for (const [name, tree] of this.#found.derived) edited.set(name, tree);
    for (const name of this.#found.output.keys()) {
      const tree = edited.get(name)!;
      edited.set(name, { ...tree, root: this.#editedList(tree.root) });
    }
    return edited;
  }

  #editedList(list: ListNode): ListNode {
    return { ...list, nodes: list.nodes.map((node) => this.#editedNode(node)) };
  }

  #editedNode(node: Statement): Statement {
    switch (node.kind) {
      case 'text':
        return { ...node, text: this.#found.texts.get(node) ?? node.text };
      case 'action': {
        const escapers = this.#found.actions.get(node);
        return escapers === undefined ? node : { ...node, pipe: withEscapers(node.pipe, escapers) };
      }
      case 'template':
        return { ...node, name: this.#found.calls.get(node) ?? node.name };
      case 'if':
      case 'range':
      case 'with':
        return {
          ...node,
          list: this.#editedList(node.list),
          elseList: node.elseList === undefined ? undefined : this.#editedList(node.elseList),
        };
      case 'break':
      case 'continue':
        return node;
    }
  }

  #outputContext(context: Context, tree: Tree): Context {
    let { end, isSettled } = this.#body(context, tree);
    if (!isSettled) {
      // a template that calls itself: perhaps it ends the same if it is taken to end as it did now
      const again = this.#body(end, tree);
      if (again.isSettled) ({ end, isSettled } = again);
    }
    if (isSettled || end.state === 'stateError') return end;
    return failed(new EscapeError(`cannot compute output context for template ${tree.name}`, tree.root));
  }

  /** The template's body, taken to end in `context` where it calls itself. */
  #body(context: Context, tree: Tree): { end: Context; isSettled: boolean } {
    this.#found.output.set(tree.name, context);
    return this.#tentatively(context, tree.root, (end, found) => {
      if (end.state === 'stateError') return false;
      return !found.called.has(tree.name) || areEqual(context, end);
    });
  }

  /** Escapes a list, and keeps what was found only where `keeps` says so. */
  #tentatively(
    context: Context,
    list: ListNode,
    keeps: (end: Context, found: Findings) => boolean,
  ): { end: Context; isSettled: boolean } {
    const outer = this.#found;
    const found = findings(new Map(outer.output), new Map(outer.derived));
    this.#budget.step(outer.output.size + outer.derived.size);
    this.#found = found;
    const end = this.#list(context, list);
    this.#found = outer;
    const isSettled = keeps(end, found);
    if (isSettled) {
      copyInto(outer.output, found.output);
      copyInto(outer.derived, found.derived);
      for (const name of found.called) outer.called.add(name);
      copyInto(outer.actions, found.actions);
      copyInto(outer.calls, found.calls);
      copyInto(outer.texts, found.texts);
      this.#budget.step(found.actions.size + found.calls.size + found.texts.size);
    }
    return { end, isSettled };
  }

  #list(context: Context, list: ListNode | undefined): Context {
    let here = context;
    for (const node of list?.nodes ?? []) {
      here = this.#statement(here, node);
      if (here.state === 'stateDead') break;
    }
    return here;
  }

  #statement(context: Context, node: Statement): Context {
    this.#budget.step();
    switch (node.kind) {
      case 'action':
        return this.#action(context, node);
      case 'break':
        this.#loop!.breaks.push({ ...context, node });
        return contextOf({ state: 'stateDead' });
      case 'continue':
        this.#loop!.continues.push({ ...context, node });
        return contextOf({ state: 'stateDead' });
      case 'if':
      case 'range':
      case 'with':
        return this.#branch(context, node);
      case 'template': {
        const { context: end, name } = this.tree(context, node, node.name, node.line);
        if (name !== node.name) this.#found.calls.set(node, name);
        return end;
      }
      case 'text':
        return this.#text(context, node);
    }
  }

  #action(given: Context, node: ActionNode): Context {
    if (node.pipe.declared.length > 0) return given;
    let context = nudge(given);
    const { commands } = node.pipe;
    for (const [i, { args }] of commands.entries()) {
      const name = args[0].kind === 'identifier' ? args[0].name : '';
      if (!PREDEFINED.has(name)) continue;
      const isUnquoted = context.state === 'stateAttr' && context.delim === 'delimSpaceOrTagEnd' && name === 'html';
      if (i < commands.length - 1 || isUnquoted) {
        const description = `predefined escaper ${quote(name)} disallowed in template`;
        return failed(new EscapeError(description, node, node.line));
      }
    }
    const escapers: string[] = [];
    switch (context.state) {
      case 'stateError':
      case 'stateDead':
        return context;
      case 'stateURL':
      case 'stateCSSDqStr':
      case 'stateCSSSqStr':
      case 'stateCSSDqURL':
      case 'stateCSSSqURL':
      case 'stateCSSURL':
        switch (context.urlPart) {
          case 'urlPartNone':
          case 'urlPartPreQuery': {
            const isString = context.state === 'stateCSSDqStr' || context.state === 'stateCSSSqStr';
            if (context.urlPart === 'urlPartNone') escapers.push('_html_template_urlfilter');
            escapers.push(isString ? '_html_template_cssescaper' : '_html_template_urlnormalizer');
            break;
          }
          case 'urlPartQueryOrFrag':
            escapers.push('_html_template_urlescaper');
            break;
          case 'urlPartUnknown': {
            const description = `${printNode(node)} appears in an ambiguous context within a URL`;
            return failed(new EscapeError(description, node, node.line));
          }
        }
        break;
      case 'stateMetaContentURL':
        escapers.push('_html_template_urlfilter');
        break;
      case 'stateJS':
        escapers.push('_html_template_jsvalescaper');
        context = { ...context, jsCtx: 'jsCtxDivOp' };
        break;
      case 'stateJSDqStr':
      case 'stateJSSqStr':
        escapers.push('_html_template_jsstrescaper');
        break;
      case 'stateJSTmplLit':
        escapers.push('_html_template_jstmpllitescaper');
        break;
      case 'stateJSRegexp':
        escapers.push('_html_template_jsregexpescaper');
        break;
      case 'stateCSS':
        escapers.push('_html_template_cssvaluefilter');
        break;
      case 'stateText':
        escapers.push('_html_template_htmlescaper');
        break;
      case 'stateRCDATA':
        escapers.push('_html_template_rcdataescaper');
        break;
      case 'stateAttrName':
      case 'stateTag':
        context = { ...context, state: 'stateAttrName' };
        escapers.push('_html_template_htmlnamefilter');
        break;
      case 'stateSrcset':
        escapers.push('_html_template_srcsetescaper');
        break;
      case 'stateAttr':
      case 'stateMetaContent':
        break;
      default:
        escapers.push('_html_template_commentescaper');
    }
    if (context.delim === 'delimSpaceOrTagEnd') escapers.push('_html_template_nospaceescaper');
    else if (context.delim !== 'delimNone') escapers.push('_html_template_attrescaper');
    this.#found.actions.set(node, escapers);
    return context;
  }

  #branch(context: Context, node: BranchNode): Context {
    let end: Context;
    if (node.kind === 'range') {
      const first = this.#inLoop((loop) => joinLoop(this.#list(context, node.list), loop));
      if (first.state === 'stateError') return first;
      // a second round begins where the first one ended
      end = this.#inLoop((loop) => {
        const second = this.#tentatively(first, node.list, () => false).end;
        const both = join(first, second, node, node.kind);
        if (both.state !== 'stateError') return joinLoop(both, loop);
        both.error!.amend(node.line, 'on range loop re-entry: ');
        return both;
      });
      if (end.state === 'stateError') return end;
    } else end = this.#list(context, node.list);
    return join(end, this.#list(context, node.elseList), node, node.kind);
  }

  #inLoop(work: (loop: Loop) => Context): Context {
    const loop: Loop = { outer: this.#loop, breaks: [], continues: [] };
    this.#loop = loop;
    const end = work(loop);
    this.#loop = loop.outer;
    return end;
  }

  #text(given: Context, node: TextNode): Context {
    const { text } = node;
    this.#budget.read(text.length);
    let context = given;
    let edited = '';
    let written = 0;
    const replace = (from: number, to: number, replacement: Bytes) => {
      edited += text.slice(written, from) + replacement;
      written = to;
    };
    for (let at = 0; at < text.length; ) {
      this.#budget.step();
      const { context: next, read } = afterText(context, text.slice(at));
      const end = at + read;
      if (context.state === 'stateText' || context.state === 'stateRCDATA') {
        let plainEnd = end;
        if (next.state !== context.state) {
          const tag = end === 0 ? -1 : text.lastIndexOf('<', end - 1);
          if (tag >= at) plainEnd = tag;
        }
        // what is no tag must not look like one after the value in front of it
        for (let i = text.indexOf('<', at); i >= 0 && i < plainEnd; i = text.indexOf('<', i + 1)) {
          if (text.slice(i, i + 9).toUpperCase() !== '<!DOCTYPE') replace(i, i + 1, '&lt;');
        }
      } else if (isComment(context.state) && context.delim === 'delimNone') {
        if (context.state === 'stateJSBlockCmt') {
          edited += /[\n\r]|\xe2\x80[\xa8\xa9]/.test(text.slice(written, end)) ? '\n' : ' ';
        } else if (context.state === 'stateCSSBlockCmt') edited += ' ';
        written = end;
      }
      if (context.state !== next.state && isComment(next.state) && next.delim === 'delimNone') {
        const isLong = next.state === 'stateHTMLCmt' || next.state === 'stateJSHTMLOpenCmt';
        replace(end - (isLong ? 4 : next.state === 'stateJSHTMLCloseCmt' ? 3 : 2), end, '');
      }
      if (isInScriptLiteral(context.state)) {
        const part = text.slice(at, end);
        const safe = part.replace(/<(script|\/script|!--)/gi, '\\x3C$1');
        if (safe !== part) replace(at, end, safe);
      }
      context = next;
      at = end;
    }
    if (written !== 0 && context.state !== 'stateError') {
      if (!isComment(context.state) || context.delim !== 'delimNone') edited += text.slice(written);
      this.#found.texts.set(node, edited);
    }
    return context;
  }
}

const DELIM_ENDS = {
  delimDoubleQuote: '"',
  delimSingleQuote: "'",
  delimSpaceOrTagEnd: ' \t\n\f\r>',
} as const;

/** The context behind the first part of the text that has one context. */
function afterText(context: Context, text: Bytes): Step {
  const { delim } = context;
  if (delim === 'delimNone') {
    const step = specialTagEnd(context, text);
    return step.read === 0 ? step : transition(context, text.slice(0, step.read));
  }
  const found = indexOfAny(text, DELIM_ENDS[delim]);
  const end = found < 0 ? text.length : found;
  const value = text.slice(0, end);
  if (delim === 'delimSpaceOrTagEnd') {
    const bad = indexOfAny(value, '"\'<=`');
    if (bad >= 0) {
      const description = `${quote(value[bad]!)} in unquoted attr: ${quote(value)}`;
      return { context: failed(new EscapeError(description)), read: text.length };
    }
  }
  if (found < 0) {
    let here = context;
    for (let rest = unescapeHtml(text); rest !== ''; ) {
      const step = transition(here, rest);
      here = step.context;
      rest = rest.slice(step.read);
    }
    return { context: here, read: text.length };
  }
  let { element } = context;
  if (context.state === 'stateAttr' && element === 'elementScript' && context.attr === 'attrScriptType') {
    if (!isJsType(value)) element = 'elementNone';
  }
  return {
    context: contextOf({ state: 'stateTag', element }),
    read: delim === 'delimSpaceOrTagEnd' ? end : end + 1,
  };
}

const JS_TYPES = new Set([
  '',
  'module',
  ...['application/ecmascript', 'application/javascript', 'application/json', 'application/ld+json'],
  ...['application/x-ecmascript', 'application/x-javascript', 'text/ecmascript', 'text/javascript'],
  ...['text/javascript1.0', 'text/javascript1.1', 'text/javascript1.2', 'text/javascript1.3'],
  ...['text/javascript1.4', 'text/javascript1.5', 'text/jscript', 'text/livescript'],
  ...['text/x-ecmascript', 'text/x-javascript'],
]);

function isJsType(mimeType: Bytes): boolean {
  return JS_TYPES.has(mimeType.split(';', 1)[0]!.toLowerCase().trim());
}

/** Where an action stands that begins the next part of a tag. */
function nudge(context: Context): Context {
  switch (context.state) {
    case 'stateTag':
      return { ...context, state: 'stateAttrName' };
    case 'stateBeforeValue':
      return { ...context, state: VALUE_START[context.attr], delim: 'delimSpaceOrTagEnd', attr: 'attrNone' };
    case 'stateAfterName':
      return { ...context, state: 'stateAttrName', attr: 'attrNone' };
    default:
      return context;
  }
}

/** One context that stands for both, behind branches that may end in either. */
function join(a: Context, b: Context, node: Node, name: string): Context {
  if (a.state === 'stateError') return a;
  if (b.state === 'stateError') return b;
  if (a.state === 'stateDead') return b;
  if (b.state === 'stateDead' || areEqual(a, b)) return a;
  if (areEqual({ ...a, urlPart: b.urlPart }, b)) return { ...a, urlPart: 'urlPartUnknown' };
  if (areEqual({ ...a, jsCtx: b.jsCtx }, b)) return { ...a, jsCtx: 'jsCtxUnknown' };
  const [nudgedA, nudgedB] = [nudge(a), nudge(b)];
  if (!areEqual(nudgedA, a) || !areEqual(nudgedB, b)) {
    const joined = join(nudgedA, nudgedB, node, name);
    if (joined.state !== 'stateError') return joined;
  }
  const description = `{{${name}}} branches end in different contexts: ${printContext(a)}, ${printContext(b)}`;
  return failed(new EscapeError(description, node));
}

function joinLoop(context: Context, { breaks, continues }: Loop): Context {
  let end = context;
  for (const [jumps, name] of [
    [breaks, 'break'],
    [continues, 'continue'],
  ] as const) {
    for (const jump of jumps) {
      if (end.state === 'stateError') return end;
      end = join(end, jump, jump.node!, 'range');
      if (end.state !== 'stateError') continue;
      end.error!.amend((jump.node as JumpNode).line, `at range loop ${name}: `);
      return end;
    }
  }
  return end;
}

/** Escapers that templates may call themselves. */
const PREDEFINED = new Set(['html', 'urlquery']);

const EQUIVALENT: ReadonlyMap<string, string> = new Map([
  ['_html_template_attrescaper', 'html'],
  ['_html_template_htmlescaper', 'html'],
  ['_html_template_rcdataescaper', 'html'],
  ['_html_template_urlescaper', 'urlquery'],
  ['_html_template_urlnormalizer', 'urlquery'],
]);

/** Escapers that have nothing left to do right behind another one. */
const REDUNDANT = new Set([
  '_html_template_commentescaper _html_template_attrescaper',
  '_html_template_commentescaper _html_template_htmlescaper',
  '_html_template_cssescaper _html_template_attrescaper',
  '_html_template_jsregexpescaper _html_template_attrescaper',
  '_html_template_jsstrescaper _html_template_attrescaper',
  '_html_template_jstmpllitescaper _html_template_attrescaper',
  '_html_template_urlescaper _html_template_urlnormalizer',
]);

function normalised(name: string): string {
  return EQUIVALENT.get(name) ?? name;
}

function nameOf({ args }: CommandNode): string | undefined {
  return args[0].kind === 'identifier' ? args[0].name : undefined;
}

function call(name: string, pos: number): CommandNode {
  return {
    kind: 'command',
    pos,
    source: undefined,
    args: [{ kind: 'identifier', pos, source: undefined, name }],
  };
}

function append(commands: readonly CommandNode[], command: CommandNode): readonly CommandNode[] {
  const last = commands.at(-1);
  const isRedundant = last !== undefined && REDUNDANT.has(`${nameOf(last)} ${nameOf(command)}`);
  return isRedundant ? commands : [...commands, command];
}

/** The pipeline with these escapers behind it, but for those that it has itself. */
function withEscapers(pipe: PipeNode, given: readonly string[]): PipeNode {
  if (given.length === 0) return pipe;
  let escapers = given;
  let commands: readonly CommandNode[] = pipe.commands;
  let kept = commands.length;
  const last = commands.at(-1)!;
  const own = nameOf(last);
  if (own !== undefined && PREDEFINED.has(own)) {
    if (commands.length === 1 && last.args.length > 1) {
      const [{ pos }, ...args] = last.args;
      const joined = { kind: 'identifier' as const, pos, source: undefined, name: '_eval_args_' };
      commands = append([{ ...last, args: [joined, ...args] }], call(own, pipe.pos));
      kept++;
    }
    if (escapers.some((escaper) => normalised(escaper) === normalised(own))) {
      escapers = escapers.map((escaper) => (normalised(escaper) === normalised(own) ? own : escaper));
      kept--;
    }
  }
  let result = commands.slice(0, kept);
  const inserted = new Set(result.map((command) => normalised(nameOf(command) ?? '')));
  for (const name of escapers) {
    if (!inserted.has(normalised(name))) result = [...append(result, call(name, pipe.pos))];
  }
  return { ...pipe, commands: result };
}

function copyInto<K, V>(to: Map<K, V>, from: ReadonlyMap<K, V>): void {
  for (const [key, value] of from) to.set(key, value);
}

function copyList(list: ListNode): ListNode {
  return { ...list, nodes: list.nodes.map(copyNode) };
}

function copyNode(node: Statement): Statement {
  if (node.kind !== 'if' && node.kind !== 'range' && node.kind !== 'with') return { ...node };
  return {
    ...node,
    list: copyList(node.list),
    elseList: node.elseList === undefined ? undefined : copyList(node.elseList),
  };
}
