import { describeGrid, describeNode } from './describe.ts';
import { childrenOf, type PlanNode, withChildren } from './node.ts';

/**
 * Parts that stand in the plan more than once are evaluated once and kept. A part that one can have without work, or that is
 * as large as what is read for it, is not worth being kept: only aggregations and what stands on them is shared.
 *
 * The last of equal parts is the one that runs, since notes are given at the position where something was said last.
 */
export function shareSubexpressions(plan: PlanNode, startTimestamps = false): PlanNode {
  // as most rules and small queries are
  if (aggregationsOf(plan) < 2) return plan;
  const parts = new Parts();
  parts.add(plan);
  const shared = new Map<number, PlanNode>();
  let id = 0;
  for (const [part, { node, count: times }] of parts.found.entries()) {
    if (times > 1 && isWorthKeeping(node) && !counts(node, startTimestamps)) {
      shared.set(part, { kind: 'shared', id: id++, input: node, grid: node.grid, pos: node.pos });
    }
  }
  return shared.size === 0 ? plan : replaced(plan, parts.numbers, shared);
}

function aggregationsOf(node: PlanNode): number {
  let count = node.kind === 'aggregate' ? 1 : 0;
  for (const child of childrenOf(node)) count += aggregationsOf(child);
  return count;
}

/** Numbers parts that are equal alike, in the order of first occurrence. */
class Parts {
  readonly numbers = new Map<PlanNode, number>();
  /** By number how often the part occurs, and the node of the last. */
  readonly found: { node: PlanNode; count: number }[] = [];
  readonly #byKey = new Map<string, number>();

  add(node: PlanNode): number {
    // by the numbers of its children: whole trees as keys would grow with the square of their depth
    const children = childrenOf(node).map((child) => this.add(child));
    const key = `${ownKey(node)}(${children.join(';')})`;
    let number = this.#byKey.get(key);
    if (number === undefined) {
      number = this.found.length;
      this.#byKey.set(key, number);
      this.found.push({ node, count: 1 });
    } else {
      this.found[number] = { node, count: this.found[number]!.count + 1 };
    }
    this.numbers.set(node, number);
    return number;
  }
}

function ownKey(node: PlanNode): string {
  const shape = `${node.kind} ${describeNode(node)} @${describeGrid(node.grid)}`;
  switch (node.kind) {
    case 'selector':
      return `${shape} ${node.dataStartMs} ${node.statsOnly}`;
    case 'matrix':
      return `${shape} ${node.dataStartMs} ${node.fixed} ${node.source.kind === 'select' && node.source.statsOnly}`;
    case 'call':
      return `${shape} ${node.absentLabels.join()} ${node.info === undefined ? '' : describeInfo(node.info)}`;
    case 'binary':
      return `${shape} ${JSON.stringify(node.matching)} ${node.lhsScalar} ${node.rhsScalar}`;
    default:
      return shape;
  }
}

function describeInfo(info: NonNullable<Extract<PlanNode, { kind: 'call' }>['info']>): string {
  return `${info.dataMatchers.join()} ${info.nameMatchers.join()} ${info.dataStartMs} ${info.fixed}`;
}

function isWorthKeeping(node: PlanNode): boolean {
  switch (node.kind) {
    case 'aggregate':
      return true;
    case 'call':
    case 'binary':
    case 'negate':
      return childrenOf(node).some(isWorthKeeping);
    default:
      return false;
  }
}

/** Whether it is told how often something was found in the node: then each time has to be found. */
function counts(node: PlanNode, startTimestamps: boolean): boolean {
  if (node.kind === 'call' && (node.func.counts || (startTimestamps && node.func.starts))) return true;
  return childrenOf(node).some((child) => counts(child, startTimestamps));
}

function replaced(
  node: PlanNode,
  numbers: ReadonlyMap<PlanNode, number>,
  shared: ReadonlyMap<number, PlanNode>,
): PlanNode {
  const whole = shared.get(numbers.get(node)!);
  if (whole !== undefined) return whole;
  const children = childrenOf(node);
  return children.length === 0
    ? node
    : withChildren(
        node,
        children.map((child) => replaced(child, numbers, shared)),
      );
}
