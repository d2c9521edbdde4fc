import type { TableStore } from '../client.ts';
import { RemoteTableClient } from '../remote.ts';
import { DynamodbTableAdmin } from './admin.ts';
import { DYNAMODB_LIMITS, DynamodbRows } from './client.ts';
import type { DynamodbConfig } from './config.ts';
import { type DynamodbParts, DynamodbSession } from './session.ts';

/** Rows in Amazon DynamoDB. */
export async function openDynamodb(config: DynamodbConfig, parts: DynamodbParts): Promise<TableStore> {
  const session = await DynamodbSession.open(config, parts);
  const rows = new DynamodbRows(session);
  return { client: new RemoteTableClient(rows), admin: new DynamodbTableAdmin(session, rows), limits: DYNAMODB_LIMITS };
}
