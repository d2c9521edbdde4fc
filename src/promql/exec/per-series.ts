import { METRIC_NAME } from '../../model/labels.ts';
import { type AggregateNode, childrenOf, type PlanNode, type Select, selectOf } from '../plan/node.ts';
import { COMPARISONS } from './element-binary.ts';

// An aggregation can be evaluated for some of the series and the answers merged where each series has its row by itself: functions of one
// selector's series, and scalars that no series are in.

/** An aggregation whose input has a row for each series of one selector, in their order. */
export interface AggregatedSeries {
  readonly node: AggregateNode & { readonly op: MergeableOp };
  readonly select: Select;
  /** Rows are no longer values of the metric: names go. */
  readonly dropsNames: boolean;
}

export type MergeableOp = 'sum' | 'avg' | 'min' | 'max' | 'count' | 'group';

const MERGEABLE: ReadonlySet<string> = new Set<MergeableOp>(['sum', 'avg', 'min', 'max', 'count', 'group']);

/**
 * @param plan of a whole query
 * @returns undefined where all series are needed at once
 */
export function aggregatedSeries(plan: PlanNode): AggregatedSeries | undefined {
  if (plan.kind !== 'aggregate' || !MERGEABLE.has(plan.op)) return undefined;
  const found = perSeries(plan.input);
  return found && { ...found, node: plan as AggregatedSeries['node'] };
}

/** Whether names alone keep series apart: only of one metric do labels without it stay different. */
export function isOneMetric({ matchers }: Select): boolean {
  return matchers.some(({ name, op }) => name === METRIC_NAME && op === '=');
}

type PerSeries = Pick<AggregatedSeries, 'select' | 'dropsNames'>;

function perSeries(node: PlanNode): PerSeries | undefined {
  switch (node.kind) {
    case 'selector':
      return { select: node.select, dropsNames: false };
    case 'matrix':
      return node.source.kind === 'select'
        ? { select: node.source.select, dropsNames: false }
        : perSeries(node.source.node);
    case 'repeat':
      return perSeries(node.input);
    case 'negate':
      return withoutNames(perSeries(node.input));
    case 'binary': {
      if (node.lhsScalar === node.rhsScalar) return undefined;
      const [scalar, vector] = node.lhsScalar ? [node.lhs, node.rhs] : [node.rhs, node.lhs];
      if (hasSeries(scalar)) return undefined;
      return COMPARISONS.has(node.op) && !node.bool ? perSeries(vector) : withoutNames(perSeries(vector));
    }
    case 'call': {
      const { func, args } = node;
      switch (func.open.kind) {
        case 'range':
        case 'floats':
        case 'date':
        case 'histograms':
        case 'clamp':
        case 'round':
        case 'timestamp': {
          const [vector, ...more] = args.filter(hasSeries);
          if (vector === undefined || more.length > 0 || func.absent) return undefined;
          const found = perSeries(vector);
          return func.keepsName ? found : withoutNames(found);
        }
        default:
          return undefined;
      }
    }
    default:
      return undefined;
  }
}

function withoutNames(found: PerSeries | undefined): PerSeries | undefined {
  return found && { ...found, dropsNames: true };
}

function hasSeries(node: PlanNode): boolean {
  return selectOf(node) !== undefined || childrenOf(node).some(hasSeries);
}
