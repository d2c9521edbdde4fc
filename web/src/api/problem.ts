/** A place in an expression, counted from 1 as the server does: in bytes of a line. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** The place that an error or a note names; undefined: it names none. */
export function positionIn(message: string): Position | undefined {
  const [, line, column] = /(?:^|[ (])(\d+):(\d+)(?:: parse error|\)|:)/.exec(message) ?? [];
  return line === undefined ? undefined : { line: Number(line), column: Number(column) };
}

/** A request that was not answered, or not well. */
export class ApiProblem extends Error {
  /** 0: no answer came. */
  readonly status: number;
  readonly position: Position | undefined;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'ApiProblem';
    this.status = status;
    this.position = positionIn(message);
  }
}

/** The words of an answer that is no success. */
export function problemOf(status: number, body: string): ApiProblem {
  try {
    const { error } = JSON.parse(body) as { error?: string };
    if (typeof error === 'string') return new ApiProblem(status, error);
  } catch {
    // plain text
  }
  return new ApiProblem(status, body.trim().slice(0, 2_000) || `the server answered ${status}`);
}
