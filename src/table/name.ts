import { assert } from '../lib/assert.ts';

/** Table names that every backend takes: Cassandra allows 48 letters, digits and underscores, and folds case. */
const TABLE_NAME = /^[a-z][a-z0-9_]{0,47}$/;

export function isTableName(name: string): boolean {
  return TABLE_NAME.test(name);
}

/** Names are made by the schema; one that reaches a backend ill-formed is a bug, and could reach outside a folder or into CQL. */
export function assertTableName(name: string): void {
  assert(isTableName(name), `table name ${JSON.stringify(name)} does not match ${TABLE_NAME.source}`);
}
