import { store, stored } from '../scope.tsx';

// Queries that were run, and those that the user wants to keep: in the browser, per tenant.

const HISTORY_MAX = 100;
const EXPR_CHARS_MAX = 10_000;

export type Shelf = 'history' | 'saved';

export function queriesOf(shelf: Shelf, tenant: string): string[] {
  try {
    const all: unknown = JSON.parse(stored(keyOf(shelf, tenant)) ?? '[]');
    return Array.isArray(all) ? all.filter((one) => typeof one === 'string') : [];
  } catch {
    return [];
  }
}

/** Puts a query first. */
export function remember(shelf: Shelf, tenant: string, expr: string): void {
  if (expr.trim() === '' || expr.length > EXPR_CHARS_MAX) return;
  const others = queriesOf(shelf, tenant).filter((one) => one !== expr);
  store(keyOf(shelf, tenant), JSON.stringify([expr, ...others].slice(0, HISTORY_MAX)));
}

export function forget(shelf: Shelf, tenant: string, expr: string): void {
  store(keyOf(shelf, tenant), JSON.stringify(queriesOf(shelf, tenant).filter((one) => one !== expr)));
}

function keyOf(shelf: Shelf, tenant: string): string {
  return `pallium.${shelf}.${tenant}`;
}
