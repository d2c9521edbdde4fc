import type { IncomingMessage, OutgoingHttpHeaders, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type TLSSocket, type TlsOptions, Server as TlsServer } from 'node:tls';
import fastify, {
  type ConnectionError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type HTTPMethods,
} from 'fastify';
import { after, type Clock } from '../../lib/clock.ts';
import { leastOf } from '../../lib/least.ts';
import { type Room, SharedRoom } from '../../lib/shared-room.ts';
import { AppError } from '../../model/errors.ts';
import { processErrors } from '../../model/errors-process.ts';
import { tenantsOf } from '../../model/tenants.ts';
import type { Logger } from '../observe/log.ts';
import { counter, DURATION_BUCKETS, gauge, histogram, metricTable, type Registry } from '../observe/metrics.ts';
import type { Service, Stop } from '../service/service.ts';
import { ANYBODY, type Gate } from './auth.ts';
import { BodyIncomplete, BodyTooLarge, readBody } from './body.ts';
import { BrowserGuard } from './browser.ts';
import { acceptedEncoding, compress, compressStream, type Encoding } from './compress.ts';
import type { ServerConfig } from './config.ts';
import { failureOf, failureResponse } from './failure.ts';
import { networkOf } from './login-brake.ts';
import { type HttpResponse, needOf, type Route, textResponse } from './message.ts';
import { RoutePaths } from './route-paths.ts';
import { cutWhenUnread, freeWhenSent, isLarge, type Patience, piecesOf, writeBody } from './send.ts';
import { StandStills } from './stand-stills.ts';
import { tlsOptions } from './tls.ts';
import {
  belowPrefix,
  isPathTooLong,
  NOWHERE,
  PATH_BYTES_MAX,
  parseTarget,
  routable,
  withoutDoubledSlashes,
} from './url.ts';

const httpMetrics = metricTable({
  duration: histogram(
    'request_duration_seconds',
    'Time from the headers of a request to its answer.',
    DURATION_BUCKETS,
    ['method', 'route', 'status_code'],
  ),
  inflight: gauge('inflight_requests', 'Requests under way.', ['route']),
  receivedBytes: counter('request_body_bytes_total', 'Bytes of request bodies, as they came.', ['route']),
  sentBytes: counter('response_body_bytes_total', 'Bytes of answers, as they went.', ['route']),
  dropped: counter('connections_dropped_total', 'Connections closed because there were too many.'),
});
type HttpMetrics = ReturnType<typeof httpMetrics>;

export interface ListenerOptions {
  /** For logs: `http`, `admin`. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly config: ServerConfig;
  readonly gate: Gate;
  readonly log: Logger;
  readonly clock: Clock;
  /** Where its metrics go; only one listener of a thread has them. */
  readonly registry?: Registry;
  /** Bounds that the listeners of several threads have together. Default: those of this one alone. */
  readonly rooms?: ListenerRooms;
  /** Whether others listen at the same port: the system spreads connections among them. */
  readonly reusePort?: boolean;
  /** Certificates and keys, where another thread reads them. Default: from the files of the settings. */
  readonly readTls?: () => TlsOptions | undefined;
}

/** Hands requests to routes, wherever it listens. */
export interface Listener extends Service {
  /** Before `start`. Of two routes with the same path the first one stands. */
  add(routes: readonly Route[]): void;
  readonly routes: readonly Route[];
  /** Where it listens, once it does. */
  readonly url: string;
  /** Reads again what it reads from files, and takes on who may ask. @throws what is wrong: what is in force stays */
  reload(): void | Promise<void>;
  /** The same before all else of the process has started: until `start` it serves routes that are `early`, the others are 503. */
  readonly early: Service;
}

/** Rooms that connections take from. */
export interface ListenerRooms {
  /** Open connections, by client; its size is the most of all. */
  readonly connections: Room;
  /** Bytes of bodies of requests under way, as far as they have arrived, by tenant. */
  readonly bodies: Room;
  /** Bytes of answers that their clients have not taken yet, by tenant. */
  readonly answers: Room;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Empty for routes without a tenant; of several, their joined name. */
    tenant: string;
    /** The tenant whose share of the room its body and answer take. */
    payer: string;
    asker: string;
    /** When its headers were there, by the monotonic clock. */
    startMs: number;
    /** Bytes of its body that have arrived and are counted. */
    heldBytes: number;
    answerRaw: ServerResponse | undefined;
  }
}

const BODY_BYTES_MAX = 1 << 20;
/** Smaller answers are not counted: they lie with the connection at once. */
const ANSWER_COUNTED_BYTES_MIN = 64 << 10;
const NO_BODY = new Uint8Array(0);
const NO_QUERY = Object.freeze({});

/** Requests that a connection may send before it has the answers to those before. */
const PIPELINED_MAX = 64;

const UNREAD_BYTES_MIN = 16 << 10;

/** How long a connection whose request is no HTTP is still read. */
const LINGER_MS = 1_000;

const FAILURE_LOG_INTERVAL_MS = 1_000;
const TEXT_LOGGED_CHARS = 512;

/** How often it is looked for requests that do not come to their end. */
const LOOKED_MS_MAX = 2_000;
/** How often connections that have become idle are closed while the listener stops. */
const IDLE_SWEEP_MS = 50;

/** Listens on one address and hands requests to routes. Knows HTTP; knows nothing of what is served. */
export class HttpListener implements Listener {
  readonly name: string;
  readonly #options: ListenerOptions;
  readonly #app: FastifyInstance;
  readonly #metrics: HttpMetrics | undefined;
  /** By path. */
  readonly #routes = new Map<string, Route>();
  readonly #paths = new RoutePaths<Route>();
  readonly #browsers: BrowserGuard;
  readonly #clock: Clock;
  readonly #patience: Patience;
  readonly #stands: StandStills;
  /** Path below which all routes are. */
  readonly #prefix: string;
  /** Whether all routes are served, and not only those that are `early`. */
  #isOpen = true;
  #stopped: Promise<void> | undefined;
  /** Requests of a connection that its handlers are at: more than one where it does not wait for answers. */
  readonly #underWay = new WeakMap<Socket, number>();
  /** Status → when an answer with it was logged, and how many there were since. */
  readonly #failed = new Map<number, { loggedMs: number; since: number }>();
  readonly #connections: Room;
  readonly #bodies: Room;
  readonly #answers: Room;

  private constructor(options: ListenerOptions) {
    this.name = `${options.name}-listener`;
    this.#options = options;
    this.#clock = options.clock;
    this.#patience = { clock: this.#clock, pieceTimeoutMs: options.config.httpWriteTimeoutMs };
    this.#stands = new StandStills(this.#clock);
    this.#app = createApp(options, this.#stands);
    this.#prefix = prefixOf(options.config);
    const { connections, bodies, answers } = options.rooms ?? ownRooms(options.config);
    this.#connections = connections;
    this.#bodies = bodies;
    this.#answers = answers;
    // bodies stay as they came: what they hold is the handler's business, and nothing inflates before its size is judged
    this.#app.addContentTypeParser('*', (request: FastifyRequest, payload: IncomingMessage) =>
      readBody(payload, { bytesMax: bytesMaxOf(request), take: (bytes) => this.#take(request, bytes) }),
    );
    const { httpHostNames: hostNames, httpCorsOrigins: corsOrigins, httpTlsCertPath } = options.config;
    this.#browsers = BrowserGuard.of({ host: options.host, tls: httpTlsCertPath !== '', hostNames, corsOrigins });
    this.#metrics = options.registry === undefined ? undefined : httpMetrics(options.registry);
    this.#app.server.on('drop', () => this.#metrics?.dropped.inc());
    this.#app.server.on('connection', (socket: Socket) => this.#admitConnection(socket));
    this.#app.addHook('onRequest', (request, reply, goOn) => {
      // before a byte of its body is taken in
      if (request.is404) void this.#refuse(request, reply);
      else goOn();
    });
    this.#app.setErrorHandler((thrown, request, reply) => this.#fail(thrown, request, reply));
  }

  /** @throws where certificate or key cannot be read */
  static of(options: ListenerOptions): HttpListener {
    return new HttpListener(options);
  }

  add(routes: readonly Route[]): void {
    for (const route of routes) {
      if (this.#routes.has(route.path)) continue;
      this.#routes.set(route.path, route);
      this.#paths.add(route.path, route);
      this.#app.route({
        url: route.path,
        method: servedMethods(route),
        config: { route },
        // who asks is settled before a byte of the body is taken in
        onRequest: (request, reply, goOn) => {
          request.startMs = this.#clock.monotonicMs();
          const isServed = this.#isOpen || route.early === true;
          const admitted = isServed ? this.#admit(route, request) : this.#failure(processErrors.starting({}), request);
          if (typeof admitted !== 'string') return void this.#finish(route, request, reply, admitted);
          request.tenant = admitted;
          request.payer = this.#payerOf(admitted);
          request.answerRaw = reply.raw;
          goOn();
        },
        handler: (request, reply) => this.#answer(route, request, reply),
      });
    }
  }

  /** All that is served. */
  get routes(): readonly Route[] {
    return [...this.#routes.values()];
  }

  /** Reads certificates and keys again; connections there are keep theirs. */
  reload(): void {
    const tls = tlsOf(this.#options);
    if (tls !== undefined && this.#app.server instanceof TlsServer) this.#app.server.setSecureContext(tls);
  }

  get early(): Service {
    return {
      name: `early-${this.name}`,
      start: () => {
        this.#isOpen = false;
        return this.#listen();
      },
      stop: (stop) => this.stop(stop),
    };
  }

  async start(): Promise<void> {
    if (!this.#app.server.listening) await this.#listen();
    this.#isOpen = true;
  }

  async #listen(): Promise<void> {
    const { host, port, log, reusePort } = this.#options;
    try {
      await this.#app.listen({ host, port, ...(reusePort && { reusePort }) });
    } catch (cause) {
      throw new Error(listenProblem(cause, host, port), { cause });
    }
    this.#stands.start();
    log.info({ address: this.url }, 'listening');
  }

  get url(): string {
    const { config, host } = this.#options;
    const address = this.#app.server.address() as AddressInfo | null;
    return urlOf(config, host, address?.port ?? this.#options.port);
  }

  /** Takes no new connections, lets requests under way finish, and cuts them at the deadline. A second call waits for the first. */
  stop(stop: Stop): Promise<void> {
    this.#stopped ??= this.#stop(stop);
    return this.#stopped;
  }

  async #stop({ signal }: Stop): Promise<void> {
    const cut = () => this.#app.server.closeAllConnections();
    signal.addEventListener('abort', cut, { once: true });
    if (signal.aborted) cut();
    // a connection with a request under way is idle only when that is answered, and its client may send nothing more
    const sweep = this.#clock.every(IDLE_SWEEP_MS, () => this.#app.server.closeIdleConnections());
    try {
      await this.#app.close();
    } finally {
      this.#stands.stop();
      sweep.cancel();
      signal.removeEventListener('abort', cut);
    }
  }

  /** One client has so many connections only, so that others find some. */
  #admitConnection(socket: Socket): void {
    const client = networkOf(socket.remoteAddress ?? '');
    const { httpConnectionsPerClientMax } = this.#options.config;
    const connections = this.#connections;
    connections.force(client, 1);
    if (connections.heldBy(client) > httpConnectionsPerClientMax || connections.held > connections.size) {
      connections.give(client, 1);
      this.#metrics?.dropped.inc();
      socket.destroy();
      return;
    }
    socket.once('close', () => connections.give(client, 1));
  }

  /** A path that there is not, or a method that its route does not serve. */
  #refuse(request: FastifyRequest, reply: FastifyReply): FastifyReply | Promise<FastifyReply> {
    const route = this.#paths.find(request.raw.url ?? '/');
    const admitted = route && this.#admit(route, request);
    if (route === undefined || typeof admitted === 'string')
      return send(reply, notFound(request.originalUrl, this.#prefix));
    request.startMs = this.#clock.monotonicMs();
    return this.#finish(route, request, reply, admitted!);
  }

  async #answer(route: Route, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const labels = { route: route.path };
    const body = (request.body as Uint8Array | undefined) ?? NO_BODY;
    this.#metrics?.inflight.inc(labels);
    this.#metrics?.receivedBytes.inc(labels, body.length);
    const { socket } = request.raw;
    const underWay = this.#underWay.get(socket) ?? 0;
    this.#underWay.set(socket, underWay + 1);
    let response: HttpResponse;
    try {
      if (underWay >= PIPELINED_MAX) throw processErrors.tooManyPipelined({ limit: PIPELINED_MAX });
      response = await route.handle({
        method: request.method,
        ...parseTarget(belowPrefix(request.originalUrl, this.#prefix) ?? request.originalUrl),
        headers: request.headers,
        body,
        tenant: request.tenant,
        params: request.params as Record<string, string>,
        user: request.asker,
        address: request.raw.socket.remoteAddress ?? '',
        signal: goneSignal(reply.raw),
      });
      this.#hold(request.payer, response, reply.raw);
      if (response.status >= 500) this.#logFailed(request, response.status, shownBody(response));
    } catch (thrown) {
      response = this.#failure(thrown, request);
    } finally {
      this.#metrics?.inflight.dec(labels);
      this.#underWay.set(socket, this.#underWay.get(socket)! - 1);
    }
    return this.#finish(route, request, reply, response);
  }

  /** The tenant (empty where the route wants none), or why the request goes no further. */
  #admit(route: Route, request: FastifyRequest): string | HttpResponse {
    const { gate } = this.#options;
    const { method, headers } = request;
    const asGet = method === 'HEAD' && route.head !== false && route.methods.includes('GET');
    const isServed = asGet || route.methods.includes(method);
    const need = needOf(route, method);
    try {
      this.#browsers.check(method, headers, isServed && need === 'read');
      if (!isServed && method === 'OPTIONS') return { status: 204, headers: { allow: allowed(route) } };
      const isOpen = isServed ? need === 'nothing' : route.needs === 'nothing';
      const identity = isOpen ? ANYBODY : gate.identify(headers, request.raw.socket.remoteAddress);
      request.asker = identity.name;
      if (!isServed) return textResponse(405, 'Method Not Allowed\n', { allow: allowed(route) });
      if (need !== 'nothing') gate.check(identity, need);
      return route.tenant === undefined ? '' : gate.tenant(headers, identity, route.tenant);
    } catch (thrown) {
      return this.#failure(thrown, request);
    }
  }

  /** The tenant that pays: the one of several that holds least, so that they have no more room together than apart. */
  #payerOf(name: string): string {
    return leastOf(tenantsOf(name), (tenant) => this.#bodies.heldBy(tenant) + this.#answers.heldBy(tenant));
  }

  /** Makes room for bytes of a body as they arrive, until its request is answered. @throws serverBusy */
  #take(request: FastifyRequest, bytes: number): void {
    const { payer: tenant } = request;
    const bodies = this.#bodies;
    // a single body that is larger than all the room still passes when it comes alone
    if (bodies.held === request.heldBytes) bodies.force(tenant, bytes);
    else if (!bodies.take(tenant, bytes)) {
      const [heldBytes, ownBytes, limitBytes] = [bodies.held, bodies.heldBy(tenant), bodies.size];
      throw processErrors.serverBusy({ heldBytes, ownBytes, limitBytes });
    }
    if (request.heldBytes === 0) request.answerRaw!.once('close', () => bodies.give(tenant, request.heldBytes));
    request.heldBytes += bytes;
  }

  /** Makes room for an answer until its client has taken it. @throws tooManyAnswers */
  #hold(tenant: string, { body }: HttpResponse, raw: ServerResponse): void {
    const bytes = typeof body === 'string' || body instanceof Uint8Array ? body.length : 0;
    if (bytes < ANSWER_COUNTED_BYTES_MIN || raw.destroyed) return;
    const answers = this.#answers;
    if (answers.held === 0) answers.force(tenant, bytes);
    else if (!answers.take(tenant, bytes)) {
      const [heldBytes, ownBytes, limitBytes] = [answers.held, answers.heldBy(tenant), answers.size];
      throw processErrors.tooManyAnswers({ heldBytes, ownBytes, limitBytes });
    }
    raw.once('close', () => answers.give(tenant, bytes));
  }

  async #finish(
    route: Route,
    request: FastifyRequest,
    reply: FastifyReply,
    response: HttpResponse,
  ): Promise<FastifyReply> {
    this.#metrics?.duration.observe(
      { method: request.method, route: route.path, status_code: response.status },
      (this.#clock.monotonicMs() - request.startMs) / 1e3,
    );
    if (reply.raw.destroyed) return reply.hijack(); // the client is gone: there is nobody to answer
    if (route.cors === true) {
      reply.header('vary', 'Origin');
      if (request.headers.origin !== undefined) reply.headers({ ...this.#browsers.corsHeaders(request.headers) });
    }
    return this.#send(route, request, reply, response);
  }

  async #send(
    route: Route,
    request: FastifyRequest,
    reply: FastifyReply,
    response: HttpResponse,
  ): Promise<FastifyReply> {
    const { status, headers = {}, body = '' } = response;
    const { compressBytesMin } = this.#options.config;
    reply.code(status).headers(headers).header('x-content-type-options', 'nosniff');
    const size = sizeOf(body);
    let encoding: Encoding | undefined;
    if (size >= compressBytesMin && headers['content-encoding'] === undefined) {
      reply.header('vary', route.cors === true ? 'Origin, Accept-Encoding' : 'Accept-Encoding');
      encoding = acceptedEncoding(request.headers['accept-encoding']);
      if (encoding !== undefined) reply.header('content-encoding', encoding);
    }
    const sent = (bytes: number) => this.#metrics?.sentBytes.inc({ route: route.path }, bytes);
    if (typeof body !== 'string' && !(body instanceof Uint8Array)) {
      sent(await sendStream(reply, encoding === undefined ? body : compressStream(body, encoding), this.#patience));
      return reply;
    }
    const whole = encoding === undefined ? body : await compress(body, encoding);
    sent(sizeOf(whole));
    if (response.isOwn === true && body instanceof Uint8Array) freeWhenSent(reply.raw, body);
    if (whole instanceof Uint8Array && isLarge(whole) && request.method !== 'HEAD') {
      reply.header('content-length', whole.length);
      await sendStream(reply, piecesOf(whole), this.#patience);
      return reply;
    }
    reply.send(status === 204 ? undefined : whole);
    // what is smaller goes into the socket's own memory
    if (sizeOf(whole) > UNREAD_BYTES_MIN) cutWhenUnread(reply.raw, this.#patience);
    return reply;
  }

  /** An error as its route words it. */
  #failure(thrown: unknown, request: FastifyRequest): HttpResponse {
    const { log } = this.#options;
    const failure = failureOf(thrown);
    if (!(thrown instanceof AppError)) log.error({ err: thrown, url: shownUrl(request) }, 'request failed by a bug');
    else if (failure.status >= 500) this.#logFailed(request, failure.status, failure.text);
    const shown = isOwnScript(request) ? { ...failure, headers: withoutPrompt(failure.headers) } : failure;
    return failureResponse(shown, routeOf(request)?.failures ?? 'text');
  }

  /** One line a second and status: where all fail at once, the log does not grow with them. */
  #logFailed(request: FastifyRequest, status: number, error: string): void {
    const nowMs = this.#clock.monotonicMs();
    const seen = this.#failed.get(status) ?? { loggedMs: Number.NEGATIVE_INFINITY, since: 0 };
    this.#failed.set(status, seen);
    seen.since++;
    if (nowMs - seen.loggedMs < FAILURE_LOG_INTERVAL_MS) return;
    const { method } = request;
    const tenant = request.tenant || undefined;
    this.#options.log.warn(
      {
        status,
        method,
        url: shownUrl(request),
        tenant,
        error: error.slice(0, TEXT_LOGGED_CHARS),
        requests: seen.since,
      },
      'request failed',
    );
    seen.loggedMs = nowMs;
    seen.since = 0;
  }

  /** Errors that occur before a handler sees the request: a body too large, a length that lies. */
  #fail(thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const { statusCode, message } = thrown as { statusCode?: number; message: string };
    // the rest of the body is still to come: the connection is of no further use
    if (!request.raw.complete) reply.header('connection', 'close');
    if (thrown instanceof BodyTooLarge) {
      const limit = routeOf(request)?.bodyLimit ?? 'fixed';
      return send(
        reply,
        this.#failure(processErrors.bodyTooLarge({ limitBytes: bytesMaxOf(request), limit }), request),
      );
    }
    if (thrown instanceof BodyIncomplete) return send(reply, textResponse(400, 'the body ended early\n'));
    if (statusCode !== undefined && statusCode < 500) return send(reply, textResponse(statusCode, `${message}\n`));
    return send(reply, this.#failure(thrown, request));
  }
}

/** The address that requests go to. */
export function urlOf(config: ServerConfig, host: string, port: number): string {
  const shown = host.includes(':') ? `[${host}]` : host;
  const scheme = config.httpTlsCertPath === '' ? 'http' : 'https';
  return `${scheme}://${shown}:${port}${prefixOf(config)}`;
}

function ownRooms(config: ServerConfig): ListenerRooms {
  return {
    // the server itself has a bound of all
    connections: new SharedRoom(Number.POSITIVE_INFINITY),
    bodies: new SharedRoom(config.inflightBodyBytesMax),
    answers: new SharedRoom(config.inflightAnswerBytesMax),
  };
}

/** Whether a script of a page of this server asks. */
function isOwnScript({ headers }: FastifyRequest): boolean {
  return headers['sec-fetch-site'] === 'same-origin' && headers['sec-fetch-dest'] === 'empty';
}

/** Without the header at which a browser asks for name and password: pages do that themselves. */
function withoutPrompt({
  'www-authenticate': _,
  ...headers
}: Readonly<Record<string, string>>): Record<string, string> {
  return headers;
}

function sizeOf(body: NonNullable<HttpResponse['body']>): number {
  if (typeof body === 'string') return Buffer.byteLength(body);
  return body instanceof Uint8Array ? body.length : Number.POSITIVE_INFINITY;
}

/** Sends a body that is more than one piece; the connection is closed where it fails half-way. */
function sendStream(
  reply: FastifyReply,
  body: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  patience: Patience,
): Promise<number> {
  const { raw, statusCode } = reply.hijack();
  raw.writeHead(statusCode, reply.getHeaders() as OutgoingHttpHeaders);
  return writeBody(raw, reply.request.method === 'HEAD' ? [] : body, patience);
}

/** A request's address for the log. */
function shownUrl({ originalUrl }: FastifyRequest): string {
  return originalUrl.slice(0, TEXT_LOGGED_CHARS);
}

function shownBody({ body }: HttpResponse): string {
  if (typeof body === 'string') return body.trim();
  return body instanceof Uint8Array ? Buffer.from(body.subarray(0, TEXT_LOGGED_CHARS)).toString() : '';
}

function notFound(url: string, prefix: string): HttpResponse {
  if (isPathTooLong(url)) return textResponse(414, `the path is longer than ${PATH_BYTES_MAX} bytes\n`);
  const location = withoutDoubledSlashes(url) ?? (url === '/' && prefix !== '' ? `${prefix}/` : undefined);
  return location === undefined
    ? textResponse(404, '404 page not found\n')
    : textResponse(307, `see ${location}\n`, { location });
}

function routeOf(request: FastifyRequest): Route | undefined {
  return (request.routeOptions.config as { route?: Route }).route;
}

function bytesMaxOf(request: FastifyRequest): number {
  return routeOf(request)?.bodyBytesMax ?? BODY_BYTES_MAX;
}

/** `/metrics/` → `/metrics` */
function prefixOf({ httpPathPrefix }: ServerConfig): string {
  return httpPathPrefix.replace(/\/$/, '');
}

/** @throws where certificate or key cannot be read */
function tlsOf({ readTls, config }: ListenerOptions): TlsOptions | undefined {
  return readTls === undefined ? tlsOptions(config) : readTls();
}

function createApp(given: ListenerOptions, stands: StandStills): FastifyInstance {
  const { config, clock } = given;
  const common = {
    maxHeaderSize: config.httpHeaderBytesMax,
    headersTimeout: config.httpHeaderTimeoutMs,
    connectionsCheckingInterval: LOOKED_MS_MAX,
  };
  const options = {
    logger: false,
    exposeHeadRoutes: false,
    forceCloseConnections: 'idle' as const,
    clientErrorHandler: (error: ConnectionError, socket: Socket) =>
      refuseGarbage(error, socket, { config, clock, stands }),
    frameworkErrors: (error: Error & { statusCode?: number }, _: FastifyRequest, reply: FastifyReply) => {
      send(reply, textResponse(error.statusCode ?? 400, `${error.message}\n`));
    },
    requestTimeout: config.httpReadTimeoutMs,
    connectionTimeout: config.httpStallTimeoutMs,
    keepAliveTimeout: config.httpIdleTimeoutMs,
    // what stands behind `?` is the handlers' business
    routerOptions: { maxParamLength: 8192, querystringParser: () => NO_QUERY },
    rewriteUrl: ({ url = '/' }: { url?: string | undefined }) => {
      const target = belowPrefix(url, prefixOf(config));
      return target === undefined ? NOWHERE : routable(target);
    },
  };
  const tls = tlsOf(given);
  const app =
    tls === undefined
      ? fastify({ ...options, http: common })
      : (fastify({ ...options, https: { ...common, ...tls } }) as unknown as FastifyInstance<Server>);
  // a certificate may be left out where it is only asked for, but one that is shown must be right
  app.server.prependListener('secureConnection', (socket: TLSSocket) => {
    if (tls?.requestCert && !socket.authorized && socket.getPeerX509Certificate() !== undefined) socket.destroy();
  });
  app.server.maxConnections = config.httpConnectionsMax;
  app.decorateRequest('tenant', '');
  app.decorateRequest('startMs', 0);
  app.decorateRequest('heldBytes', 0);
  app.decorateRequest('answerRaw', undefined);
  app.removeAllContentTypeParsers();
  return app;
}

/** Answers what Node's parser does not take, in our own words. */
function refuseGarbage(
  { code }: ConnectionError,
  socket: Socket,
  { config, clock, stands }: { readonly config: ServerConfig; readonly clock: Clock; readonly stands: StandStills },
): void {
  if (code === 'ECONNRESET' || socket.destroyed) return;
  const { httpReadTimeoutMs, httpHeaderTimeoutMs } = config;
  const [status, text] =
    code === 'HPE_HEADER_OVERFLOW'
      ? [
          '431 Request Header Fields Too Large',
          `address and headers are larger than ${config.httpHeaderBytesMax} bytes (server.http_header_bytes_max); a long query goes as a form, with POST`,
        ]
      : code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? [
            // senders send again what is 503, and drop what is 408: the request may have been there all the time
            stands.within(httpReadTimeoutMs + LOOKED_MS_MAX) ? '503 Service Unavailable' : '408 Request Timeout',
            `headers must come within ${httpHeaderTimeoutMs} ms (server.http_header_timeout), a whole request within ${httpReadTimeoutMs} ms (server.http_read_timeout)`,
          ]
        : code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW'
          ? ['413 Payload Too Large', 'the extensions of its chunks are too large']
          : ['400 Bad Request', `this is no HTTP request (${code ?? 'unknown'})`];
  const body = `${text}\n`;
  // nothing may go in between an answer to an earlier request
  const isAnswering = (socket as { _httpMessage?: ServerResponse })._httpMessage?.headersSent === true;
  if (!socket.writable || isAnswering) return void socket.destroy();
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
  // what is still to come is thrown away for a moment: a client that is cut off while it sends does not read the answer
  socket.removeAllListeners('data').on('data', () => {});
  const timer = after(clock, LINGER_MS, () => socket.destroy());
  socket.once('close', () => timer.cancel());
}

/** Aborted when the connection closes before the answer is written. */
function goneSignal(raw: ServerResponse): AbortSignal {
  const gone = new AbortController();
  raw.once('close', () => {
    if (!raw.writableFinished) gone.abort(processErrors.callCancelled({}));
  });
  return gone.signal;
}

function servedMethods({ methods, head }: Route): HTTPMethods[] {
  const asGet = head !== false && methods.includes('GET') && !methods.includes('HEAD');
  return [...methods, ...(asGet ? ['HEAD'] : [])] as HTTPMethods[];
}

function allowed(route: Route): string {
  return [...new Set([...servedMethods(route), 'OPTIONS'])].sort().join(', ');
}

function send(reply: FastifyReply, { status, headers = {}, body }: HttpResponse): FastifyReply {
  return reply.code(status).headers(headers).send(body);
}

/** @param cause what listening failed with */
export function listenProblem(cause: unknown, host: string, port: number): string {
  const { code, message } = cause as { code?: string; message: string };
  const where = `cannot listen on ${host}:${port}`;
  if (code === 'EADDRINUSE')
    return `${where}: another process does already; choose another with -server.http-listen-port`;
  if (code === 'EACCES')
    return `${where}: not permitted; ports below 1024 need rights, choose another with -server.http-listen-port`;
  if (code === 'EADDRNOTAVAIL') return `${where}: this machine has no such address; check -server.http-listen-address`;
  return `${where}: ${message}`;
}
