import type { PlanNode } from './node.ts';
import { shareSelects } from './share-selects.ts';
import { shareSubexpressions } from './share-subexpressions.ts';

/** Every optimisation, in the order in which they help each other. None changes a result. */
const OPTIMISATIONS: readonly ((plan: PlanNode) => PlanNode)[] = [shareSubexpressions, shareSelects];

export function optimize(plan: PlanNode): PlanNode {
  return OPTIMISATIONS.reduce((before, optimisation) => optimisation(before), plan);
}
