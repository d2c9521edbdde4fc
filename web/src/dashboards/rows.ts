/** A value in a row of a form. */
export interface Row<T> {
  /** Stays with the value while it is edited, and while other rows come and go. */
  readonly key: number;
  readonly value: T;
}

let lastKey = 0;

export function newRow<T>(value: T): Row<T> {
  return { key: ++lastKey, value };
}

export function withValue<T>(rows: readonly Row<T>[], key: number, value: T): readonly Row<T>[] {
  return rows.map((row) => (row.key === key ? { key, value } : row));
}

export function withoutRow<T>(rows: readonly Row<T>[], key: number): readonly Row<T>[] {
  return rows.filter((row) => row.key !== key);
}
