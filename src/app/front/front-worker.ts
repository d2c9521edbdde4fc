import { isDeepStrictEqual } from 'node:util';
import { type MessagePort, workerData } from 'node:worker_threads';
import type { PushBackend } from '../../contract/push.ts';
import { Gate } from '../../kit/http/auth.ts';
import { HttpListener } from '../../kit/http/listener.ts';
import type { Route } from '../../kit/http/message.ts';
import { SharedLogins } from '../../kit/http/shared-logins.ts';
import { Registry, readMetrics } from '../../kit/observe/metrics.ts';
import { Channel } from '../../kit/thread/channel.ts';
import { ThreadsRoom } from '../../kit/thread/threads-room.ts';
import { serveWorker } from '../../kit/thread/worker.ts';
import { systemClock } from '../../lib/clock.ts';
import { LimitsTable } from '../../limits/limits-table.ts';
import { processErrors } from '../../model/errors-process.ts';
import { apiHandlers } from '../plain-routes/api.ts';
import { pushRoutes } from '../plain-routes/push.ts';
import { EdgeOfShards } from '../threads/edge-of-shards.ts';
import { FrontQueries } from './front-queries.ts';
import type { FrontData, FrontHostRole, FrontRole } from './front-role.ts';
import { FrontWrites } from './front-writes.ts';
import { handedRoute } from './handed-route.ts';
import { hostLogger } from './host-logger.ts';

// Listens for requests in a thread of its own: those of the routes that it has itself it answers, all others the main thread.

const { thread, server, auth, federation, host, isDebug, memory, routes, writes, queries, inForce } =
  workerData as FrontData;
const clock = systemClock;
const registry = new Registry();
const main = Promise.withResolvers<Channel<FrontHostRole>>();
let { sessionKey, tls } = inForce;
let limits = LimitsTable.unpacked(inForce.limits);
const log = hostLogger(main.promise, isDebug);
const gate = Gate.of(auth, {
  log,
  clock,
  federation,
  sessionKey() {
    if (sessionKey === undefined) throw processErrors.sessionKeyAway({});
    return sessionKey;
  },
  logins: new SharedLogins(memory.logins, () => clock.nowMs()),
  users: inForce.users,
});
let listener: HttpListener | undefined;
let edge: EdgeOfShards | undefined;
const answered =
  queries &&
  new FrontQueries({ data: queries, main: main.promise, limits: (tenant) => limits.of(tenant), log, registry, clock });
/** Never, where it takes no writes. */
const taken = Promise.withResolvers<FrontWrites>();

function listenerAt(port: number): HttpListener {
  const rooms = {
    connections: new ThreadsRoom(memory.connections, thread),
    bodies: new ThreadsRoom(memory.bodies, thread),
    answers: new ThreadsRoom(memory.answers, thread),
  };
  const made = HttpListener.of({
    name: `front-${thread}`,
    host,
    port,
    config: server,
    gate,
    log,
    registry,
    clock,
    rooms,
    reusePort: true,
    readTls: () => tls,
  });
  const own = new Map(ownRoutes().map((route) => [route.path, route]));
  made.add(routes.map((facts) => (facts.inFront && own.get(facts.path)) || handedRoute(facts, main.promise)));
  return made;
}

/** Routes that this thread answers itself, where the process serves them. */
function ownRoutes(): readonly Route[] {
  const pusher: PushBackend = { push: async (request) => (await taken.promise).distributor.push(request) };
  return [
    ...(writes === undefined ? [] : pushRoutes(pusher, server)),
    ...(answered === undefined ? [] : apiHandlers(answered, server)),
  ];
}

/** Resolves when the main thread knows of all that was answered until now. */
async function told(): Promise<void> {
  if (edge !== undefined) await (await taken.promise).counted();
  await answered?.told();
}

const role: FrontRole = {
  connect: ({ host: port }: { readonly host: MessagePort }) => main.resolve(new Channel<FrontHostRole>(port)),
  async connectShards({ shards }) {
    if (writes === undefined) throw new Error('bug: shards of a thread that takes no writes');
    edge = new EdgeOfShards(writes, shards);
    const options = { thread, data: writes, edge, limits: (tenant: string) => limits.of(tenant), log, clock };
    taken.resolve(new FrontWrites({ ...options, main: await main.promise }));
  },
  reconnect: (replacement) => edge?.reconnect(replacement),
  push: async (request) => (await taken.promise).push(request),
  reconnectReads: (replacement) => answered?.reconnect(replacement),
  take(now) {
    limits = LimitsTable.unpacked(now.limits);
    sessionKey = now.sessionKey;
    gate.take(now.users);
    if (isDeepStrictEqual(tls, now.tls)) return;
    tls = now.tls;
    listener?.reload();
  },
  async listen({ port, isEarly }) {
    listener ??= listenerAt(port);
    await (isEarly ? listener.early : listener).start!(new AbortController().signal);
  },
  async stopListening(_, { signal }) {
    await listener?.stop({ signal, progress: () => {} });
    await told();
    await answered?.stop();
  },
  async metrics() {
    // what was answered before somebody asks is in the answer
    await told();
    return readMetrics(registry, []);
  },
};
serveWorker(role);
