import { type Bytes, textOf } from './bytes.ts';
import { quote } from './quote.ts';

/** Where a node's text came from, for errors. */
export interface Source {
  /** The name of the template whose parsing read it. */
  readonly name: Bytes;
  readonly text: Bytes;
}

interface At {
  /** Byte offset in the source's text. */
  readonly pos: number;
  /** Undefined in nodes that the HTML escaper put in. */
  readonly source: Source | undefined;
}

export interface TextNode extends At {
  readonly kind: 'text';
  readonly text: Bytes;
}

export interface ActionNode extends At {
  readonly kind: 'action';
  readonly line: number;
  readonly pipe: PipeNode;
}

export interface BranchNode extends At {
  readonly kind: 'if' | 'range' | 'with';
  readonly line: number;
  readonly pipe: PipeNode;
  readonly list: ListNode;
  readonly elseList: ListNode | undefined;
}

export interface TemplateNode extends At {
  readonly kind: 'template';
  readonly line: number;
  readonly name: Bytes;
  readonly pipe: PipeNode | undefined;
}

export interface JumpNode extends At {
  readonly kind: 'break' | 'continue';
  readonly line: number;
}

export interface ListNode extends At {
  readonly kind: 'list';
  readonly nodes: readonly Statement[];
}

export type Statement = TextNode | ActionNode | BranchNode | TemplateNode | JumpNode;

export interface PipeNode extends At {
  readonly kind: 'pipe';
  readonly line: number;
  readonly isAssign: boolean;
  readonly declared: readonly VariableNode[];
  readonly commands: readonly CommandNode[];
}

export interface CommandNode extends At {
  readonly kind: 'command';
  readonly args: readonly [Operand, ...Operand[]];
}

export interface VariableNode extends At {
  readonly kind: 'variable';
  /** The name with its `$`, and fields after it. */
  readonly path: readonly [Bytes, ...Bytes[]];
}

export interface FieldNode extends At {
  readonly kind: 'field';
  readonly path: readonly Bytes[];
}

export interface ChainNode extends At {
  readonly kind: 'chain';
  readonly node: Operand;
  readonly path: readonly Bytes[];
}

export interface IdentifierNode extends At {
  readonly kind: 'identifier';
  readonly name: Bytes;
}

export interface BoolNode extends At {
  readonly kind: 'bool';
  readonly value: boolean;
}

export interface NumberNode extends At {
  readonly kind: 'number';
  readonly text: Bytes;
  /** In each type that can hold it. */
  readonly int: bigint | undefined;
  readonly uint: bigint | undefined;
  readonly float: number | undefined;
  readonly complex: { readonly re: number; readonly im: number } | undefined;
}

export interface StringNode extends At {
  readonly kind: 'string';
  /** With its quotation marks. */
  readonly quoted: Bytes;
  readonly value: Bytes;
}

export interface WordNode extends At {
  readonly kind: 'dot' | 'nil';
}

export type Operand =
  | PipeNode
  | VariableNode
  | FieldNode
  | ChainNode
  | IdentifierNode
  | BoolNode
  | NumberNode
  | StringNode
  | WordNode;

export type Node = Statement | ListNode | CommandNode | Operand;

/** A template: its name, and what it holds. */
export interface Tree {
  readonly name: Bytes;
  readonly source: Source;
  readonly root: ListNode;
}

/** Whether it holds nothing but space. */
export function isEmptyList({ nodes }: ListNode): boolean {
  return nodes.every((node) => node.kind === 'text' && /^[\s\u0085]*$/.test(textOf(node.text)));
}

/** A node as Go's error texts show it. */
export function printNode(node: Node): Bytes {
  switch (node.kind) {
    case 'text':
      return node.text;
    case 'list':
      return node.nodes.map(printNode).join('');
    case 'action':
      return `{{${printNode(node.pipe)}}}`;
    case 'if':
    case 'range':
    case 'with': {
      const otherwise = node.elseList === undefined ? '' : `{{else}}${printNode(node.elseList)}`;
      return `{{${node.kind} ${printNode(node.pipe)}}}${printNode(node.list)}${otherwise}{{end}}`;
    }
    case 'template':
      return `{{template ${quote(node.name)}${node.pipe === undefined ? '' : ` ${printNode(node.pipe)}`}}}`;
    case 'break':
    case 'continue':
      return `{{${node.kind}}}`;
    case 'pipe': {
      const declared = node.declared.map(printNode).join(', ');
      const commands = node.commands.map(printNode).join(' | ');
      return declared === '' ? commands : `${declared} ${node.isAssign ? '=' : ':='} ${commands}`;
    }
    case 'command':
      return node.args.map((arg) => (arg.kind === 'pipe' ? `(${printNode(arg)})` : printNode(arg))).join(' ');
    case 'variable':
      return node.path.join('.');
    case 'field':
      return node.path.map((name) => `.${name}`).join('');
    case 'chain': {
      const inner = node.node.kind === 'pipe' ? `(${printNode(node.node)})` : printNode(node.node);
      return inner + node.path.map((name) => `.${name}`).join('');
    }
    case 'identifier':
      return node.name;
    case 'bool':
      return String(node.value);
    case 'number':
      return node.text;
    case 'string':
      return node.quoted;
    case 'dot':
      return '.';
    case 'nil':
      return 'nil';
  }
}
