import { ConfigError, nearest } from '../../kit/config/problem.ts';
import { processObserver } from '../../kit/service/process-observer.ts';
import { alertmanagerModule } from './alertmanager.ts';
import { compactorModule, tableManagerModule } from './compactor.ts';
import { dataFolderModule } from './data-folder.ts';
import { distributorModule } from './distributor.ts';
import { ingesterModule } from './ingester.ts';
import type { Module } from './module.ts';
import { peersModule } from './peers.ts';
import { querierModule } from './querier.ts';
import { queryFrontendModule } from './query-frontend.ts';
import { querySchedulerModule } from './query-scheduler.ts';
import { rulerModule } from './ruler.ts';
import { selfMonitoringModule } from './self-monitoring.ts';
import { earlyServerModule, serverModule } from './server.ts';
import { servicesModule } from './services.ts';
import { storePeersModule } from './store-peers.ts';
import { threadsModule } from './threads.ts';
import { webModule } from './web.ts';

/** All modules, by name. */
export const modules: Readonly<Record<string, Module>> = {
  observer: { needs: [], build: (app) => [processObserver(app.registry, app.version, app.clock)] },
  limits: { needs: [], build: (app) => [app.limits] },
  'data-folder': dataFolderModule,
  threads: threadsModule,
  server: serverModule,
  'early-server': earlyServerModule,
  web: webModule,
  'self-monitoring': selfMonitoringModule,
  // a process that is alone does not load it
  ring: { needs: ['observer'], build: async (app) => (await import('./ring.ts')).buildRing(app) },
  'store-peers': storePeersModule,
  ingester: ingesterModule,
  distributor: distributorModule,
  peers: peersModule,
  querier: querierModule,
  'query-scheduler': querySchedulerModule,
  'query-frontend': queryFrontendModule,
  services: servicesModule,
  ruler: rulerModule,
  compactor: compactorModule,
  'table-manager': tableManagerModule,
  alertmanager: alertmanagerModule,
  all: {
    needs: [
      'data-folder',
      'ingester',
      'distributor',
      'self-monitoring',
      'querier',
      'services',
      'ruler',
      'compactor',
      'alertmanager',
      'server',
    ],
    target: 'Everything, in one process.',
    build: () => [],
  },
};

/**
 * The modules that targets need, each after what it needs; `server` last.
 * @param clustered whether the process is one of several
 * @throws ConfigError for a name that is no target
 */
export function resolveTargets(targets: readonly string[], from = modules, clustered = false): string[] {
  const known = Object.keys(from).filter((name) => from[name]!.target !== undefined);
  const problems = targets
    .filter((name) => !known.includes(name))
    .map((name) => `-target: ${name} is none of ${known.join(', ')}${nearest(name, known)}`);
  if (targets.length === 0) problems.push(`-target: name at least one of ${known.join(', ')}`);
  if (problems.length > 0) throw new ConfigError(problems);

  const order: string[] = [];
  const add = (name: string, path: readonly string[]) => {
    if (path.includes(name)) throw new Error(`bug: modules need each other: ${[...path, name].join(' → ')}`);
    if (order.includes(name) || name === 'server') return;
    const { needs, clusterNeeds = needs } = from[name]!;
    for (const needed of clustered ? clusterNeeds : needs) add(needed, [...path, name]);
    order.push(name);
  };
  // the ring of an ingester lies in its folder, and a process with a ring has its listener for others
  const has = (needed: string) => targets.some((name) => name === 'all' || from[name]?.clusterNeeds?.includes(needed));
  const folder = clustered && (targets.includes('ingester') || targets.includes('all')) ? ['data-folder'] : [];
  // a start may wait for the ring for long, and its listener says so meanwhile
  const ring = clustered && from.ring !== undefined && has('ring') ? ['early-server', 'ring'] : [];
  const first = [...folder, ...ring];
  for (const name of [...first, ...targets, ...(from.server?.needs ?? [])]) add(name, []);
  return [...order, 'server'];
}
