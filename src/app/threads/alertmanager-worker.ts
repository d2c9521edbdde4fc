import { randomUUID } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { workerData } from 'node:worker_threads';
import { makeAlertmanagerMetrics, observedEvents } from '../../alertmanager/metrics.ts';
import { Firewall } from '../../alertmanager/receivers/firewall.ts';
import { HttpClient } from '../../alertmanager/receivers/http-client.ts';
import { SmtpClient } from '../../alertmanager/receivers/smtp-client.ts';
import { Alertmanagers } from '../../alertmanager/service.ts';
import { Sharing } from '../../alertmanager/sharing.ts';
import { Documents } from '../../chunkstore/documents/documents.ts';
import { MEMBER_TIMING, MemberRows } from '../../chunkstore/documents/member-rows.ts';
import { StateRows } from '../../chunkstore/documents/state-rows.ts';
import { TenantTables } from '../../chunkstore/documents/tables.ts';
import { openStore } from '../../chunkstore/open.ts';
import { ALERTMANAGERS } from '../../contract/alertmanager.ts';
import { createLogger } from '../../kit/observe/log.ts';
import { Registry } from '../../kit/observe/metrics.ts';
import { Channel } from '../../kit/thread/channel.ts';
import { serveWorker } from '../../kit/thread/worker.ts';
import { systemClock } from '../../lib/clock.ts';
import { systemBytes, systemRandom } from '../../lib/random.ts';
import { RemoteAlertmanager } from '../../peer/remote-alertmanager.ts';
import { RpcClients } from '../cluster/rpc-clients.ts';
import type {
  AlertmanagerHostRole,
  AlertmanagerRole,
  AlertmanagerStart,
  AlertmanagerWorkerData,
  KnownLimits,
} from './alertmanager-role.ts';

// Groups alerts and tells receivers, in a thread of its own, with a store handle of its own.

const { store, config, version, log: logSettings } = workerData as AlertmanagerWorkerData;
const log = createLogger(logSettings);
const registry = new Registry();
const metrics = makeAlertmanagerMetrics(registry);
const opened = openStore(store, systemClock);
let limits: KnownLimits;
let running: Promise<Alertmanagers> | undefined;

/** The other Alertmanagers on the store: each thread has a name of its own. */
function sharingOf(state: StateRows, { self, files, address }: NonNullable<AlertmanagerStart['peers']>): Sharing {
  const own = { id: Buffer.from(systemBytes(8)).toString('hex'), address };
  const clients = new RpcClients({ self, files, clock: systemClock });
  return new Sharing({
    members: new MemberRows({ rows: state, kind: ALERTMANAGERS, self: own, clock: systemClock, isAsked: true }),
    self: own,
    ...MEMBER_TIMING,
    member: (member) => new RemoteAlertmanager(clients.at(member.address)),
    clock: systemClock,
  });
}

async function started({ host, fallback, externalUrl, peers }: AlertmanagerStart): Promise<Alertmanagers> {
  const process = new Channel<AlertmanagerHostRole>(host);
  const tables = await TenantTables.open((await opened).schema);
  const state = new StateRows(tables, systemBytes);
  const managers = new Alertmanagers({
    documents: new Documents(tables, systemClock, systemBytes),
    state,
    sharing: peers === undefined ? undefined : sharingOf(state, peers),
    ownersMoved: () => void process.call('ownersMoved', {}).catch(() => {}), // it is gone
    clock: systemClock,
    random: systemRandom,
    newId: randomUUID,
    limits: (tenant) => limits.tenants.get(tenant) ?? limits.others,
    fallback,
    externalUrl,
    version,
    pollIntervalMs: config.pollIntervalMs,
    senders(rules) {
      const firewall = new Firewall(rules, async (host) =>
        (await lookup(host, { all: true })).map(({ address }) => address),
      );
      const userAgent = `Alertmanager/0.35.0 pallium/${version}`;
      return {
        http: new HttpClient({ firewall, clock: systemClock, userAgent }),
        mail: new SmtpClient({ firewall, clock: systemClock }),
      };
    },
    events: observedEvents(metrics, log),
  });
  await managers.start();
  return managers;
}

function current(): Promise<Alertmanagers> {
  if (running === undefined) throw new Error('bug: a call of the Alertmanager before its start');
  return running;
}

const role: AlertmanagerRole = {
  async start(request) {
    limits = request.limits;
    running = started(request);
    await running;
  },
  setLimits(given) {
    limits = given;
  },
  async setFallback({ fallback }) {
    await (await current()).setFallback(fallback);
  },
  async handle(request, { signal }) {
    return (await current()).handle(request, signal);
  },
  async post({ tenant, alerts }, { signal }) {
    await (await current()).post(tenant, alerts, signal);
  },
  async handleOwned(request, { signal }) {
    return (await current()).asMember.handle(request, signal);
  },
  async postOwned({ tenant, alerts }, { signal }) {
    await (await current()).asMember.post(tenant, alerts, signal);
  },
  async release({ tenant }, { signal }) {
    await (await current()).asMember.release(tenant, signal);
  },
  async metrics() {
    const { tenants, alerts, groups } = await (await current()).counts();
    metrics.tenants.set(tenants);
    metrics.alerts.set(alerts);
    metrics.groups.set(groups);
    return registry.getMetricsAsJSON();
  },
  loops: async () => (await current()).loopStates,
  async stop() {
    await (await current()).stop();
    await (await opened).close();
  },
};

serveWorker(role);
