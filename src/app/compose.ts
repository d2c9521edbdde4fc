import { Gate } from '../kit/http/auth.ts';
import { HttpListener } from '../kit/http/listener.ts';
import { SharedLogins } from '../kit/http/shared-logins.ts';
import type { Logger } from '../kit/observe/log.ts';
import { Registry } from '../kit/observe/metrics.ts';
import { Loops } from '../kit/service/loops.ts';
import { type Service, ServiceGroup } from '../kit/service/service.ts';
import type { Clock } from '../lib/clock.ts';
import { LimitsService } from '../limits/limits-service.ts';
import type { App } from './app.ts';
import { checkCluster } from './cluster/clustered.ts';
import { checkQueryPath, idleLimits } from './cluster/query-path.ts';
import type { Config } from './config.ts';
import { FrontThreads, frontThreads } from './front/front-threads.ts';
import type { Module } from './modules/module.ts';
import { modules as allModules } from './modules/modules.ts';

import { sessionKeyIn } from './session-key.ts';

export interface Composition {
  readonly config: Config;
  /** As of `App`. */
  readonly readConfig?: () => Config;
  readonly version: string;
  /** Names of modules, as `resolveTargets` gives them. */
  readonly order: readonly string[];
  readonly log: Logger;
  readonly clock: Clock;
  /** Others than the process' own, for tests. */
  readonly modules?: Readonly<Record<string, Module>>;
}

/** Builds every module in order; nothing is started yet. @throws where a module cannot be built */
export async function composeApp(from: Composition): Promise<App & { services: ServiceGroup }> {
  const { config, version, order, log, clock, modules = allModules } = from;
  checkCluster(config);
  checkQueryPath(config);
  const registry = new Registry();
  const ownKey = sessionKeyIn(config.data.dir);
  const sessionKey = () => (app.parts.sessionKey ?? ownKey)();
  const fronts = frontThreads(config, log);
  // threads that listen count failed logins together
  const logins = fronts > 1 ? FrontThreads.logins() : undefined;
  const gate = Gate.of(config.auth, {
    log,
    clock,
    federation: config.tenantFederation,
    sessionKey,
    ...(logins && { logins: new SharedLogins(logins, () => clock.nowMs()) }),
  });
  const { httpListenAddress: host, httpListenPort: port, adminAddress } = config.server;
  const loops = new Loops(clock);
  const reloads = config.runtime.file === '' ? undefined : loops.add('runtime-config', config.runtime.reloadPeriodMs);
  const limits = LimitsService.of({
    defaults: config.limits,
    config: config.runtime,
    refuses: (own) => idleLimits(config, own),
    log,
    registry,
    clock,
    loop: reloads,
  });
  const front =
    logins && new FrontThreads({ config, threads: fronts, gate, logins, limits, sessionKey, log, registry, clock });
  const app: App = {
    config,
    readConfig: from.readConfig,
    version,
    startTimeMs: clock.nowMs(),
    clock,
    log,
    registry,
    metricSources: front === undefined ? [] : [front.metricSource],
    loops,
    limits,
    gate,
    http: front ?? HttpListener.of({ name: 'http', host, port, config: config.server, gate, log, registry, clock }),
    admin:
      adminAddress === ''
        ? undefined
        : HttpListener.of({ name: 'admin', ...parseAddress(adminAddress), config: config.server, gate, log, clock }),
    parts: front === undefined ? {} : { fronts: front },
    services: undefined,
  };
  const services: Service[] = [];
  for (const name of order) services.push(...(await modules[name]!.build(app)));
  const group = new ServiceGroup(services, log, app.clock);
  app.services = group;
  return Object.assign(app, { services: group });
}

/** `127.0.0.1:9010`, `[::1]:9010`, `:9010` */
function parseAddress(text: string): { host: string; port: number } {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]*)):(\d+)$/.exec(text) ?? [];
  if (port === undefined || Number(port) > 65_535) {
    throw new Error(`-server.admin-address ${text}: host and port are wanted, like 127.0.0.1:9010`);
  }
  return { host: bracketed ?? (plain || '127.0.0.1'), port: Number(port) };
}
