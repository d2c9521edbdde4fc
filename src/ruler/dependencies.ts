import { METRIC_NAME } from '../model/labels.ts';
import type { LabelMatcher } from '../model/matcher.ts';
import { type ParserOptions, parseExpr } from '../promql/parser/parser.ts';
import { selectorsOf } from '../promql/parser/walk.ts';
import type { Rule } from './rule-file.ts';

const ALERT_SERIES = ['ALERTS', 'ALERTS_FOR_STATE'];

/** A rule's selectors, each as its matchers. */
type Reads = readonly (readonly LabelMatcher[])[];

/**
 * Rules in batches, in their order: those of a batch read nothing that another of it writes, so that they can be evaluated
 * side by side.
 * @returns indices
 */
export function independentBatches(rules: readonly Rule[], parser: ParserOptions = {}): number[][] {
  const reads = rules.map(({ expr }) => selectorsOf(parseExpr(expr, parser)));
  const batches: number[][] = [];
  for (const [i, rule] of rules.entries()) {
    const batch = batches.at(-1);
    if (batch?.every((j) => !mayRead(reads[i]!, rules[j]!) && !mayRead(reads[j]!, rule))) batch.push(i);
    else batches.push([i]);
  }
  return batches;
}

/** Whether an expression may read what alerting rules write. */
export function readsAlerts(expr: string, parser: ParserOptions = {}): boolean {
  return selectorsOf(parseExpr(expr, parser)).some((matchers) => ALERT_SERIES.some((name) => mayBe(matchers, name)));
}

/** Whether a rule may read what it writes itself or a rule behind it does, or what an alerting rule writes. */
export function readsBackwards(rules: readonly Rule[], parser: ParserOptions = {}): boolean {
  return rules.some(({ expr }, i) => {
    const reads = selectorsOf(parseExpr(expr, parser));
    return rules.some((rule, j) => (j >= i || rule.kind === 'alert') && mayRead(reads, rule));
  });
}

/** Metrics that rules write and may read, each of its own or of another one. */
export function metricsReadWithin(rules: readonly Rule[], parser: ParserOptions = {}): string[] {
  const selectors = rules.flatMap(({ expr }) => selectorsOf(parseExpr(expr, parser)));
  const templates = rules.flatMap((rule) =>
    rule.kind === 'alert' ? [...rule.labels.values(), ...rule.annotations.values()] : [],
  );
  const written = rules.flatMap(({ kind, name }) => (kind === 'alert' ? ALERT_SERIES : [name]));
  return [...new Set(written)].filter(
    (name) =>
      selectors.some((matchers) => mayBe(matchers, name)) || templates.some((template) => template.includes(name)),
  );
}

function mayRead(reads: Reads, rule: Rule): boolean {
  if (rule.kind === 'record') return reads.some((matchers) => mayBe(matchers, rule.name));
  return reads.some(
    (matchers) =>
      ALERT_SERIES.some((name) => mayBe(matchers, name)) &&
      matchers.every((matcher) => matcher.name !== 'alertname' || matcher.matches(rule.name)),
  );
}

/** Without a matcher of the name anything may be meant. */
function mayBe(matchers: readonly LabelMatcher[], metric: string): boolean {
  return matchers.every((matcher) => matcher.name !== METRIC_NAME || matcher.matches(metric));
}
