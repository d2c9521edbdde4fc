import { distributorConfig } from '../distributor/config.ts';
import { ingesterConfig } from '../ingester/config.ts';
import { list, text } from '../kit/config/field.ts';
import { type ConfigOf, section } from '../kit/config/section.ts';
import { authConfig, serverConfig } from '../kit/http/config.ts';
import { logConfig } from '../kit/observe/log.ts';
import { limitsConfig } from '../limits/limits.ts';
import { runtimeConfig } from '../limits/limits-service.ts';
import { querierConfig } from '../querier/config.ts';

export const processConfig = section('', 'Process', {
  target: list({ default: ['all'], help: 'What runs in this process: all, or modules separated by commas.' }),
});

export const dataConfig = section('data', 'Data folder', {
  dir: text({ default: './data', help: 'Folder that holds everything kept on this machine.' }),
});

/** Everything an operator may set, in the order of the reference page. */
export const sections = {
  process: processConfig,
  server: serverConfig,
  auth: authConfig,
  log: logConfig,
  data: dataConfig,
  distributor: distributorConfig,
  ingester: ingesterConfig,
  querier: querierConfig,
  runtime: runtimeConfig,
  limits: limitsConfig,
};

export type Config = ConfigOf<typeof sections>;
