import type {
  AttributeValue,
  DeleteItemCommandInput,
  PutItemCommandInput,
  QueryCommandInput,
  ScanCommandInput,
  WriteRequest,
} from '@aws-sdk/client-dynamodb';
import { copyBytes } from '../../lib/copy.ts';
import { escapeEmpty, unescapeEmpty } from '../../lib/escape.ts';
import { forEachAtOnce } from '../../lib/semaphore.ts';
import { storeErrors } from '../../model/errors-store.ts';
import { batchesOf } from '../batches.ts';
import type { RangeBounds } from '../bounds.ts';
import type { Row, RowKey, TableLimits, TableQuery } from '../client.ts';
import type { RowService } from '../remote.ts';
import { isSame } from '../same.ts';
import { BACKEND, type DynamodbSession } from './session.ts';

type Condition = Omit<DeleteItemCommandInput, 'Key'> & Omit<PutItemCommandInput, 'Item'>;

/** DynamoDB's own, which count names and keys to the item. */
const ITEM_BYTES_MAX = 400 * 1024;
const RANGE_BYTES_MAX = 1024;
const NAMES_BYTES = 3;

/** A key may be escaped by one byte. Hashes could be longer, but no other store's are. */
export const DYNAMODB_LIMITS: TableLimits = {
  valueBytesMax: ITEM_BYTES_MAX - 2 * RANGE_BYTES_MAX - NAMES_BYTES,
  keyBytesMax: RANGE_BYTES_MAX - 1,
};

/** No batch of so many items of the largest size reaches the service's other limit, 16 MB. */
const BATCH = { itemsMax: 25, bytesMax: Number.POSITIVE_INFINITY, bytesOf: () => 0 };
const BATCHES_AT_ONCE = 16;

/**
 * Rows as items of three binary attributes: h (hash), r (range), v (value). Keys must not be empty, hence `escapeEmpty`,
 * which keeps their order.
 */
export class DynamodbRows implements RowService {
  readonly name = BACKEND;
  readonly limits = DYNAMODB_LIMITS;
  readonly #session: DynamodbSession;

  constructor(session: DynamodbSession) {
    this.#session = session;
  }

  async put(table: string, rows: readonly Row[], signal: AbortSignal | undefined): Promise<void> {
    const requests = rows.map((row): WriteRequest => ({ PutRequest: { Item: itemOf(row, row.value) } }));
    await this.#batches('write', table, requests, signal);
  }

  async *read(query: TableQuery, bounds: RangeBounds, signal: AbortSignal | undefined): AsyncGenerator<readonly Row[]> {
    const before = bounds.before && escapeEmpty(bounds.before);
    const values: Record<string, AttributeValue> = { ':h': { B: escapeEmpty(query.hash) } };
    let condition = 'h = :h';
    if (before !== undefined) {
      // one condition on the range is all it takes, and BETWEEN takes in both ends: the upper one is left out below
      condition += ' AND r BETWEEN :a AND :b';
      values[':a'] = { B: escapeEmpty(bounds.from) };
      values[':b'] = { B: before };
    } else if (bounds.from.length > 0) {
      condition += ' AND r >= :a';
      values[':a'] = { B: escapeEmpty(bounds.from) };
    }
    const input: QueryCommandInput = {
      TableName: query.table,
      KeyConditionExpression: condition,
      ExpressionAttributeValues: values,
      ConsistentRead: query.strong ?? false,
    };
    let left = query.limit ?? Number.POSITIVE_INFINITY;
    while (left > 0) {
      signal?.throwIfAborted();
      // one more for the end that is left out
      const Limit = left === Number.POSITIVE_INFINITY ? undefined : left + 1;
      const answer = await this.#session.caller.call(
        { operation: 'query', table: query.table },
        signal,
        (abortSignal) =>
          this.#session.service.send(new this.#session.sdk.QueryCommand({ ...input, Limit }), { abortSignal }),
      );
      let items = answer.Items ?? [];
      if (before !== undefined) items = items.filter((item) => Buffer.compare(item.r!.B!, before) < 0);
      items = items.slice(0, left);
      left -= items.length;
      if (items.length > 0) yield items.map(rowOf);
      if (answer.LastEvaluatedKey === undefined) return;
      input.ExclusiveStartKey = answer.LastEvaluatedKey;
    }
  }

  async remove(table: string, keys: readonly RowKey[], signal: AbortSignal | undefined): Promise<void> {
    const requests = keys.map((key): WriteRequest => ({ DeleteRequest: { Key: keyOf(key) } }));
    await this.#batches('delete', table, requests, signal);
  }

  async compareAndSet(
    table: string,
    key: RowKey,
    expected: Uint8Array | undefined,
    next: Uint8Array | undefined,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const { sdk, service, caller } = this.#session;
    const condition: Condition = {
      TableName: table,
      ConditionExpression: expected === undefined ? 'attribute_not_exists(h)' : 'v = :e',
      ExpressionAttributeValues: expected && { ':e': { B: expected } },
      ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
    };
    return caller.call({ operation: 'compare-and-set', table }, signal, async (abortSignal, failedTries) => {
      try {
        if (next === undefined) {
          await service.send(new sdk.DeleteItemCommand({ ...condition, Key: keyOf(key) }), { abortSignal });
        } else await service.send(new sdk.PutItemCommand({ ...condition, Item: itemOf(key, next) }), { abortSignal });
        return true;
      } catch (thrown) {
        if (!(thrown instanceof sdk.ConditionalCheckFailedException)) throw thrown;
        // a try that seemed to fail may have been applied, and this one then met our own value, or no item
        return failedTries > 0 && isSame(thrown.Item?.v?.B, next);
      }
    });
  }

  /** Pages of a scan; ranges ascend within a hash. */
  async *scan(table: string, signal?: AbortSignal): AsyncGenerator<readonly Row[]> {
    const input: ScanCommandInput = { TableName: table, ConsistentRead: true };
    do {
      signal?.throwIfAborted();
      const answer = await this.#session.caller.call({ operation: 'scan', table }, signal, (abortSignal) =>
        this.#session.service.send(new this.#session.sdk.ScanCommand(input), { abortSignal }),
      );
      if (answer.Items !== undefined && answer.Items.length > 0) yield answer.Items.map(rowOf);
      input.ExclusiveStartKey = answer.LastEvaluatedKey;
    } while (input.ExclusiveStartKey !== undefined);
  }

  async close(): Promise<void> {
    await this.#session.close();
  }

  async #batches(
    operation: string,
    table: string,
    requests: readonly WriteRequest[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    await forEachAtOnce(batchesOf(requests, BATCH), BATCHES_AT_ONCE, (batch) =>
      this.#batch(operation, table, batch, signal),
    );
  }

  /** Sends a batch, and again what the service left undone: its way to throttle one partition among others. */
  async #batch(
    operation: string,
    table: string,
    batch: WriteRequest[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { sdk, service, caller, config } = this.#session;
    let left = batch;
    for (let vainTries = 0; ; ) {
      const command = new sdk.BatchWriteItemCommand({ RequestItems: { [table]: left } });
      const answer = await caller.call({ operation, table }, signal, (abortSignal) =>
        service.send(command, { abortSignal }),
      );
      const undone = answer.UnprocessedItems?.[table] ?? [];
      if (undone.length === 0) return;
      vainTries = undone.length < left.length ? 1 : vainTries + 1;
      if (vainTries > config.maxRetries) {
        throw storeErrors.storeThrottled({ backend: BACKEND, operation, table, tries: vainTries });
      }
      left = undone;
      await caller.pause(vainTries, signal);
    }
  }
}

function keyOf(key: RowKey): Record<string, AttributeValue> {
  return { h: { B: escapeEmpty(key.hash) }, r: { B: escapeEmpty(key.range) } };
}

function itemOf(key: RowKey, value: Uint8Array): Record<string, AttributeValue> {
  return { ...keyOf(key), v: { B: value } };
}

function rowOf(item: Record<string, AttributeValue>): Row {
  return {
    hash: unescapeEmpty(item.h!.B!),
    range: unescapeEmpty(item.r!.B!),
    value: copyBytes(item.v!.B!),
  };
}
