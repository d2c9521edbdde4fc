import { queryErrors } from '../../model/errors-query.ts';
import type { LabelMatcher } from '../../model/matcher.ts';
import type { Regex } from '../../model/regex/regex.ts';
import type { Expr } from '../parser/ast.ts';

/** Selectors of a query: each one is a read of the storage. */
const selectorsMax = 1000;
/** Matchers of a selector: each one looks at every series that the others leave. */
const matchersMax = 1000;
/** Instructions of the regular expressions of all `match[]`: what compiling them may take. */
const instructionsMax = 50_000;
/**
 * Steps of all parts of a query, those of subqueries included: the rows of one series go through all of them without a pause, some
 * 10 ns a step. A subquery of 60 days has about as many at one a second.
 */
const stepsMax = 6_000_000;
/** Names in a list of labels: `by`, `on`, `group_left`, the arguments of `label_join`. */
const labelListMax = 1000;

/** Sees that a query asks for no more than can be worked on. The parser has bounded its depth and its parts. @throws AppError */
export function checkSize(expr: Expr): void {
  let selectors = 0;
  const visit = (each: Expr): void => {
    switch (each.kind) {
      case 'vector':
        checkSelectors(++selectors);
        checkMatchers(each.matchers.length);
        return;
      case 'matrix':
        visit(each.vector);
        return;
      case 'subquery':
      case 'paren':
      case 'unary':
        visit(each.expr);
        return;
      case 'call':
        checkList(each.args.length);
        for (const arg of each.args) visit(arg);
        return;
      case 'aggregate':
        checkList(each.grouping.length);
        if (each.param !== undefined) visit(each.param);
        visit(each.expr);
        return;
      case 'binary':
        checkList(each.matching?.labels.length ?? 0);
        checkList(each.matching?.include.length ?? 0);
        visit(each.lhs);
        visit(each.rhs);
    }
  };
  visit(expr);
}

/** @param count of all parts of a query together @throws AppError */
export function checkSteps(count: number): void {
  check('steps in all its parts', count, stepsMax, 'query_steps_max, whatever querier.max-samples');
}

/** @throws AppError */
export function checkSelectors(count: number): void {
  check('selectors', count, selectorsMax, 'query_selectors_max');
}

/** Sums up what the selectors of a request take to compile and to look through. */
export class SelectorSize {
  readonly #regexes = new Set<Regex>();
  #instructions = 0;

  /** @throws AppError */
  add(matchers: readonly LabelMatcher[]): void {
    checkMatchers(matchers.length);
    for (const { regex } of matchers) {
      if (regex === undefined || this.#regexes.has(regex)) continue;
      this.#regexes.add(regex);
      this.#instructions += regex.programSize;
    }
    check(
      'instructions in its regular expressions',
      this.#instructions,
      instructionsMax,
      'query_regex_instructions_max',
    );
  }
}

/** @throws AppError */
export function checkMatchers(count: number): void {
  check('matchers in a selector', count, matchersMax, 'query_matchers_max');
}

function checkList(count: number): void {
  check('labels in a list', count, labelListMax, 'query_label_list_max');
}

function check(what: string, count: number, limit: number, name: string): void {
  if (count > limit) throw queryErrors.queryTooManyParts({ what, count, limit, name });
}
