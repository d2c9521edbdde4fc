/** A request that was not answered, or not well. */
export class ApiProblem extends Error {
  /** 0: no answer came. */
  readonly status: number;
  /** Where in the expression, counted from 1 as the server does. */
  readonly position: { readonly line: number; readonly column: number } | undefined;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'ApiProblem';
    this.status = status;
    const [, line, column] = /(?:^|[ (])(\d+):(\d+)(?:: parse error|\)|:)/.exec(message) ?? [];
    this.position = line === undefined ? undefined : { line: Number(line), column: Number(column) };
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
