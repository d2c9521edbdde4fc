import { alertmanagerConfig } from '../alertmanager/config.ts';
import { memcachedConfig } from '../cache/memcached/config.ts';
import { redisConfig } from '../cache/redis/config.ts';
import { chunkStoreConfig, schemaConfig } from '../chunkstore/config.ts';
import { compactorConfig } from '../compactor/config.ts';
import { distributorConfig } from '../distributor/config.ts';
import { queryRangeConfig } from '../frontend/config.ts';
import { frontendConfig } from '../frontend/service-config.ts';
import { ingesterConfig } from '../ingester/config.ts';
import { list, text } from '../kit/config/field.ts';
import { type ConfigOf, section } from '../kit/config/section.ts';
import { authConfig, serverConfig, tenantFederationConfig } from '../kit/http/config.ts';
import { logConfig } from '../kit/observe/log.ts';
import { etcdConfig } from '../kv/etcd/config.ts';
import { limitsConfig } from '../limits/limits.ts';
import { runtimeConfig } from '../limits/limits-service.ts';
import { azureConfig } from '../object/azure/config.ts';
import { gcsConfig } from '../object/gcs/config.ts';
import { s3Config } from '../object/s3/config.ts';
import { purgerConfig, querierConfig } from '../querier/config.ts';
import { frontendWorkerConfig } from '../querier/worker-config.ts';
import { ringConfig } from '../ring/config.ts';
import { rulerConfig } from '../ruler/config.ts';
import { schedulerConfig } from '../scheduler/config.ts';
import { deploymentsConfig } from '../services/config.ts';
import { bigtableConfig } from '../table/bigtable/config.ts';
import { cassandraConfig } from '../table/cassandra/config.ts';
import { dynamodbConfig } from '../table/dynamodb/config.ts';
import { selfMonitoringConfig } from './self-monitoring.ts';

export const processConfig = section('', 'Process', {
  target: list({ default: ['all'], help: 'What runs in this process: all, or modules separated by commas.' }),
});

export const dataConfig = section('data', 'Data folder', {
  dir: text({ default: './data', valueWanted: true, help: 'Folder that holds everything kept on this machine.' }),
});

/** Everything an operator may set, in the order of the reference page. */
export const sections = {
  process: processConfig,
  server: serverConfig,
  auth: authConfig,
  tenantFederation: tenantFederationConfig,
  log: logConfig,
  selfMonitoring: selfMonitoringConfig,
  data: dataConfig,
  ring: ringConfig,
  etcd: etcdConfig,
  distributor: distributorConfig,
  ingester: ingesterConfig,
  querier: querierConfig,
  queryRange: queryRangeConfig,
  frontend: frontendConfig,
  frontendWorker: frontendWorkerConfig,
  queryScheduler: schedulerConfig,
  purger: purgerConfig,
  compactor: compactorConfig,
  ruler: rulerConfig,
  alertmanager: alertmanagerConfig,
  deployments: deploymentsConfig,
  schema: schemaConfig,
  chunkStore: chunkStoreConfig,
  memcached: memcachedConfig,
  redis: redisConfig,
  cassandra: cassandraConfig,
  dynamodb: dynamodbConfig,
  bigtable: bigtableConfig,
  s3: s3Config,
  gcs: gcsConfig,
  azure: azureConfig,
  runtime: runtimeConfig,
  limits: limitsConfig,
};

export type Config = ConfigOf<typeof sections>;
