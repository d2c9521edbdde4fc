import { type Budget, LimitError } from './budget.ts';
import { COMPARISONS_AND_MORE, callNamed } from './builtins.ts';
import { type Bytes, textOf } from './bytes.ts';
import { sprint, sprintf } from './format.ts';
import {
  type BranchNode,
  type ChainNode,
  type CommandNode,
  type FieldNode,
  type IdentifierNode,
  type ListNode,
  type Node,
  type NumberNode,
  type Operand,
  type PipeNode,
  printNode,
  type Source,
  type Statement,
  type TemplateNode,
  type Tree,
  type VariableNode,
} from './node.ts';
import { TemplateError } from './parser.ts';
import { quote } from './quote.ts';
import {
  ANY,
  CallError,
  COMPLEX128,
  canBeNil,
  type Func,
  indirect,
  indirectInterface,
  integer,
  isAssignable,
  isTrue,
  kindOf,
  placed,
  REFLECT,
  type Signature,
  sortedKeys,
  type Type,
  typeOf,
  type Value,
  zeroOf,
} from './value.ts';

/** The yield of a map that lacks a key: no value, its type's zero, or an error. */
export type MissingKey = 'invalid' | 'zero' | 'error';

export interface Program {
  lookup(name: Bytes): Tree | undefined;
  readonly functions: ReadonlyMap<Bytes, Func>;
  readonly missingKey: MissingKey;
}

/** The way in which a list of statements ended. */
type Ending = 'end' | 'break' | 'continue';

interface Variable {
  readonly name: Bytes;
  value: Value;
}

/** No argument comes from the command before in the pipeline. */
const NOTHING = Symbol('no final argument');
type Final = Value | typeof NOTHING;

/**
 * The output of one template.
 * @throws TemplateError
 */
export function execute(program: Program, tree: Tree, data: Value, budget: Budget): Bytes {
  return new Execution(program, tree, budget).run(data);
}

class Execution {
  readonly #program: Program;
  readonly #budget: Budget;
  #output: Bytes = '';
  #tree: Tree;
  /** The node at work, for errors. */
  #node: Node | undefined;
  #variables: Variable[] = [];
  #depth = 0;

  constructor(program: Program, tree: Tree, budget: Budget) {
    this.#program = program;
    this.#tree = tree;
    this.#budget = budget;
  }

  run(data: Value): Bytes {
    this.#variables = [{ name: '$', value: data }];
    try {
      this.#walkList(data, this.#tree.root);
    } catch (thrown) {
      if (thrown instanceof TemplateError) throw thrown;
      if (thrown instanceof LimitError) this.#fail(thrown.message);
      // the stack's end, before the depth that is allowed: also the template's doing
      if (thrown instanceof RangeError && /call stack/.test(thrown.message)) this.#failTooDeep();
      throw thrown;
    }
    return this.#output;
  }

  #fail(text: Bytes): never {
    const name = this.#tree.name;
    if (this.#node === undefined) throw new TemplateError(textOf(`template: ${name}: ${text}`));
    const where = locationOf(this.#node, this.#node.source ?? this.#tree.source);
    const context = printNode(this.#node);
    throw new TemplateError(textOf(`template: ${where}: executing ${quote(name)} at <${context}>: ${text}`));
  }

  #failTooDeep(): never {
    this.#fail(`exceeded maximum template depth (${this.#budget.limits.depthMax})`);
  }

  #at(node: Node): void {
    this.#budget.step();
    this.#node = node;
  }

  #deeper(): void {
    if (this.#depth >= this.#budget.limits.depthMax) this.#failTooDeep();
    this.#depth++;
  }

  #write(bytes: Bytes): void {
    const { outputBytesMax } = this.#budget.limits;
    if (this.#output.length + bytes.length > outputBytesMax) {
      this.#fail(`output limit of ${outputBytesMax} bytes exceeded (template_output_bytes_max)`);
    }
    this.#output += bytes;
  }

  // variables

  #setVariable(name: Bytes, value: Value): void {
    this.#findVariable(name).value = value;
  }

  #findVariable(name: Bytes): Variable {
    for (let i = this.#variables.length - 1; i >= 0; i--) {
      if ((i & 15) === 15) this.#budget.step();
      const variable = this.#variables[i]!;
      if (variable.name === name) return variable;
    }
    this.#fail(`undefined variable: ${name}`);
  }

  // statements

  #walkList(dot: Value, { nodes }: ListNode): Ending {
    for (const node of nodes) {
      const ending = this.#walk(dot, node);
      if (ending !== 'end') return ending;
    }
    return 'end';
  }

  #walk(dot: Value, node: Statement): Ending {
    this.#at(node);
    switch (node.kind) {
      case 'text':
        this.#write(node.text);
        return 'end';
      case 'action': {
        const value = this.#pipeline(dot, node.pipe);
        if (node.pipe.declared.length === 0) this.#print(node, value);
        return 'end';
      }
      case 'break':
      case 'continue':
        return node.kind;
      case 'if':
      case 'with':
        return this.#walkBranch(dot, node);
      case 'range':
        return this.#walkRange(dot, node);
      case 'template':
        this.#walkTemplate(dot, node);
        return 'end';
    }
  }

  #walkBranch(dot: Value, node: BranchNode): Ending {
    const mark = this.#variables.length;
    this.#deeper();
    const value = this.#pipeline(dot, node.pipe);
    let ending: Ending = 'end';
    if (isTrue(indirectInterface(value))) ending = this.#walkList(node.kind === 'with' ? value : dot, node.list);
    else if (node.elseList !== undefined) ending = this.#walkList(dot, node.elseList);
    this.#depth--;
    this.#variables.length = mark;
    return ending;
  }

  #walkRange(dot: Value, node: BranchNode): Ending {
    const outerMark = this.#variables.length;
    this.#deeper();
    const over = indirect(this.#pipeline(dot, node.pipe)).value;
    const mark = this.#variables.length;
    let ending: Ending = 'end';
    let ran = false;
    for (const { index, element } of this.#elements(over, node)) {
      ran = true;
      this.#setLoopVariables(node.pipe, index, element);
      ending = this.#walkList(element, node.list);
      this.#variables.length = mark;
      if (ending === 'break') break;
    }
    // breaks and continues end here; only those of the else branch go on outwards
    ending = 'end';
    if (!ran && node.elseList !== undefined) ending = this.#walkList(dot, node.elseList);
    this.#depth--;
    this.#variables.length = outerMark;
    return ending;
  }

  *#elements(over: Value, node: BranchNode): Generator<{ readonly index: Value; readonly element: Value }> {
    if (over === undefined) return;
    const whole =
      typeof over === 'bigint' ? over : typeof over === 'object' && over.tag === 'int' ? over.value : undefined;
    if (whole !== undefined) {
      if (node.pipe.declared.length > 1) {
        this.#fail(`can't use ${sprintf('%v', [over], this.#budget)} to iterate over more than one variable`);
      }
      const type = typeOf(over);
      for (let i = 0n; i < whole; i++) {
        this.#budget.step();
        yield { index: undefined, element: typeof over === 'bigint' ? i : integer(i, type) };
      }
    } else if (typeof over === 'object' && over.tag === 'list') {
      for (let i = 0; i < over.items.length; i++) {
        this.#budget.step();
        yield { index: BigInt(i), element: placed(over.items[i], over.type.elem!) };
      }
    } else if (typeof over === 'object' && over.tag === 'map') {
      this.#budget.step(over.entries.size);
      for (const key of sortedKeys(over.entries)) {
        yield { index: key, element: placed(over.entries.get(key), over.type.elem!) };
      }
    } else this.#fail(`range can't iterate over ${sprintf('%v', [over], this.#budget)}`);
  }

  #setLoopVariables({ declared, isAssign }: PipeNode, index: Value, element: Value): void {
    const [first, second] = declared;
    if (first === undefined) return;
    if (isAssign) {
      this.#setVariable(first.path[0], second === undefined ? element : index);
      if (second !== undefined) this.#setVariable(second.path[0], element);
    } else {
      this.#variables.at(-1)!.value = element;
      if (second !== undefined) this.#variables.at(-2)!.value = index;
    }
  }

  #walkTemplate(dot: Value, node: TemplateNode): void {
    const tree = this.#program.lookup(node.name);
    if (tree === undefined) this.#fail(`template ${quote(node.name)} not defined`);
    this.#deeper();
    const data = node.pipe === undefined ? undefined : this.#pipeline(dot, node.pipe);
    const [callerTree, callerVariables] = [this.#tree, this.#variables];
    this.#tree = tree;
    this.#variables = [{ name: '$', value: data }];
    this.#walkList(data, tree.root);
    this.#tree = callerTree;
    this.#variables = callerVariables;
    this.#depth--;
  }

  #print(node: Node, value: Value): void {
    this.#at(node);
    const shown = kindOf(value) === 'pointer' ? indirect(value).value : value;
    if (shown === undefined) {
      this.#write('<no value>');
      return;
    }
    if (typeof shown === 'string') {
      this.#write(shown);
      return;
    }
    if (kindOf(shown) === 'func') this.#fail(`can't print ${printNode(node)} of type ${typeOf(shown).name}`);
    this.#write(sprint([shown], this.#budget));
  }

  // values

  #pipeline(dot: Value, pipe: PipeNode): Value {
    this.#at(pipe);
    this.#deeper();
    let value: Final = NOTHING;
    for (const command of pipe.commands) value = indirectInterface(this.#command(dot, command, value));
    this.#depth--;
    const result: Value = value === NOTHING ? undefined : value;
    for (const variable of pipe.declared) {
      if (pipe.isAssign) this.#setVariable(variable.path[0], result);
      else this.#variables.push({ name: variable.path[0], value: result });
    }
    return result;
  }

  #command(dot: Value, command: CommandNode, final: Final): Value {
    const { args } = command;
    const [first] = args;
    switch (first.kind) {
      case 'field':
        return this.#field(dot, first, args, final);
      case 'chain':
        return this.#chain(dot, first, args, final);
      case 'identifier':
        return this.#function(dot, first, command, args, final);
      case 'pipe':
        this.#checkNoArguments(args, final);
        return this.#pipeline(dot, first);
      case 'variable':
        return this.#variable(dot, first, args, final);
    }
    this.#at(first);
    this.#checkNoArguments(args, final);
    switch (first.kind) {
      case 'bool':
      case 'string':
        return first.value;
      case 'dot':
        return dot;
      case 'number':
        return this.#constant(first);
      case 'nil':
        this.#fail('nil is not a command');
    }
  }

  #checkNoArguments(args: readonly Operand[], final: Final): void {
    if (args.length > 1 || final !== NOTHING) {
      this.#fail(`can't give argument to non-function ${printNode(args[0]!)}`);
    }
  }

  /** A constant where nothing says which type it shall have. */
  #constant(node: NumberNode): Value {
    this.#at(node);
    const { text } = node;
    if (node.complex !== undefined) return { tag: 'complex', type: COMPLEX128, ...node.complex };
    const isHexInt = /^0x./i.test(text) && !/p/i.test(text);
    if (node.float !== undefined && !isHexInt && text[0] !== "'" && /[.eEpP]/.test(text)) return node.float;
    if (node.int !== undefined) return node.int;
    this.#fail(`${text} overflows int`);
  }

  #field(dot: Value, node: FieldNode, args: readonly Operand[] | undefined, final: Final): Value {
    this.#at(node);
    return this.#path(dot, dot, node, node.path, args, final);
  }

  #chain(dot: Value, node: ChainNode, args: readonly Operand[] | undefined, final: Final): Value {
    this.#at(node);
    if (node.node.kind === 'nil') this.#fail(`indirection through explicit nil in ${printNode(node)}`);
    return this.#path(dot, this.#argument(dot, REFLECT, node.node), node, node.path, args, final);
  }

  #variable(dot: Value, node: VariableNode, args: readonly Operand[] | undefined, final: Final): Value {
    this.#at(node);
    const [name, ...path] = node.path;
    const { value } = this.#findVariable(name);
    if (path.length > 0) return this.#path(dot, value, node, path, args, final);
    if (args !== undefined) this.#checkNoArguments(args, final);
    return value;
  }

  /** Fields of fields; the last one takes the arguments. */
  #path(
    dot: Value,
    of: Value,
    node: Node,
    path: readonly Bytes[],
    args: readonly Operand[] | undefined,
    final: Final,
  ): Value {
    let receiver = of;
    for (const name of path.slice(0, -1)) receiver = this.#fieldOf(dot, name, node, undefined, NOTHING, receiver);
    return this.#fieldOf(dot, path.at(-1)!, node, args, final, receiver);
  }

  #fieldOf(dot: Value, name: Bytes, node: Node, args: readonly Operand[] | undefined, final: Final, of: Value): Value {
    if (of === undefined) {
      if (this.#program.missingKey === 'error') this.#fail(`nil data; no entry for key ${quote(name)}`);
      return undefined;
    }
    const type = typeOf(of);
    const { value: receiver, isNil } = indirect(of);
    if (kindOf(receiver) === 'interface' && isNil) this.#fail(`nil pointer evaluating ${type.name}.${name}`);
    const receiverType = typeOf(receiver as Exclude<Value, undefined>);
    const method = receiverType.methods?.get(name);
    if (method !== undefined && !isNil) {
      const bound: Func = { ...method, call: (values, budget) => method.call(receiver, values, budget) };
      return this.#call(dot, bound, node, name, args, final);
    }
    const hasArguments = (args?.length ?? 0) > 1 || final !== NOTHING;
    if (typeof receiver === 'object' && receiver.tag === 'struct') {
      const index = receiver.type.fields?.findIndex((field) => field.name === name) ?? -1;
      if (index >= 0) {
        const field = receiver.type.fields![index]!;
        if (field.isHidden) this.#fail(`${name} is an unexported field of struct type ${type.name}`);
        if (hasArguments) this.#fail(`${name} has arguments but cannot be invoked as function`);
        return placed(receiver.fields[index], field.type);
      }
    } else if (typeof receiver === 'object' && receiver.tag === 'map') {
      if (hasArguments) this.#fail(`${name} is not a method but has arguments`);
      const elem = receiver.type.elem!;
      if (receiver.entries.has(name)) return placed(receiver.entries.get(name), elem);
      if (this.#program.missingKey === 'zero') return zeroOf(elem);
      if (this.#program.missingKey === 'error') this.#fail(`map has no entry for key ${quote(name)}`);
      return undefined;
    } else if (isNil && receiverType.elem?.fields?.some((field) => field.name === name)) {
      this.#fail(`nil pointer evaluating ${type.name}.${name}`);
    }
    this.#fail(`can't evaluate field ${name} in type ${type.name}`);
  }

  // calls

  #function(
    dot: Value,
    node: IdentifierNode,
    command: Node,
    args: readonly Operand[] | undefined,
    final: Final,
  ): Value {
    this.#at(node);
    const { name } = node;
    const own = this.#program.functions.get(name);
    if (own !== undefined) return this.#call(dot, own, command, name, args, final);
    const builtin = COMPARISONS_AND_MORE.get(name);
    if (builtin === undefined) this.#fail(`${quote(name)} is not a defined function`);
    if (name === 'and' || name === 'or') return this.#andOr(dot, builtin, name, args, final);
    if (name !== 'call') return this.#call(dot, builtin, command, name, args, final);
    const operands = args?.slice(1) ?? [];
    const callee = operands[0] === undefined ? '' : printNode(operands[0]);
    const bound: Func = { ...builtin, call: (values, budget) => callNamed(callee, values, budget) };
    return this.#call(dot, bound, command, name, args, final);
  }

  /** The first argument that decides; those after it are not evaluated. */
  #andOr(dot: Value, signature: Signature, name: Bytes, args: readonly Operand[] | undefined, final: Final): Value {
    const operands = args?.slice(1) ?? [];
    this.#checkCount(signature, name, operands.length, final);
    let value: Value;
    for (const operand of operands) {
      value = this.#argument(dot, REFLECT, operand);
      if (isTrue(indirectInterface(value)) === (name === 'or')) return value;
    }
    return final === NOTHING ? value : final;
  }

  #checkCount({ in: types, variadic = false }: Signature, name: Bytes, operands: number, final: Final): void {
    const given = operands + (final === NOTHING ? 0 : 1);
    if (variadic) {
      const least = types.length - 1;
      if (given < least) this.#fail(`wrong number of args for ${name}: want at least ${least} got ${operands}`);
    } else if (given !== types.length) {
      this.#fail(`wrong number of args for ${name}: want ${types.length} got ${given}`);
    }
  }

  #call(dot: Value, func: Func, node: Node, name: Bytes, args: readonly Operand[] | undefined, final: Final): Value {
    const operands = args?.slice(1) ?? [];
    this.#checkCount(func, name, operands.length, final);
    const typeAt = (i: number) => func.in[Math.min(i, func.in.length - 1)]!;
    const values = operands.map((operand, i) => this.#argument(dot, typeAt(i), operand));
    if (final !== NOTHING) values.push(this.#validated(final, typeAt(values.length)));
    const passed = values.map((value, i) => (typeAt(i) === ANY ? indirectInterface(value) : value));
    try {
      return placed(func.call(passed, this.#budget), func.out);
    } catch (thrown) {
      if (!(thrown instanceof CallError)) throw thrown;
      this.#at(node);
      this.#fail(`error calling ${name}: ${thrown.message}`);
    }
  }

  /** A value for an argument of this type. */
  #validated(value: Value, type: Type): Value {
    if (type === REFLECT) return value;
    if (value === undefined) {
      if (!canBeNil(type)) this.#fail(`invalid value; expected ${type.name}`);
      return zeroOf(type);
    }
    if (isAssignable(typeOf(value), type)) return value;
    const inner = indirectInterface(value) ?? value;
    if (isAssignable(typeOf(inner), type)) return inner;
    if (typeof inner === 'object' && inner.tag === 'pointer' && isAssignable(inner.type.elem!, type)) {
      if (inner.target === undefined) this.#fail(`dereference of nil pointer of type ${type.name}`);
      return inner.target;
    }
    this.#fail(`wrong type for value; expected ${type.name}; got ${typeOf(inner).name}`);
  }

  #argument(dot: Value, type: Type, node: Operand): Value {
    this.#at(node);
    switch (node.kind) {
      case 'dot':
        return this.#validated(dot, type);
      case 'nil':
        if (!canBeNil(type)) this.#fail(`cannot assign nil to ${type.name}`);
        return zeroOf(type);
      case 'field':
        return this.#validated(this.#field(dot, node, [node], NOTHING), type);
      case 'variable':
        return this.#validated(this.#variable(dot, node, undefined, NOTHING), type);
      case 'pipe':
        return this.#validated(this.#pipeline(dot, node), type);
      case 'identifier':
        return this.#validated(this.#function(dot, node, node, undefined, NOTHING), type);
      case 'chain':
        return this.#validated(this.#chain(dot, node, undefined, NOTHING), type);
      case 'bool':
      case 'number':
      case 'string':
        return this.#constantOf(node, type);
    }
  }

  /** A constant as a value of this type. */
  #constantOf(node: Extract<Operand, { kind: 'bool' | 'number' | 'string' }>, type: Type): Value {
    const expected = (what: string): never => this.#fail(`expected ${what}; found ${printNode(node)}`);
    switch (type.kind) {
      case 'bool':
        return node.kind === 'bool' ? node.value : expected('bool');
      case 'string':
        return node.kind === 'string' ? node.value : expected('string');
      case 'int':
      case 'uint': {
        const value = node.kind !== 'number' ? undefined : type.kind === 'int' ? node.int : node.uint;
        if (value === undefined) return expected(type.kind === 'int' ? 'integer' : 'unsigned integer');
        return type.name === 'int' ? value : integer(value, type);
      }
      case 'float':
        return node.kind === 'number' && node.float !== undefined ? node.float : expected('float');
      case 'complex':
        return node.kind === 'number' && node.complex !== undefined
          ? { tag: 'complex', type, ...node.complex }
          : expected('complex');
      case 'interface':
      case 'reflect':
        return node.kind === 'number' ? this.#constant(node) : node.value;
      case 'list':
      case 'map':
      case 'struct':
      case 'pointer':
      case 'func':
        this.#fail(`can't handle ${printNode(node)} for arg of type ${type.name}`);
    }
  }
}

/** Template, line and byte column. */
export function locationOf(node: Node, source: Source): Bytes {
  const before = source.text.slice(0, node.pos);
  const lineStart = before.lastIndexOf('\n') + 1;
  let line = 1;
  for (let at = before.indexOf('\n'); at >= 0; at = before.indexOf('\n', at + 1)) line++;
  return `${source.name}:${line}:${node.pos - lineStart}`;
}
