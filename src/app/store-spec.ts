import path from 'node:path';
import { periodsOf } from '../chunkstore/config.ts';
import type { StoreSpec } from '../chunkstore/open.ts';
import type { HoldToken } from '../kit/folder/hold.ts';
import { CheckedFiles } from '../table/checked-files.ts';
import { TableChanges } from '../table/table-changes.ts';
import type { Config } from './config.ts';

type StoreConfig = Pick<Config, 'data' | 'schema' | 'cassandra' | 'dynamodb' | 'bigtable' | 's3' | 'gcs' | 'azure'>;

/** One for all specs of this process: whoever changes a table is counted by all others. */
const changes = TableChanges.memory();

/** The stores that a configuration names. For the main thread: what others open goes to them with its memory. */
export function storeSpec(config: StoreConfig, hold?: HoldToken): StoreSpec {
  const { cassandra, dynamodb, bigtable, s3, gcs, azure } = config;
  const dir = path.join(config.data.dir, 'store');
  return {
    dir,
    ...(hold === undefined ? {} : { hold }),
    checked: CheckedFiles.memory(),
    changes,
    periods: periodsOf(config.schema),
    cassandra,
    dynamodb,
    bigtable,
    s3,
    gcs,
    azure,
  };
}
