import path from 'node:path';
import { periodsOf } from '../chunkstore/config.ts';
import type { StoreSpec } from '../chunkstore/open.ts';
import type { HoldToken } from '../kit/folder/hold.ts';
import { CheckedFiles } from '../table/checked-files.ts';
import type { Config } from './config.ts';

type StoreConfig = Pick<Config, 'data' | 'schema' | 'cassandra' | 'dynamodb' | 'bigtable' | 's3' | 'gcs' | 'azure'>;

/** The stores that a configuration names. */
export function storeSpec(config: StoreConfig, hold?: HoldToken): StoreSpec {
  const { cassandra, dynamodb, bigtable, s3, gcs, azure } = config;
  const dir = path.join(config.data.dir, 'store');
  return {
    dir,
    ...(hold === undefined ? {} : { hold }),
    checked: CheckedFiles.memory(),
    periods: periodsOf(config.schema),
    cassandra,
    dynamodb,
    bigtable,
    s3,
    gcs,
    azure,
  };
}
