import { type MessagePort, workerData } from 'node:worker_threads';
import { Gate } from '../../kit/http/auth.ts';
import { HttpListener } from '../../kit/http/listener.ts';
import { SharedLogins } from '../../kit/http/shared-logins.ts';
import { Registry, readMetrics } from '../../kit/observe/metrics.ts';
import { Channel } from '../../kit/thread/channel.ts';
import { ThreadsRoom } from '../../kit/thread/threads-room.ts';
import { serveWorker } from '../../kit/thread/worker.ts';
import { systemClock } from '../../lib/clock.ts';
import { processErrors } from '../../model/errors-process.ts';
import type { FrontData, FrontHostRole, FrontRole } from './front-role.ts';
import { handedRoute } from './handed-route.ts';
import { hostLogger } from './host-logger.ts';

// Listens for requests in a thread of its own: those of the routes that it has itself it answers, all others the main thread.

const { thread, server, auth, federation, host, isDebug, memory, routes, inForce } = workerData as FrontData;
const clock = systemClock;
const registry = new Registry();
const main = Promise.withResolvers<Channel<FrontHostRole>>();
let { sessionKey } = inForce;
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
  });
  made.add(routes.map((facts) => handedRoute(facts, main.promise)));
  return made;
}

const role: FrontRole = {
  connect: ({ host: port }: { readonly host: MessagePort }) => main.resolve(new Channel<FrontHostRole>(port)),
  take(now) {
    sessionKey = now.sessionKey;
    gate.take(now.users);
  },
  async listen({ port, isEarly }) {
    listener ??= listenerAt(port);
    await (isEarly ? listener.early : listener).start!(new AbortController().signal);
  },
  reload: () => listener?.reload(),
  async stopListening(_, { signal }) {
    await listener?.stop({ signal, progress: () => {} });
  },
  metrics: () => readMetrics(registry, []),
};
serveWorker(role);
