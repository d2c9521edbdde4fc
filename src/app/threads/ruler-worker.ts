import { workerData } from 'node:worker_threads';
import { failure } from '../../api/answer.ts';
import { ApiError } from '../../api/error.ts';
import { Params } from '../../api/params.ts';
import { alerts, rules } from '../../api/rules.ts';
import { type DocumentKey, shownVersion } from '../../chunkstore/documents/documents.ts';
import { openStore } from '../../chunkstore/open.ts';
import type { PushResponse, SeriesPush } from '../../contract/push.ts';
import { RULES } from '../../contract/rules.ts';
import { encodeSeriesPush } from '../../distributor/series-push.ts';
import { createLogger } from '../../kit/observe/log.ts';
import { Registry } from '../../kit/observe/metrics.ts';
import { Channel } from '../../kit/thread/channel.ts';
import { movable } from '../../kit/thread/movable.ts';
import { serveWorker } from '../../kit/thread/worker.ts';
import { systemClock } from '../../lib/clock.ts';
import { Pacer } from '../../lib/pacer.ts';
import { systemBytes } from '../../lib/random.ts';
import { RemoteAlertmanager } from '../../peer/remote-alertmanager.ts';
import { remoteRules } from '../../peer/ruler-role.ts';
import { rulerMetrics } from '../../ruler/metrics.ts';
import { RuleConfigs } from '../../ruler/rule-config.ts';
import { ruleDocument } from '../../ruler/rule-source.ts';
import { namespacesYaml, tenantsYaml } from '../../ruler/rule-yaml.ts';
import { Ruler, type RulerPeers } from '../../ruler/ruler.ts';
import { RpcClients } from '../cluster/rpc-clients.ts';
import type {
  RuleConfigAnswer,
  RuleConfigRequest,
  RulerConnect,
  RulerHostRole,
  RulerRole,
  RulerWorkerData,
} from './ruler-role.ts';

// Evaluates rules in a thread of its own, with a store handle of its own.

const { store, config, parser, log: logSettings } = workerData as RulerWorkerData;
const log = createLogger(logSettings);
const registry = new Registry();
const metrics = rulerMetrics(registry);
const opened = openStore(store, systemClock);
const SLICE_MS = 20;

interface Running {
  readonly ruler: Ruler;
  readonly configs: RuleConfigs;
}

let running: Promise<Running> | undefined;

/** The ways to other rulers of the store, and to its Alertmanagers. */
function peersOf({ self, files, address }: NonNullable<RulerConnect['peers']>) {
  const clients = new RpcClients({ self, files, clock: systemClock });
  const peers: RulerPeers = {
    address,
    rulesOf: (at, tenant, signal) => remoteRules(clients.at(at))(tenant, signal),
  };
  return { peers, alertmanagerAt: (at: string) => new RemoteAlertmanager(clients.at(at)) };
}

async function connected(
  host: Channel<RulerHostRole>,
  { hasAlertmanager, peers }: Pick<RulerConnect, 'hasAlertmanager' | 'peers'>,
): Promise<Running> {
  const { schema } = await opened;
  const ruler = await Ruler.open({
    config,
    parser,
    schema,
    queries: { instants: (tenant, requests, { signal }) => host.call('instants', { tenant, requests }, { signal }) },
    push: { pushSeries: (request, signal) => pushed(host, request, signal) },
    limits: (tenant) => host.call('limits', { tenant }),
    builtIn: hasAlertmanager
      ? { post: (tenant, posted, signal) => host.call('post', { tenant, alerts: posted }, { signal }) }
      : undefined,
    ...(peers && peersOf(peers)),
    metrics,
    log,
    clock: systemClock,
    randomBytes: systemBytes,
  });
  await ruler.start();
  return { ruler, configs: new RuleConfigs(ruler.documents, parser) };
}

function pushed(
  host: Channel<RulerHostRole>,
  { tenant, series, encoded, inOrder = false }: SeriesPush,
  signal: AbortSignal,
): Promise<PushResponse> {
  const { headers, body } = encodeSeriesPush(series, encoded);
  const moved = movable(body);
  return host.call('push', { tenant, headers, body: moved, inOrder }, { signal, transfer: [moved.buffer] });
}

function current(): Promise<Running> {
  if (running === undefined) throw new Error('bug: a call of the ruler before connect');
  return running;
}

const role: RulerRole = {
  async connect({ port, ...rest }) {
    running = connected(new Channel<RulerHostRole>(port), rest);
    await running;
  },
  async ownRules({ tenant }) {
    return (await current()).ruler.rules(tenant).groups;
  },
  async handle({ request, limits }, { signal }) {
    const { ruler } = await current();
    try {
      const params = new Params(request, parser);
      const turns = new Pacer(systemClock, { sliceMs: SLICE_MS, signal });
      const call = { params, limits, turns, rules: await ruler.allRules(request.tenant, signal) };
      return request.path === '/api/v1/alerts' ? alerts(call) : await rules(call);
    } catch (thrown) {
      signal.throwIfAborted();
      return failure(ApiError.from(thrown));
    }
  },
  async config(request, { signal }) {
    const now = await current();
    return configured(now, request, signal);
  },
  async changed({ tenant }) {
    await (await current()).ruler.changed(tenant);
  },
  async resend() {
    await (await current()).ruler.resend();
  },
  metrics: () => registry.getMetricsAsJSON(),
  loops: async () => (await current()).ruler.loopStates,
  async stop(_, { signal }) {
    const { ruler } = await current();
    await ruler.stop(signal);
    await (await opened).close();
  },
};

async function configured(
  { ruler, configs }: Running,
  request: RuleConfigRequest,
  signal: AbortSignal,
): Promise<RuleConfigAnswer> {
  switch (request.kind) {
    case 'list': {
      const { tenant, namespace, group } = request;
      if (namespace !== undefined && group !== undefined) {
        const text = await configs.groupText(tenant, namespace, group, signal);
        return text === undefined ? NOTHING : { found: true, text };
      }
      const all = await configs.namespaces(tenant, signal);
      const some = namespace === undefined ? all : new Map([...all].filter(([name]) => name === namespace));
      return some.size === 0 ? NOTHING : { found: true, text: namespacesYaml(some) };
    }
    case 'listAll': {
      const tenants = new Map<string, Awaited<ReturnType<RuleConfigs['namespaces']>>>();
      for (const tenant of await configs.tenants(signal)) {
        const namespaces = await configs.namespaces(tenant, signal);
        if (namespaces.size > 0) tenants.set(tenant, namespaces);
      }
      return tenants.size === 0 ? NOTHING : { found: true, text: tenantsYaml(tenants) };
    }
    case 'put': {
      const { tenant, namespace, text, user, limits, expected, dryRun } = request;
      const group = await configs.read(tenant, text, limits, signal);
      if (dryRun) {
        const reset = ruler.resetBy(tenant, { file: namespace, group });
        return { found: true, text: JSON.stringify({ status: 'success', data: { reset } }) };
      }
      const change = { limits, user, text, ...(expected !== undefined && { expected }) };
      await configs.put(tenant, namespace, group, change, signal);
      changed(ruler, tenant);
      return { found: true, text: '' };
    }
    case 'versions': {
      const versions = await ruler.documents.versions(keyOf(request), signal);
      const data = versions.map(shownVersion).reverse();
      return data.length === 0 ? NOTHING : { found: true, text: JSON.stringify({ status: 'success', data }) };
    }
    case 'version': {
      const content = await ruler.documents.contentOf(keyOf(request), request.number, signal);
      return content === undefined ? NOTHING : { found: true, text: Buffer.from(content).toString() };
    }
    case 'remove': {
      const { tenant, namespace, group, user } = request;
      if (namespace === undefined) await configs.removeAll(tenant, user, signal);
      else if ((await configs.remove(tenant, namespace, group, user, signal)) === 0) return NOTHING;
      changed(ruler, tenant);
      return { found: true, text: '' };
    }
  }
}

function keyOf(of: { readonly tenant: string; readonly namespace: string; readonly group: string }): DocumentKey {
  return { tenant: of.tenant, kind: RULES, name: ruleDocument(of.namespace, of.group) };
}

const NOTHING: RuleConfigAnswer = { found: false, text: '' };

/** In force soon: who changes rules does not wait for evaluations that are under way. */
function changed(ruler: Ruler, tenant: string): void {
  ruler.changed(tenant).catch((thrown: Error) => {
    log.warn({ user: tenant, error: thrown.message }, 'rules that were changed cannot be read yet');
  });
}

serveWorker(role);
