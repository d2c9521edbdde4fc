import {
  ROW_CHANGES,
  ROW_DELTA,
  ROW_LAST,
  ROW_MAX,
  ROW_MIN,
  ROW_RATE,
  ROW_RESETS,
  ROW_SUM,
} from '../../storage/row-layout.ts';
import { areSamePrograms, type RowProgram } from '../../storage/series-rows.ts';
import type { Opening } from '../functions/function.ts';
import { type RateKind, seconds } from '../functions/rate.ts';
import {
  type CallNode,
  childrenOf,
  type MatrixNode,
  type PlanNode,
  type Select,
  type SelectorNode,
  selectOf,
} from '../plan/node.ts';
import type { Execution } from './execution.ts';

type RangeOpening = Extract<Opening, { kind: 'range' }>;
type Evaluated = Pick<Execution, 'rowPrograms' | 'lookbackMs' | 'areWindows'>;

/** Steps of a row, those of subqueries too: the kernel keeps scratch for each, which no query is charged for. */
const STEPS_MAX = 16 * 1024;

/** The rows that sources make for a selector's values; undefined: they are made of its samples. */
export function selectorProgram({ rowPrograms, lookbackMs }: Evaluated, node: SelectorNode): RowProgram | undefined {
  const { dataStartMs, grid, smoothed } = node;
  if (!rowPrograms || smoothed || grid.steps > STEPS_MAX) return undefined;
  // the newest sample that is not too old is the last of the window that reaches back as far
  const windows = { firstEndMs: dataStartMs, stepMs: grid.stepMs, backMs: lookbackMs };
  return { func: ROW_LAST, steps: grid.steps, ...windows, rangeSeconds: 1 };
}

/** The rows that sources make for a function of windows; undefined: they are made of samples. */
export function rangeProgram(
  { rowPrograms, areWindows }: Evaluated,
  { grid }: CallNode,
  open: RangeOpening,
  { source, dataStartMs, fixed, rangeMs }: MatrixNode,
): RowProgram | undefined {
  if (!rowPrograms || grid.steps > STEPS_MAX) return undefined;
  if (source.kind === 'select' && (source.anchored || source.smoothed)) return undefined;
  const func = rowFunction(open);
  // of a piece's sum each sample is looked at, whether it may be rounded
  if (func === undefined || (func === ROW_SUM && areWindows)) return undefined;
  const windows = { firstEndMs: dataStartMs, stepMs: fixed ? 0 : grid.stepMs, backMs: rangeMs };
  const rangeSeconds = open.rows?.kind === 'rate' ? divisorOf(open.rows.rate, rangeMs) : 1;
  return { func, steps: grid.steps, ...windows, rangeSeconds };
}

/** The selects of a plan of which one program's rows are all that is wanted. */
export function programsOf(execution: Evaluated, plan: PlanNode): ReadonlyMap<Select, RowProgram> {
  const found = new Map<Select, RowProgram>();
  const otherwise = new Set<Select>();
  const note = (select: Select, program: RowProgram | undefined): void => {
    const before = found.get(select);
    if (program === undefined || (before !== undefined && !areSamePrograms(before, program))) otherwise.add(select);
    else found.set(select, program);
  };
  const visit = (node: PlanNode): void => {
    if (node.grid.steps === 0) return;
    const select = selectOf(node);
    if (select !== undefined) note(select, node.kind === 'selector' ? selectorProgram(execution, node) : undefined);
    if (node.kind !== 'call') {
      for (const child of childrenOf(node)) visit(child);
      return;
    }
    const { open } = node.func;
    for (const arg of node.args) {
      const asked = selectOf(arg);
      if (asked === undefined || arg.grid.steps === 0) visit(arg);
      else if (arg.kind === 'matrix' && open.kind === 'range') note(asked, rangeProgram(execution, node, open, arg));
      // times are those of samples
      else if (open.kind === 'timestamp') note(asked, undefined);
      else visit(arg);
    }
  };
  visit(plan);
  for (const select of otherwise) found.delete(select);
  return found;
}

/** The kernel's number for a function; undefined: it has none. */
function rowFunction({ rows, program }: RangeOpening): number | undefined {
  switch (rows?.kind) {
    case 'rate':
      return rows.rate.counter ? ROW_RATE : ROW_DELTA;
    case 'extreme':
      return rows.sign === 1 ? ROW_MAX : ROW_MIN;
    case 'transitions':
      return rows.falls ? ROW_RESETS : ROW_CHANGES;
    default:
      return program;
  }
}

/** The seconds that a rate divides by. */
export function divisorOf({ perSecond }: RateKind, rangeMs: number): number {
  return perSecond ? seconds(rangeMs) : 1;
}
