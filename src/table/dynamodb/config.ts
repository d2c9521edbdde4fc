import { choice, count, duration, mapping, secret, text } from '../../kit/config/field.ts';
import { storeSection } from '../../kit/store/section.ts';

export const dynamodbConfig = storeSection('storage.aws.dynamodb', 'dynamodb', 'Rows in Amazon DynamoDB.', {
  region: text({ default: 'us-east-1', help: 'Region.' }),
  endpoint: text({ help: 'URL of a service that is not at its usual place, such as DynamoDB Local.' }),
  accessKeyId: text({ help: 'Access key. Empty: as the environment, the profile or the machine says.' }),
  secretAccessKey: secret({ help: 'Secret of the access key.' }),
  billing: choice({
    default: 'on-demand',
    values: ['on-demand', 'provisioned'],
    help: 'How the capacity of tables is paid for when they are made.',
  }),
  writeCapacity: count({ default: 1000, min: 1, help: 'Write units a second of a table that is written to.' }),
  readCapacity: count({ default: 300, min: 1, help: 'Read units a second of a table that is written to.' }),
  pastWriteCapacity: count({ default: 1, min: 1, help: 'Write units a second of a table whose time is over.' }),
  pastReadCapacity: count({ default: 300, min: 1, help: 'Read units a second of a table whose time is over.' }),
  tags: mapping({ help: 'Tags that tables are made with.' }),
  timeoutMs: duration({ default: '10s', help: 'Time that one try of a request may take.' }),
  tableTimeoutMs: duration({ default: '5m', help: 'Time that making or dropping a table may take.' }),
  maxRetries: count({ default: 20, help: 'Further tries of a request that failed for a reason that may pass.' }),
  minBackoffMs: duration({ default: '100ms', help: 'Least pause before a further try.' }),
  maxBackoffMs: duration({ default: '10s', help: 'Longest pause before a further try.' }),
  queryConcurrency: count({ default: 64, min: 1, help: 'Requests under way at once, per process.' }),
});

export type DynamodbConfig = typeof dynamodbConfig.type;
