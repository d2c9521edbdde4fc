import { type PosRange, positionsIn } from '../position.ts';

/** One thing that is wrong with an expression. */
export interface ParseIssue {
  readonly pos: PosRange;
  readonly text: string;
}

/**
 * The issues of an expression; `message` says the first of them, `line:col: parse error: …`, as Prometheus does.
 */
export class ParseError extends Error {
  readonly query: string;
  readonly issues: readonly ParseIssue[];

  constructor(query: string, issues: readonly ParseIssue[]) {
    super(describeIssue(query, issues[0]!));
    this.name = 'ParseError';
    this.query = query;
    this.issues = issues;
  }

  /** Every issue, each as `message` has the first. */
  get messages(): string[] {
    const positionOf = positionsIn(this.query);
    return this.issues.map(({ pos, text }) => `${positionOf(pos.start)}: parse error: ${text}`);
  }

  get pos(): PosRange {
    return this.issues[0]!.pos;
  }
}

function describeIssue(query: string, { pos, text }: ParseIssue): string {
  return `${positionsIn(query)(pos.start)}: parse error: ${text}`;
}
