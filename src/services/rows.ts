import type { Labels } from '../model/labels.ts';

/** The answer to an instant query. */
export interface Rows {
  readonly rows: readonly { readonly labels: Labels; readonly value: number }[];
  /** The query was refused: what it would have told is not known. */
  readonly refused: boolean;
}
