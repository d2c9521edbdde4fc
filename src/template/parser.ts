import { type Bytes, textOf } from './bytes.ts';
import { describe, Lexer, type Token, type TokenKind } from './lexer.ts';
import {
  type CommandNode,
  isEmptyList,
  type ListNode,
  type Operand,
  type PipeNode,
  printNode,
  type Source,
  type Statement,
  type Tree,
  type VariableNode,
} from './node.ts';
import { parseNumber } from './number.ts';
import { quote, syntaxError, unquote } from './quote.ts';

/** A template that cannot be parsed, escaped or executed. The text is Go's. */
export class TemplateError extends Error {}

/** Says whether there is a function of that name. */
export type HasFunction = (name: Bytes) => boolean;

/** Depth of blocks and parentheses, shared by all trees of one text. */
interface Nesting {
  depth: number;
  readonly max: number;
}

type Context = 'if' | 'range' | 'with' | 'command' | 'parenthesized pipeline' | 'block clause' | 'template clause';

/** The end of a list of statements. */
interface Terminator {
  readonly kind: 'end' | 'else';
  readonly pos: number;
}

/**
 * The templates of one text: the text's own under `name`, and each that it defines.
 * @throws TemplateError
 */
export function parseTemplate(
  name: Bytes,
  text: Bytes,
  hasFunction: HasFunction,
  nestingMax: number,
): ReadonlyMap<Bytes, Tree> {
  const trees = new Map<Bytes, Tree>();
  const parser = new Parser({ name, text }, new Lexer(text), hasFunction, trees, { depth: 0, max: nestingMax });
  parser.parseText();
  return trees;
}

/** Parses one tree. Those of definitions inside it have parsers of their own on the same tokens. */
class Parser {
  readonly #source: Source;
  readonly #lexer: Lexer;
  readonly #hasFunction: HasFunction;
  readonly #trees: Map<Bytes, Tree>;
  readonly #nesting: Nesting;
  /** The token at hand, and two that were given back. */
  readonly #tokens: Token[] = [];
  #given = 0;
  /** Variables in sight, innermost last; and how often each name is there. */
  readonly #variables: Bytes[] = ['$'];
  readonly #inSight = new Map<Bytes, number>([['$', 1]]);
  #actionLine = 0;
  #ranges = 0;

  constructor(source: Source, lexer: Lexer, hasFunction: HasFunction, trees: Map<Bytes, Tree>, nesting: Nesting) {
    this.#source = source;
    this.#lexer = lexer;
    this.#hasFunction = hasFunction;
    this.#trees = trees;
    this.#nesting = nesting;
  }

  parseText(): void {
    const pos = this.#peek().pos;
    const nodes: Statement[] = [];
    while (this.#peek().kind !== 'eof') {
      if (this.#peek().kind === 'leftDelim') {
        const delim = this.#next();
        if (this.#nextNonSpace().kind === 'define') {
          this.#child().#definition();
          continue;
        }
        this.#giveBack(delim);
      }
      const node = this.#textOrAction();
      if (isTerminator(node)) this.#fail(`unexpected {{${node.kind}}}`);
      nodes.push(node);
    }
    this.#add(this.#source.name, { kind: 'list', pos, source: this.#source, nodes });
  }

  #child(): Parser {
    return new Parser(this.#source, this.#lexer, this.#hasFunction, this.#trees, this.#nesting);
  }

  #definition(): void {
    const context = 'define clause';
    const token = this.#nextNonSpace();
    if (token.kind !== 'string' && token.kind !== 'rawString') this.#unexpected(token, context);
    const name = this.#unquoted(token);
    this.#expect('rightDelim', context);
    const { list, end } = this.#itemList();
    if (end.kind !== 'end') this.#fail(`unexpected {{${end.kind}}} in ${context}`);
    this.#add(name, list);
  }

  #add(name: Bytes, root: ListNode): void {
    const before = this.#trees.get(name);
    if (before === undefined || isEmptyList(before.root)) {
      this.#trees.set(name, { name, source: this.#source, root });
    } else if (!isEmptyList(root)) {
      this.#fail(`template: multiple definition of template ${quote(name)}`);
    }
  }

  #next(): Token {
    if (this.#given > 0) this.#given--;
    else this.#tokens[0] = this.#lexer.next();
    return this.#tokens[this.#given]!;
  }

  #peek(): Token {
    if (this.#given > 0) return this.#tokens[this.#given - 1]!;
    this.#given = 1;
    this.#tokens[0] = this.#lexer.next();
    return this.#tokens[0];
  }

  /** The token before the one at hand, or two of them; the one at hand is read again after them. */
  #giveBack(before: Token, beforeThat?: Token): void {
    this.#tokens[1] = before;
    this.#given = 2;
    if (beforeThat !== undefined) {
      this.#tokens[2] = beforeThat;
      this.#given = 3;
    }
  }

  #nextNonSpace(): Token {
    let token = this.#next();
    while (token.kind === 'space') token = this.#next();
    return token;
  }

  #peekNonSpace(): Token {
    const token = this.#nextNonSpace();
    this.#given++;
    return token;
  }

  #expect(kind: TokenKind, context: string): Token {
    const token = this.#nextNonSpace();
    if (token.kind !== kind) this.#unexpected(token, context);
    return token;
  }

  #unexpected(token: Token, context: string): never {
    if (token.kind !== 'error') this.#fail(`unexpected ${describe(token)} in ${context}`);
    let where = '';
    if (this.#actionLine !== 0 && this.#actionLine !== token.line) {
      where = ` in action started at ${this.#source.name}:${this.#actionLine}`;
      if (token.text.endsWith(' action')) where = where.slice(' in action'.length);
    }
    this.#fail(token.text + where);
  }

  #fail(text: Bytes): never {
    throw new TemplateError(textOf(`template: ${this.#source.name}:${this.#tokens[0]?.line ?? 0}: ${text}`));
  }

  #unquoted(token: Token): Bytes {
    return unquote(token.text) ?? this.#fail(syntaxError);
  }

  #nested<T>(tooDeep: string, inner: () => T): T {
    if (this.#nesting.depth >= this.#nesting.max) this.#fail(tooDeep);
    this.#nesting.depth++;
    const result = inner();
    this.#nesting.depth--;
    return result;
  }

  #declare(name: Bytes): void {
    this.#variables.push(name);
    this.#inSight.set(name, (this.#inSight.get(name) ?? 0) + 1);
  }

  #forgetFrom(mark: number): void {
    for (const name of this.#variables.splice(mark)) this.#inSight.set(name, this.#inSight.get(name)! - 1);
  }

  #itemList(): { readonly list: ListNode; readonly end: Terminator } {
    return this.#nested(`nesting limit of ${this.#nesting.max} exceeded (template_nesting_max)`, () => {
      const pos = this.#peekNonSpace().pos;
      const nodes: Statement[] = [];
      while (this.#peekNonSpace().kind !== 'eof') {
        const node = this.#textOrAction();
        if (isTerminator(node)) {
          return { list: { kind: 'list' as const, pos, source: this.#source, nodes }, end: node };
        }
        nodes.push(node);
      }
      this.#fail('unexpected EOF');
    });
  }

  #textOrAction(): Statement | Terminator {
    const token = this.#nextNonSpace();
    if (token.kind === 'text') return { kind: 'text', pos: token.pos, source: this.#source, text: token.text };
    if (token.kind !== 'leftDelim') this.#unexpected(token, 'input');
    this.#actionLine = token.line;
    const node = this.#action();
    this.#actionLine = 0;
    return node;
  }

  #action(): Statement | Terminator {
    const token = this.#nextNonSpace();
    switch (token.kind) {
      case 'block':
        return this.#block();
      case 'break':
      case 'continue':
        return this.#jump(token, token.kind);
      case 'else':
        return this.#else();
      case 'end':
        return { kind: 'end', pos: this.#expect('rightDelim', 'end').pos };
      case 'if':
      case 'range':
      case 'with':
        return this.#branch(token.kind);
      case 'template':
        return this.#template();
    }
    this.#given++;
    const { pos, line } = this.#peek();
    return { kind: 'action', pos, line, source: this.#source, pipe: this.#pipeline('command', 'rightDelim') };
  }

  #jump({ pos, line }: Token, kind: 'break' | 'continue'): Statement {
    const token = this.#nextNonSpace();
    if (token.kind !== 'rightDelim') this.#unexpected(token, `{{${kind}}}`);
    if (this.#ranges === 0) this.#fail(`{{${kind}}} outside {{range}}`);
    return { kind, pos, line, source: this.#source };
  }

  #else(): Terminator {
    const peeked = this.#peekNonSpace();
    // `else if` and `else with`: the branch that ends here reads on
    if (peeked.kind === 'if' || peeked.kind === 'with') return { kind: 'else', pos: peeked.pos };
    return { kind: 'else', pos: this.#expect('rightDelim', 'else').pos };
  }

  #branch(kind: 'if' | 'range' | 'with'): Statement {
    const mark = this.#variables.length;
    const pipe = this.#pipeline(kind, 'rightDelim');
    if (kind === 'range') this.#ranges++;
    const { list, end } = this.#itemList();
    if (kind === 'range') this.#ranges--;
    let elseList: ListNode | undefined;
    if (end.kind === 'else') {
      if (kind !== 'range' && this.#peek().kind === kind) {
        this.#next();
        const inner = this.#nested(`nesting limit of ${this.#nesting.max} exceeded (template_nesting_max)`, () =>
          this.#branch(kind),
        );
        elseList = { kind: 'list', pos: end.pos, source: this.#source, nodes: [inner] };
      } else {
        const rest = this.#itemList();
        if (rest.end.kind !== 'end') this.#fail(`expected end; found {{${rest.end.kind}}}`);
        elseList = rest.list;
      }
    }
    this.#forgetFrom(mark);
    return { kind, pos: pipe.pos, line: pipe.line, source: this.#source, pipe, list, elseList };
  }

  #block(): Statement {
    const context = 'block clause';
    const token = this.#nextNonSpace();
    const name = this.#templateName(token, context);
    const pipe = this.#pipeline(context, 'rightDelim');
    const child = this.#child();
    const { list, end } = child.#itemList();
    if (end.kind !== 'end') this.#fail(`unexpected {{${end.kind}}} in ${context}`);
    child.#add(name, list);
    return { kind: 'template', pos: token.pos, line: token.line, source: this.#source, name, pipe };
  }

  #template(): Statement {
    const context = 'template clause';
    const token = this.#nextNonSpace();
    const name = this.#templateName(token, context);
    let pipe: PipeNode | undefined;
    if (this.#nextNonSpace().kind !== 'rightDelim') {
      this.#given++;
      pipe = this.#pipeline(context, 'rightDelim');
    }
    return { kind: 'template', pos: token.pos, line: token.line, source: this.#source, name, pipe };
  }

  #templateName(token: Token, context: Context): Bytes {
    if (token.kind !== 'string' && token.kind !== 'rawString') this.#unexpected(token, context);
    return this.#unquoted(token);
  }

  #pipeline(context: Context, end: 'rightDelim' | 'rightParen'): PipeNode {
    const { pos, line } = this.#peekNonSpace();
    const declared: VariableNode[] = [];
    const isAssign = this.#declarations(context, declared);
    const commands: CommandNode[] = [];
    for (;;) {
      const token = this.#nextNonSpace();
      if (token.kind === end) break;
      if (!startsOperand(token.kind)) this.#unexpected(token, context);
      this.#given++;
      commands.push(this.#command());
    }
    if (commands.length === 0) this.#fail(`missing value for ${context}`);
    commands.forEach((command, i) => {
      const isFixed = ['bool', 'dot', 'nil', 'number', 'string'].includes(command.args[0].kind);
      if (i > 0 && isFixed) this.#fail(`non executable command in pipeline stage ${i + 1}`);
    });
    return { kind: 'pipe', pos, line, source: this.#source, isAssign, declared, commands };
  }

  /** `$x :=`, `$x =` or `$i, $x :=`, if it is there; whether it assigns to variables that there are. */
  #declarations(context: Context, declared: VariableNode[]): boolean {
    for (;;) {
      const variable = this.#peekNonSpace();
      if (variable.kind !== 'variable') return false;
      this.#next();
      // a space after the variable makes `$x.y` two operands
      const after = this.#peek();
      const next = this.#peekNonSpace();
      const isComma = next.kind === 'char' && next.text === ',';
      if (next.kind !== 'assign' && next.kind !== 'declare' && !isComma) {
        if (after.kind === 'space') this.#giveBack(after, variable);
        else this.#giveBack(variable);
        return false;
      }
      this.#nextNonSpace();
      declared.push({ kind: 'variable', pos: variable.pos, source: this.#source, path: [variable.text] });
      this.#declare(variable.text);
      if (!isComma) return next.kind === 'assign';
      if (context !== 'range' || declared.length > 1) this.#fail(`too many declarations in ${context}`);
      const { kind } = this.#peekNonSpace();
      if (kind !== 'variable' && kind !== 'rightDelim' && kind !== 'rightParen') {
        this.#fail('range can only initialize variables');
      }
    }
  }

  #command(): CommandNode {
    const { pos } = this.#peekNonSpace();
    const args: Operand[] = [];
    for (;;) {
      this.#peekNonSpace();
      const operand = this.#operand();
      if (operand !== undefined) args.push(operand);
      const token = this.#next();
      if (token.kind === 'space') continue;
      if (token.kind === 'rightDelim' || token.kind === 'rightParen') this.#given++;
      else if (token.kind !== 'pipe') this.#unexpected(token, 'operand');
      break;
    }
    const [first, ...others] = args;
    if (first === undefined) this.#fail('empty command');
    return { kind: 'command', pos, source: this.#source, args: [first, ...others] };
  }

  /** A term, and the fields taken of it. */
  #operand(): Operand | undefined {
    const term = this.#term();
    const { kind, pos } = term === undefined ? { kind: undefined, pos: 0 } : this.#peek();
    if (term === undefined || kind !== 'field') return term;
    const path: Bytes[] = [];
    while (this.#peek().kind === 'field') path.push(this.#next().text.slice(1));
    switch (term.kind) {
      case 'field':
        return { kind: 'field', pos, source: this.#source, path: [...term.path, ...path] };
      case 'variable':
        return { kind: 'variable', pos, source: this.#source, path: [...term.path, ...path] };
      case 'bool':
      case 'string':
      case 'number':
      case 'nil':
      case 'dot':
        this.#fail(`unexpected . after term ${quote(printNode(term))}`);
        break;
      default:
        return { kind: 'chain', pos, source: this.#source, node: term, path };
    }
  }

  #term(): Operand | undefined {
    const token = this.#nextNonSpace();
    const { pos, text, kind } = token;
    const source = this.#source;
    switch (kind) {
      case 'identifier':
        if (!this.#hasFunction(text)) this.#fail(`function ${quote(text)} not defined`);
        return { kind, pos, source, name: text };
      case 'dot':
      case 'nil':
        return { kind, pos, source };
      case 'variable':
        if ((this.#inSight.get(text) ?? 0) === 0) this.#fail(`undefined variable ${quote(text)}`);
        return { kind, pos, source, path: [text] };
      case 'field':
        return { kind, pos, source, path: [text.slice(1)] };
      case 'bool':
        return { kind, pos, source, value: text === 'true' };
      case 'charConstant':
      case 'complex':
      case 'number': {
        const number = parseNumber(text, kind);
        if (typeof number === 'string') this.#fail(number);
        return { kind: 'number', pos, source, text, ...number };
      }
      case 'leftParen':
        return this.#nested('max expression depth exceeded', () =>
          this.#pipeline('parenthesized pipeline', 'rightParen'),
        );
      case 'string':
      case 'rawString':
        return { kind: 'string', pos, source, quoted: text, value: this.#unquoted(token) };
    }
    this.#given++;
    return undefined;
  }
}

function isTerminator(node: Statement | Terminator): node is Terminator {
  return node.kind === 'end' || node.kind === 'else';
}

function startsOperand(kind: TokenKind): boolean {
  switch (kind) {
    case 'bool':
    case 'charConstant':
    case 'complex':
    case 'dot':
    case 'field':
    case 'identifier':
    case 'number':
    case 'nil':
    case 'rawString':
    case 'string':
    case 'variable':
    case 'leftParen':
      return true;
    default:
      return false;
  }
}
