/** A step of a table, done before its columns are named, hidden and sorted. */
export type TableStep =
  /** A row for each series, with values that are made of all of its own. */
  | {
      readonly kind: 'reduce';
      readonly calcs: readonly { readonly calc: string; readonly name: string }[];
      readonly labels: boolean;
    }
  /** A row for each combination of values in `by`, with columns that are made of those of the group. */
  | {
      readonly kind: 'groupBy';
      readonly by: readonly string[];
      readonly calcs: readonly { readonly column: string; readonly calc: string }[];
    }
  | {
      readonly kind: 'calculate';
      readonly name: string;
      readonly operator: string;
      readonly left: Operand;
      readonly right: Operand;
      readonly only: boolean;
    }
  | {
      readonly kind: 'reduceRow';
      readonly name: string;
      readonly calc: string;
      readonly columns: readonly string[];
      readonly only: boolean;
    };

/** A column, or a number. */
export type Operand = string | number;
