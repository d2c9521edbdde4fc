import type { TableStore } from '../client.ts';
import { DynamodbTableAdmin } from './admin.ts';
import { DYNAMODB_LIMITS, DynamodbTableClient } from './client.ts';
import type { DynamodbConfig } from './config.ts';
import { type DynamodbParts, DynamodbSession } from './session.ts';

/** Rows in Amazon DynamoDB. */
export async function openDynamodb(config: DynamodbConfig, parts: DynamodbParts = {}): Promise<TableStore> {
  const session = await DynamodbSession.open(config, parts);
  const client = new DynamodbTableClient(session);
  return { client, admin: new DynamodbTableAdmin(session, client), limits: DYNAMODB_LIMITS };
}
