import { getOrMake } from '../../lib/map.ts';
import { childrenOf, type PlanNode, type Select, selectOf, withChildren } from './node.ts';

/** Selectors with equal matchers over ranges that touch become one `Select`: the storage is asked once. */
export function shareSelects(plan: PlanNode): PlanNode {
  const all: Select[] = [];
  collect(plan, (select) => all.push(select));
  if (all.length < 2) return plan;
  const groups = new Map<string, Select[]>();
  for (const select of all) getOrMake(groups, keyOf(select), () => []).push(select);
  const merged = new Map<Select, Select>();
  for (const selects of groups.values()) {
    if (selects.length > 1) for (const [from, to] of mergeRanges(selects)) merged.set(from, to);
  }
  return merged.size === 0 ? plan : replaced(plan, merged);
}

/** Equal for equal matchers. Values are not quoted, for they may have megabytes. */
function keyOf({ matchers }: Select): string {
  return matchers
    .map(({ name, op, value }) => `${name.length}:${name}${op}${value.length}:${value}`)
    .sort()
    .join();
}

/** Ranges that overlap become their hull; those apart stay apart, so that nothing is read that nobody asked for. */
function mergeRanges(selects: readonly Select[]): Map<Select, Select> {
  const ascending = [...selects].sort((a, b) => a.startMs - b.startMs);
  const merged = new Map<Select, Select>();
  let members: Select[] = [];
  let endMs = -Infinity;
  const finish = (): void => {
    if (members.length === 0) return;
    const hull: Select = { ...members[0]!, endMs };
    for (const member of members) merged.set(member, hull);
  };
  for (const select of ascending) {
    if (select.startMs > endMs) {
      finish();
      members = [];
      endMs = -Infinity;
    }
    members.push(select);
    endMs = Math.max(endMs, select.endMs);
  }
  finish();
  return merged;
}

function collect(node: PlanNode, take: (select: Select) => void): void {
  const select = selectOf(node);
  if (select !== undefined) take(select);
  for (const child of childrenOf(node)) collect(child, take);
}

function replaced(node: PlanNode, by: ReadonlyMap<Select, Select>): PlanNode {
  const select = by.get(selectOf(node)!);
  if (select !== undefined) {
    if (node.kind === 'selector') return { ...node, select };
    if (node.kind === 'matrix' && node.source.kind === 'select') {
      return { ...node, source: { ...node.source, select } };
    }
  }
  const children = childrenOf(node);
  return children.length === 0
    ? node
    : withChildren(
        node,
        children.map((child) => replaced(child, by)),
      );
}
