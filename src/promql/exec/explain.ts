import { describeNode } from '../plan/describe.ts';
import { childrenOf, type PlanNode } from '../plan/node.ts';
import type { ExplainNode } from '../result.ts';
import type { Operator, Row } from '../row/row.ts';

interface Seen {
  series: number;
  points: number;
  ms: number;
}

/** Watches operators as they are opened and read. */
export class Explainer {
  readonly #nowMs: () => number;
  readonly #seen = new Map<PlanNode, Seen>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  readonly watch = (node: PlanNode, operator: Operator): Operator => {
    const seen: Seen = this.#seen.get(node) ?? { series: 0, points: 0, ms: 0 };
    seen.series = operator.series.length;
    this.#seen.set(node, seen);
    return new WatchedOperator(operator, seen, this.#nowMs);
  };

  tree(node: PlanNode): ExplainNode {
    const { series, points, ms } = this.#seen.get(node) ?? { series: 0, points: 0, ms: 0 };
    return {
      what: describeNode(node),
      steps: node.grid.steps,
      series,
      points,
      ms,
      children: childrenOf(node).map((child) => this.tree(child)),
    };
  }
}

class WatchedOperator implements Operator {
  readonly steps: number;
  readonly series: Operator['series'];
  readonly #operator: Operator;
  readonly #seen: Seen;
  readonly #nowMs: () => number;

  constructor(operator: Operator, seen: Seen, nowMs: () => number) {
    this.steps = operator.steps;
    this.series = operator.series;
    this.#operator = operator;
    this.#seen = seen;
    this.#nowMs = nowMs;
  }

  row(index: number, out: Row): void {
    const before = this.#nowMs();
    this.#operator.row(index, out);
    this.#seen.ms += this.#nowMs() - before;
    this.#seen.points += out.filled;
  }
}
