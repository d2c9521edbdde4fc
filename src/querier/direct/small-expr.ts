import { METRIC_NAME } from '../../model/labels.ts';
import type { LabelMatcher } from '../../model/matcher.ts';
import type { Expr } from '../../promql/parser/ast.ts';
import { childrenOf } from '../../promql/parser/walk.ts';

const NODES_MAX = 32;
const SELECTORS_MAX = 4;
const WINDOW_MS_MAX = 3_600_000;
const REGEX_CHARS_MAX = 512;
/** Literals between bars, in which dots may be escaped. */
const PLAIN = /^(?:[^\\.+*?()[\]{}^$]|\\\.)*$/;
/** Functions that select series of their own, or make of a label's value what is not bounded by the samples. */
const REFUSED: ReadonlySet<string> = new Set(['info', 'label_join', 'label_replace']);

/** Whether a regular expression takes no longer to compile than to read. */
export function isPlainRegex(source: string): boolean {
  return source.length <= REGEX_CHARS_MAX && PLAIN.test(source);
}

/** Windows of queries whose ranges may be split after `intervalMs`: longer ones may be cut, which answers tell. 0: they are not split. */
export function windowMsMaxOf(intervalMs: number): number {
  return intervalMs > 0 ? Math.min(intervalMs, WINDOW_MS_MAX) : WINDOW_MS_MAX;
}

/**
 * Whether the work of an instant query is bounded by the samples that its selectors find: it has few parts, no subquery, short windows, and
 * selects by the name of a metric and by values that are spelt. Parsing it again is bounded, too: no regular expression needs an engine.
 */
export function isSmallExpr(expr: Expr, windowMsMax = WINDOW_MS_MAX): boolean {
  let nodes = 0;
  let selectors = 0;
  const isSmall = (each: Expr): boolean => {
    if (++nodes > NODES_MAX || each.kind === 'subquery') return false;
    if (each.kind === 'call' && REFUSED.has(each.func)) return false;
    if (each.kind === 'aggregate' && each.op === 'count_values') return false;
    if (each.kind === 'matrix' && (each.rangeExpr !== undefined || each.rangeMs > windowMsMax)) return false;
    if (each.kind === 'vector' && (++selectors > SELECTORS_MAX || !isSpelt(each.matchers))) return false;
    return childrenOf(each).every(isSmall);
  };
  return isSmall(expr);
}

function isSpelt(matchers: readonly LabelMatcher[]): boolean {
  if (!matchers.some(({ name, op }) => name === METRIC_NAME && op === '=')) return false;
  return matchers.every(
    ({ regex, value }) => regex === undefined || (isPlainRegex(value) && regex.literals !== undefined),
  );
}
