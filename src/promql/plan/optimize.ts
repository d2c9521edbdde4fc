import type { PlanNode } from './node.ts';
import { shareSelects } from './share-selects.ts';
import { shareSubexpressions } from './share-subexpressions.ts';

/** Every optimisation, in the order in which they help each other. None changes a result. */
const OPTIMISATIONS: readonly ((plan: PlanNode, startTimestamps: boolean) => PlanNode)[] = [
  shareSubexpressions,
  shareSelects,
];

/** @param startTimestamps whether they count */
export function optimize(plan: PlanNode, startTimestamps = false): PlanNode {
  return OPTIMISATIONS.reduce((before, optimisation) => optimisation(before, startTimestamps), plan);
}
