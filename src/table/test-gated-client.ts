import type { TableClient } from './client.ts';

/** A client of a store that others have, too, which a test may take away: `check` throws while it cannot be reached. */
export function gatedClient(tables: Omit<TableClient, 'close'>, check: () => void): TableClient {
  return {
    async write(...args) {
      check();
      await tables.write(...args);
    },
    query(...args) {
      check();
      return tables.query(...args);
    },
    async delete(...args) {
      check();
      await tables.delete(...args);
    },
    async compareAndSet(...args) {
      check();
      return tables.compareAndSet(...args);
    },
    close: async () => {},
  };
}
