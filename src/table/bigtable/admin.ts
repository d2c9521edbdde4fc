import type { Row, TableAdmin } from '../client.ts';
import { emptyIfMissing, ignoreMissing } from '../missing.ts';
import { assertTableName, isTableName } from '../name.ts';
import { type BigtableRows, FAMILY } from './client.ts';
import type { BigtableSession } from './session.ts';

const ALREADY_EXISTS = 6;

export class BigtableTableAdmin implements TableAdmin {
  readonly #session: BigtableSession;
  readonly #rows: BigtableRows;

  constructor(session: BigtableSession, rows: BigtableRows) {
    this.#session = session;
    this.#rows = rows;
  }

  async create(table: string): Promise<void> {
    assertTableName(table);
    const { admin, caller, instance, callOptions } = this.#session;
    // No rule of garbage collection: a cell's time stamp is always 0, so that there is never more than one. The emulator drops rows
    // that it finds empty while they are written where a family has such a rule.
    const request = { parent: instance, tableId: table, table: { columnFamilies: { [FAMILY]: {} } } };
    await caller.call({ operation: 'create', table }, undefined, async () => {
      try {
        await admin.createTable(request, callOptions);
      } catch (thrown) {
        if ((thrown as { code?: unknown }).code !== ALREADY_EXISTS) throw thrown;
      }
    });
  }

  async drop(table: string): Promise<void> {
    assertTableName(table);
    const { admin, caller, callOptions } = this.#session;
    try {
      await caller.call({ operation: 'drop', table }, undefined, async () => {
        await admin.deleteTable({ name: this.#session.nameOf(table) }, callOptions);
      });
    } catch (thrown) {
      ignoreMissing(thrown);
    }
  }

  async list(): Promise<readonly string[]> {
    const { admin, caller, instance, callOptions } = this.#session;
    const [tables] = await caller.call({ operation: 'list' }, undefined, () =>
      admin.listTables({ parent: instance, view: 'NAME_ONLY' }, callOptions),
    );
    return tables
      .map((table) => (table.name ?? '').split('/').at(-1) ?? '')
      .filter(isTableName)
      .sort();
  }

  scan(table: string, signal?: AbortSignal): AsyncIterable<readonly Row[]> {
    assertTableName(table);
    return emptyIfMissing(this.#rows.pages('scan', table, new Uint8Array(0), undefined, undefined, signal));
  }
}
