import { describeGrid, describeNode } from './describe.ts';
import { childrenOf, type PlanNode, withChildren } from './node.ts';

/**
 * Parts that stand in the plan more than once are evaluated once and kept. A part that one can have without work, or that is
 * as large as what is read for it, is not worth being kept: only aggregations and what stands on them is shared.
 *
 * Of equal parts the last is the one that runs, since notes are given at the position where something was said last.
 */
export function shareSubexpressions(plan: PlanNode, startTimestamps = false): PlanNode {
  const keys = new Map<PlanNode, string>();
  const last = new Map<string, { node: PlanNode; count: number }>();
  count(plan, keys, last);
  const shared = new Map<string, PlanNode>();
  let id = 0;
  for (const [key, { node, count: times }] of last) {
    if (times > 1 && isWorthKeeping(node) && !counts(node, startTimestamps)) {
      shared.set(key, { kind: 'shared', id: id++, input: node, grid: node.grid, pos: node.pos });
    }
  }
  return shared.size === 0 ? plan : replaced(plan, keys, shared);
}

function count(
  node: PlanNode,
  keys: Map<PlanNode, string>,
  last: Map<string, { node: PlanNode; count: number }>,
): string {
  const children = childrenOf(node).map((child) => count(child, keys, last));
  const key = `${ownKey(node)}(${children.join(';')})`;
  keys.set(node, key);
  const seen = last.get(key);
  // in the order of first occurrence; the node of the last
  if (seen === undefined) last.set(key, { node, count: 1 });
  else {
    seen.node = node;
    seen.count++;
  }
  return key;
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
  keys: ReadonlyMap<PlanNode, string>,
  shared: ReadonlyMap<string, PlanNode>,
): PlanNode {
  const whole = shared.get(keys.get(node)!);
  if (whole !== undefined) return whole;
  const children = childrenOf(node);
  return children.length === 0
    ? node
    : withChildren(
        node,
        children.map((child) => replaced(child, keys, shared)),
      );
}
