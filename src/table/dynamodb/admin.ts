import type { BillingMode, ProvisionedThroughput, TableDescription } from '@aws-sdk/client-dynamodb';
import { storeErrors } from '../../model/errors-store.ts';
import type { Row, TableAdmin } from '../client.ts';
import { emptyIfMissing, ignoreMissing } from '../missing.ts';
import { assertTableName, isTableName } from '../name.ts';
import type { DynamodbRows } from './client.ts';
import { BACKEND, type DynamodbSession } from './session.ts';

const POLL_MS = 1000;
const POLL_FIRST_MS = 20;

export class DynamodbTableAdmin implements TableAdmin {
  readonly #session: DynamodbSession;
  readonly #rows: DynamodbRows;

  constructor(session: DynamodbSession, rows: DynamodbRows) {
    this.#session = session;
    this.#rows = rows;
  }

  async create(table: string): Promise<void> {
    assertTableName(table);
    const { sdk, service, caller, config } = this.#session;
    const tags = Object.entries(config.tags).map(([Key, Value]) => ({ Key, Value }));
    const command = new sdk.CreateTableCommand({
      TableName: table,
      AttributeDefinitions: [
        { AttributeName: 'h', AttributeType: 'B' },
        { AttributeName: 'r', AttributeType: 'B' },
      ],
      KeySchema: [
        { AttributeName: 'h', KeyType: 'HASH' },
        { AttributeName: 'r', KeyType: 'RANGE' },
      ],
      ...this.#capacity(config.readCapacity, config.writeCapacity),
      Tags: tags.length === 0 ? undefined : tags,
    });
    await caller.call({ operation: 'create', table }, undefined, async (abortSignal) => {
      try {
        await service.send(command, { abortSignal });
      } catch (thrown) {
        if (!(thrown instanceof sdk.ResourceInUseException)) throw thrown; // else it is there, or being made
      }
    });
    await this.#until('create', table, (found) => found?.TableStatus === 'ACTIVE');
  }

  async drop(table: string): Promise<void> {
    assertTableName(table);
    const { sdk, service, caller } = this.#session;
    try {
      await caller.call({ operation: 'drop', table }, undefined, (abortSignal) =>
        service.send(new sdk.DeleteTableCommand({ TableName: table }), { abortSignal }),
      );
    } catch (thrown) {
      ignoreMissing(thrown);
    }
    await this.#until('drop', table, (found) => found === undefined);
  }

  async list(): Promise<readonly string[]> {
    const { sdk, service, caller } = this.#session;
    const names: string[] = [];
    let from: string | undefined;
    do {
      const command = new sdk.ListTablesCommand({ ExclusiveStartTableName: from });
      const answer = await caller.call({ operation: 'list' }, undefined, (abortSignal) =>
        service.send(command, { abortSignal }),
      );
      names.push(...(answer.TableNames ?? []));
      from = answer.LastEvaluatedTableName;
    } while (from !== undefined);
    return names.filter(isTableName).sort();
  }

  scan(table: string, signal?: AbortSignal): AsyncIterable<readonly Row[]> {
    assertTableName(table);
    return emptyIfMissing(this.#rows.scan(table, signal));
  }

  async retire(table: string): Promise<void> {
    assertTableName(table);
    const { sdk, service, caller, config } = this.#session;
    if (config.billing === 'on-demand') return;
    const found = await this.#describe('retire', table);
    const held = found?.ProvisionedThroughput;
    if (
      found === undefined ||
      (held?.ReadCapacityUnits === config.pastReadCapacity && held.WriteCapacityUnits === config.pastWriteCapacity)
    ) {
      return;
    }
    const capacity = this.#capacity(config.pastReadCapacity, config.pastWriteCapacity);
    await caller.call({ operation: 'retire', table }, undefined, (abortSignal) =>
      service.send(new sdk.UpdateTableCommand({ TableName: table, ...capacity }), { abortSignal }),
    );
  }

  #capacity(read: number, write: number): { BillingMode: BillingMode; ProvisionedThroughput?: ProvisionedThroughput } {
    if (this.#session.config.billing === 'on-demand') return { BillingMode: 'PAY_PER_REQUEST' };
    return {
      BillingMode: 'PROVISIONED',
      ProvisionedThroughput: { ReadCapacityUnits: read, WriteCapacityUnits: write },
    };
  }

  async #describe(operation: string, table: string): Promise<TableDescription | undefined> {
    const { sdk, service, caller } = this.#session;
    try {
      const command = new sdk.DescribeTableCommand({ TableName: table });
      const answer = await caller.call({ operation, table }, undefined, (abortSignal) =>
        service.send(command, { abortSignal }),
      );
      return answer.Table;
    } catch (thrown) {
      ignoreMissing(thrown);
      return undefined;
    }
  }

  /** Tables come and go slowly; whoever made or dropped one waits for that. */
  async #until(
    operation: string,
    table: string,
    done: (found: TableDescription | undefined) => boolean,
  ): Promise<void> {
    const { clock, config } = this.#session;
    const startMs = clock.nowMs();
    for (let pauseMs = POLL_FIRST_MS; !done(await this.#describe(operation, table)); pauseMs *= 2) {
      if (clock.nowMs() - startMs > config.tableTimeoutMs) {
        const reason = `not done after ${config.tableTimeoutMs} ms`;
        throw storeErrors.storeUnavailable({ backend: BACKEND, operation, table, reason, tries: 1 });
      }
      await clock.sleep(Math.min(pauseMs, POLL_MS));
    }
  }
}
