import type { Answer, Grid } from './columns.ts';

/** A query for the worker. */
export interface QueryMessage {
  readonly id: number;
  readonly url: string;
  readonly form: string;
  readonly tenant: string;
  readonly grid: Grid | undefined;
  readonly seriesMax: number;
  /** It is counted as a dashboard's. */
  readonly isDashboard: boolean;
}

/** Nobody waits for it any more. */
export interface CancelMessage {
  readonly cancel: number;
}

export type AnswerMessage =
  | { readonly id: number; readonly answer: Answer; readonly parsedMs: number }
  | { readonly id: number; readonly status: number; readonly body: string };
