import type { LabelMatcher } from '../model/matcher.ts';
import type { Expr } from '../promql/parser/ast.ts';
import { parseExpr } from '../promql/parser/parser.ts';
import { childrenOf } from '../promql/parser/walk.ts';

/** Metrics that a service has. */
export interface Presence {
  has(metric: string): boolean;
  /** Names of a metric's labels; undefined: not known. */
  labelsOf(metric: string): ReadonlySet<string> | undefined;
}

/** The matcher that stands for a service's own ones while its queries are parsed. */
const ANY_OWN = '__own__=""';

/** A query of a template, parsed: its placeholders stand for anything. @throws ParseError: the template is wrong */
export function parseTemplate(expr: string): Expr {
  return parseExpr(filled(expr, ANY_OWN, '5m'));
}

/** A template with its placeholders filled in. */
export function filled(expr: string, own: string, range: string): string {
  return expr.replaceAll('$own', () => own).replaceAll('$range', () => range);
}

/** Whether an expression has an answer where these metrics are there: of `or` either side suffices. */
export function isAnswered(expr: Expr, presence: Presence): boolean {
  switch (expr.kind) {
    case 'vector':
      return isPresent(expr.name, expr.matchers, presence);
    case 'binary':
      if (expr.op === 'or') return isAnswered(expr.lhs, presence) || isAnswered(expr.rhs, presence);
      if (expr.op === 'unless') return isAnswered(expr.lhs, presence);
      return isAnswered(expr.lhs, presence) && isAnswered(expr.rhs, presence);
    default:
      return childrenOf(expr).every((child) => isAnswered(child, presence));
  }
}

/** Names of the metrics that an expression asks for. */
export function metricsOf(expr: Expr, into = new Set<string>()): Set<string> {
  if (expr.kind === 'vector' && expr.name !== '') into.add(expr.name);
  for (const child of childrenOf(expr)) metricsOf(child, into);
  return into;
}

function isPresent(metric: string, matchers: readonly LabelMatcher[], presence: Presence): boolean {
  if (!presence.has(metric)) return false;
  const labels = presence.labelsOf(metric);
  if (labels === undefined) return true;
  // a label that must not be empty must be there
  return matchers.every((matcher) => matcher.matches('') || labels.has(matcher.name) || matcher.name === '__name__');
}
