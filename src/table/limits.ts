import { storeErrors } from '../model/errors-store.ts';
import type { Row, RowKey, TableLimits } from './client.ts';

/** Judges rows before anything is sent, so that a write that cannot succeed changes nothing. @throws storeErrors.storeRowTooLarge */
export function checkRows(backend: string, table: string, rows: readonly Row[], limits: TableLimits): void {
  for (const row of rows) {
    checkKey(backend, table, row, limits);
    if (row.value.length > limits.valueBytesMax) {
      throw storeErrors.storeRowTooLarge({
        backend,
        table,
        part: 'value',
        bytes: row.value.length,
        limitBytes: limits.valueBytesMax,
      });
    }
  }
}

/** @throws storeErrors.storeRowTooLarge */
function checkKey(backend: string, table: string, key: RowKey, limits: TableLimits): void {
  const bytes = Math.max(key.hash.length, key.range.length);
  if (bytes > limits.keyBytesMax) {
    throw storeErrors.storeRowTooLarge({ backend, table, part: 'key', bytes, limitBytes: limits.keyBytesMax });
  }
}
