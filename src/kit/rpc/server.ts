import {
  type AddressInfo,
  createServer as createTcpServer,
  type ListenOptions,
  type Server,
  type Socket,
} from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import { after, type Clock, type Timer } from '../../lib/clock.ts';
import { type RandomBytes, systemBytes } from '../../lib/random.ts';
import { SharedRoom } from '../../lib/shared-room.ts';
import { AppError } from '../../model/errors.ts';
import { peerErrors } from '../../model/errors-peer.ts';
import { processErrors } from '../../model/errors-process.ts';
import type { Logger } from '../observe/log.ts';
import { type TraceParent, traceIdOf, traceParentOf, withTrace } from '../observe/trace.ts';
import type { Service, Stop } from '../service/service.ts';
import { CallTurns } from './call-turns.ts';
import { decodeValue, encodeValue } from './codec.ts';
import { Connection, type Message } from './connection.ts';
import { ANSWER, CANCEL, CREDIT, END, ERROR, GOING, HELLO, ITEM, PROOF, REQUEST, WELCOME } from './frame.ts';
import {
  differenceOf,
  introduction,
  makeHello,
  NONCE_BYTES,
  type PeerSelf,
  type Room,
  readHello,
  readIntroduction,
  transcriptOf,
} from './handshake.ts';
import type { ServedMetrics } from './metrics.ts';
import type { RpcAnswer, RpcRole } from './role.ts';
import { checkSecurity, type PeerSecurity, type PeerTls } from './security.ts';
import { itemCost } from './stream-inbox.ts';
import { flattenedError } from './wire-error.ts';

export interface RpcServerOptions {
  readonly host: string;
  /** 0: any. */
  readonly port: number;
  /**
   * Another thread of this process listens at the same port while the one takes it over from the other. `first`: nobody else may listen
   * there when this one starts; `next`: this process does. Absent: it has the port to itself.
   */
  readonly sharing?: 'first' | 'next' | undefined;
  readonly self: PeerSelf;
  readonly security: () => PeerSecurity;
  readonly role: RpcRole;
  readonly clock: Clock;
  readonly log: Logger;
  readonly randomBytes?: RandomBytes;
  readonly pingMs?: number;
  /** How long who connects may take for TLS's handshake, and then for its first words. */
  readonly introductionMs?: number;
  /** Where it counts. Absent: nowhere. */
  readonly metrics?: ServedMetrics | undefined;
  /** Bytes of all requests under way; a peer has a share of it. */
  readonly inflightBytesMax?: number;
  /** Writes that are worked at side by side; others wait, and peers have turns. */
  readonly writesMax?: number;
  /** Bytes of their bodies. */
  readonly writeBytesMax?: number;
}

const PING_MS = 2_000;
const INFLIGHT_BYTES_MAX = 256 * 1024 * 1024;
/** Writes, which are calls with a body, and bytes of them that are worked at side by side: enough for all shards, and no long queue before them. */
const WRITES_MAX = 16;
const WRITES_MIN = 2;
const WRITE_BYTES_MAX = 256 * 1024;
/** Other calls: some wait for what takes long. */
const OTHERS_MAX = 512;
/** Calls that wait for their turn, of all peers. */
const WAITING_MAX = 16_384;
const CONNECTIONS_MAX = 4_096;
/** Connections whose other side has not proved yet who it is. */
const STRANGERS_MAX = 256;
const INTRODUCTION_MS = 5_000;
const ROOM: Room = { callsMax: 256, bytesMax: 32 * 1024 * 1024 };
/** Answers that a peer does not read; when there are more, its next calls are refused. */
const UNREAD_BYTES_MAX = 32 * 1024 * 1024;
/** How often calls are looked through for those whose time is up. */
const SWEEP_MS = 50;
const TIMEOUT_MS_MAX = 3_600_000;

/** Listens for other processes and answers their calls with a role. Whoever has not proved who it is gets no further than a nonce. */
export class RpcServer implements Service {
  readonly name = 'peer-listener';
  readonly #options: RpcServerOptions;
  readonly #peers = new Set<Peer>();
  /** Sockets whose other side has not proved who it is, one within TLS's handshake among them; by where they come from, the oldest first. */
  readonly #strangers = new Map<string, Socket>();
  readonly #served: Served;
  #server: Server | undefined;
  #port = 0;
  #sweeper: Timer | undefined;
  #isStopping = false;

  constructor(options: RpcServerOptions) {
    this.#options = options;
    const { role, clock, inflightBytesMax = INFLIGHT_BYTES_MAX } = options;
    const { writesMax: runningMax = WRITES_MAX, writeBytesMax: runningBytesMax = WRITE_BYTES_MAX } = options;
    const shared = { runningMin: Math.min(WRITES_MIN, runningMax), waitingMax: WAITING_MAX, clock };
    this.#served = {
      role,
      clock,
      metrics: options.metrics,
      room: new SharedRoom(inflightBytesMax),
      writes: new CallTurns({ runningMax, runningBytesMax, ...shared }),
      others: new CallTurns({ runningMax: OTHERS_MAX, runningBytesMax: Number.POSITIVE_INFINITY, ...shared }),
      log: options.log,
    };
  }

  /** The port that it listens on. */
  get port(): number {
    if (this.#port === 0) throw new Error('bug: asked for a port before the start');
    return this.#port;
  }

  /** Connections of other processes that have proved who they are. */
  get connections(): number {
    return this.#peers.size;
  }

  async start(): Promise<void> {
    const { host, port, security, sharing, clock } = this.#options;
    checkSecurity(host, security());
    this.#sweeper = clock.every(SWEEP_MS, () => {
      const nowMs = clock.monotonicMs();
      for (const peer of this.#peers) peer.sweep(nowMs);
    });
    await this.#listen(sharing === 'first' ? await freePort(host, port) : port);
  }

  /** Listens no more, for another thread does at the same port: those that are connected ask there from now on. Calls under way are answered. */
  leavePort(): void {
    const server = this.#server;
    this.#server = undefined;
    server?.close();
    for (const peer of this.#peers) peer.going();
  }

  /** Listens again, at the same port. @throws where that cannot be */
  async takePort(): Promise<void> {
    if (this.#server === undefined && !this.#isStopping) await this.#listen(this.port);
  }

  async #listen(port: number): Promise<void> {
    const { host, security, sharing, log, introductionMs = INTRODUCTION_MS } = this.#options;
    const secured = security();
    const server: Server =
      secured.tls === undefined
        ? createTcpServer()
        : createTlsServer({ ...tlsOf(secured.tls), handshakeTimeout: introductionMs });
    server.on('connection', (socket: Socket) => this.#meet(socket));
    server.on(secured.tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => this.#accept(socket));
    server.maxConnections = CONNECTIONS_MAX;
    // a TLS handshake that failed: its socket is gone with it
    server.on('tlsClientError', () => {});
    this.#server = server;
    try {
      await listening(server, { host, port, reusePort: sharing !== undefined });
    } catch (error) {
      this.#server = undefined;
      throw error;
    }
    this.#port = (server.address() as AddressInfo).port;
    server.on('error', (err) => log.error({ err: err.message }, 'the listener for other processes has trouble'));
  }

  /** Certificates were read again: those that connect from now on see the new ones. */
  securityChanged(): void {
    const { tls } = this.#options.security();
    if (tls !== undefined && this.#server !== undefined && 'setSecureContext' in this.#server) {
      (this.#server as TlsServer).setSecureContext(tlsOf(tls));
    }
  }

  /** Takes no more calls, answers those under way, and ends. */
  async stop(stop?: Stop): Promise<void> {
    this.#isStopping = true;
    const closed = new Promise<void>((resolve) => {
      if (this.#server === undefined) resolve();
      else this.#server.close(() => resolve());
    });
    for (const socket of this.#strangers.values()) socket.destroy();
    for (const peer of this.#peers) peer.going();
    const now = () => {
      for (const peer of this.#peers) peer.connection.close('the process ends');
    };
    if (stop?.signal.aborted) now();
    else stop?.signal.addEventListener('abort', now, { once: true });
    await closed;
    this.#sweeper?.cancel();
  }

  /** Counts a TCP connection among the strangers until it is trusted or gone. */
  #meet(socket: Socket): void {
    const from = originOf(socket);
    // who knows what to say has said it by now
    const [oldest] = this.#strangers;
    if (oldest !== undefined && this.#strangers.size >= STRANGERS_MAX) {
      this.#refuse(...oldest);
      oldest[1].destroy();
    }
    this.#strangers.set(from, socket);
    socket.once('close', () => this.#refuse(from, socket));
  }

  /** A stranger is gone: counted once, and not where it has proved who it is meanwhile. */
  #refuse(from: string, socket: Socket): void {
    if (this.#strangers.get(from) !== socket) return;
    this.#strangers.delete(from);
    this.#options.metrics?.refused.inc();
  }

  #accept(socket: Socket): void {
    if (this.#isStopping) {
      socket.destroy();
      return;
    }
    const { clock, self, security, randomBytes = systemBytes, log, metrics } = this.#options;
    const { pingMs = PING_MS, introductionMs = INTRODUCTION_MS } = this.#options;
    const from = originOf(socket);
    const { keys } = security();
    const hello = encodeValue(makeHello(randomBytes(NONCE_BYTES), keys !== undefined));
    let transcript: Uint8Array | undefined;
    let peer: Peer | undefined;
    const tooLong = after(clock, introductionMs, () => {
      connection.close('it did not say who it is');
      socket.destroy();
    });
    const introduced = ({ kind, head }: Message) => {
      try {
        if (kind === HELLO && transcript === undefined) {
          const theirs = readHello(head);
          connection.send(HELLO, 0, hello);
          if (theirs.keyed && keys === undefined) {
            throw peerErrors.peerRefused({ reason: 'it wants the shared key proved, and none is set here' });
          }
          transcript = transcriptOf(head, hello);
        } else if (kind === PROOF && transcript !== undefined) {
          const { name, cluster, key } = readIntroduction(head, keys, 'caller', transcript);
          const difference = differenceOf(self.cluster, cluster);
          if (difference !== undefined) throw peerErrors.peerRefused({ reason: difference });
          const said = encodeValue({ name: self.name, cluster: self.cluster, ...ROOM });
          connection.send(WELCOME, 0, encodeValue(introduction(key, 'listener', transcript, said)));
          connection.trust();
          tooLong.cancel();
          this.#strangers.delete(from);
          peer = new Peer(name, connection, this.#served);
          this.#peers.add(peer);
          metrics?.connections.set(this.#peers.size);
          // it came before the port was left
          if (this.#isStopping || this.#server === undefined) peer.going();
        } else throw peerErrors.peerMessageInvalid({ reason: `a message of kind ${kind} before the proof` });
      } catch (error) {
        log.warn({ from, err: (error as Error).message }, 'a connection of another process was refused');
        connection.send(ERROR, 0, flattenedError(error));
        connection.close((error as Error).message);
      }
    };
    const connection: Connection = new Connection({
      socket,
      peer: from,
      clock,
      pingMs,
      events: {
        begins: (kind, id, bodyBytes) => peer === undefined || peer.begins(kind, id, bodyBytes),
        message: (message) => {
          if (peer === undefined) introduced(message);
          else peer.take(message);
        },
        closed: (reason) => {
          tooLong.cancel();
          if (peer === undefined) return;
          this.#peers.delete(peer);
          metrics?.connections.set(this.#peers.size);
          peer.ended(reason);
        },
      },
    });
  }
}

/** The same for a TCP connection and for TLS over it. */
function originOf(socket: Socket): string {
  return `${socket.remoteAddress}:${socket.remotePort}`;
}

function listening(server: Server, where: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** A port at which nobody listens, not even one who would share it. @throws where the one asked for is taken */
async function freePort(host: string, port: number): Promise<number> {
  const server = createTcpServer();
  await listening(server, { host, port });
  const free = (server.address() as AddressInfo).port;
  server.close();
  return free;
}

function tlsOf({ cert, key, ca }: PeerTls) {
  return { cert, key, ca, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' as const };
}

interface ServedCall {
  readonly id: number;
  readonly bytes: number;
  readonly cancel: AbortController;
  /** Its request is whole. */
  hasBegun: boolean;
  /** Empty: not known. */
  method: string;
  /** Monotonic time when its request began. */
  readonly startMs: number;
  /** Monotonic. */
  deadlineMs: number;
  /** Bytes of items that may still be sent. */
  credit: number;
  /** Called when there is more credit. */
  wake: () => void;
}

/** The parts of a listener that all its connections share. */
interface Served {
  readonly role: RpcRole;
  readonly clock: Clock;
  readonly metrics: ServedMetrics | undefined;
  /** Bytes of requests under way, by peer. */
  readonly room: SharedRoom;
  readonly writes: CallTurns;
  readonly others: CallTurns;
  readonly log: Logger;
}

/** Another process that asks, on one connection. */
class Peer {
  readonly name: string;
  readonly connection: Connection;
  readonly #served: Served;
  readonly #calls = new Map<number, ServedCall>();
  #bytes = 0;
  #isGoing = false;

  constructor(name: string, connection: Connection, served: Served) {
    this.name = name;
    this.connection = connection;
    this.#served = served;
  }

  going(): void {
    this.#isGoing = true;
    this.connection.send(GOING, 0);
    this.#endWhenIdle();
  }

  /** Makes room for a request. False: there is none, and its answer says so. */
  begins(kind: number, id: number, bodyBytes: number): boolean {
    if (kind !== REQUEST) return false;
    if (this.#calls.has(id)) throw peerErrors.peerMessageInvalid({ reason: `call ${id} is under way already` });
    if (this.#calls.size >= ROOM.callsMax || this.#bytes + bodyBytes > ROOM.bytesMax) {
      throw peerErrors.peerMessageInvalid({ reason: 'more calls under way than it was given room for' });
    }
    const isRead = this.connection.waitingBytes < UNREAD_BYTES_MAX;
    const hasRoom = isRead && this.#served.room.take(this.name, bodyBytes);
    const bytes = hasRoom ? bodyBytes : 0;
    this.#bytes += bytes;
    const cancel = new AbortController();
    const deadlineMs = Number.POSITIVE_INFINITY;
    const startMs = this.#served.clock.monotonicMs();
    const call = { id, bytes, cancel, hasBegun: false, method: '', startMs, deadlineMs, credit: 0, wake: () => {} };
    this.#calls.set(id, call);
    this.#served.metrics?.heldBytes.set(this.#served.room.held);
    if (!hasRoom) {
      const [what, limit] = isRead
        ? ['bytes of requests', this.#served.room.size]
        : ['bytes of answers that are not read', UNREAD_BYTES_MAX];
      this.#fail(id, peerErrors.peerBusy({ peer: 'the member', what: `${what}`, limit: Number(limit) }));
    }
    return hasRoom;
  }

  take(message: Message): void {
    const { kind, call: id, head } = message;
    const call = this.#calls.get(id);
    switch (kind) {
      case REQUEST:
        if (call !== undefined) this.#begin(call, message);
        return;
      case CREDIT: {
        const bytes = decodeValue(head);
        if (call === undefined || typeof bytes !== 'number' || !(bytes > 0)) return;
        call.credit += bytes;
        call.wake();
        return;
      }
      case CANCEL:
        this.connection.drop(id);
        this.connection.forget(id);
        if (call === undefined || !call.hasBegun) {
          // nobody works at it: this is all that is said of it
          if (call !== undefined) this.#through(call);
          this.connection.send(END, id);
          return;
        }
        call.cancel.abort(processErrors.callCancelled({}));
        call.wake();
        return;
      default:
        throw peerErrors.peerMessageInvalid({ reason: `a message of kind ${kind}` });
    }
  }

  /** The connection is gone: what it asked for is not needed any more. */
  ended(reason: AppError): void {
    for (const call of [...this.#calls.values()]) {
      call.cancel.abort(reason);
      call.wake();
      if (!call.hasBegun) this.#through(call);
    }
  }

  #begin(call: ServedCall, { head, body, memory }: Message): void {
    const { id } = call;
    const { role, clock, writes, others, log } = this.#served;
    call.hasBegun = true;
    let method: RpcRole[string];
    let request: unknown;
    let trace: TraceParent | undefined;
    try {
      const [name, timeoutMs, credit, value, traceText] = decodeValue(head) as readonly unknown[];
      if (typeof name !== 'string' || typeof timeoutMs !== 'number' || typeof credit !== 'number') {
        throw peerErrors.peerMessageInvalid({ reason: 'a request without a method' });
      }
      if (!Object.hasOwn(role, name)) throw peerErrors.peerMethodUnknown({ method: name.slice(0, 100) });
      method = role[name]!;
      call.method = name;
      request = value;
      trace = traceParentOf(traceText);
      call.credit = credit;
      call.deadlineMs = clock.monotonicMs() + Math.min(Math.max(0, timeoutMs), TIMEOUT_MS_MAX);
    } catch (error) {
      this.#fail(id, error);
      return;
    }
    const { signal } = call.cancel;
    const work = async () => {
      try {
        signal.throwIfAborted();
        if (trace !== undefined)
          log.debug({ method: call.method, peer: this.name, traceId: traceIdOf(trace) }, 'asked');
        const answer = await withTrace(trace, () => method({ head: request, body }, { signal, peer: this.name }));
        // one that hands its request back is still to be sent
        if (answer.body?.buffer !== body.buffer) this.connection.give(memory);
        await this.#answer(call, answer);
      } catch (error) {
        this.#fail(id, error);
      }
    };
    const turns = body.length > 0 ? writes : others;
    if (!turns.run(this.name, body.length, work)) {
      this.#fail(id, peerErrors.peerBusy({ peer: 'the member', what: 'calls that wait', limit: WAITING_MAX }));
    }
  }

  async #answer(call: ServedCall, { head, body, items }: RpcAnswer): Promise<void> {
    const { id } = call;
    const { signal } = call.cancel;
    const iterator = items?.[Symbol.asyncIterator]();
    try {
      signal.throwIfAborted();
      this.connection.send(ANSWER, id, encodeValue(head), body);
    } catch (error) {
      await iterator?.return?.();
      throw error;
    }
    if (iterator === undefined) this.#through(call);
    else {
      // whoever reads it may take its time, and others have their turn meanwhile
      call.deadlineMs = Number.POSITIVE_INFINITY;
      void this.#stream(call, iterator);
    }
  }

  async #stream(call: ServedCall, iterator: AsyncIterator<Uint8Array>): Promise<void> {
    const { id } = call;
    const { signal } = call.cancel;
    try {
      for (;;) {
        await this.connection.drained();
        while (call.credit <= 0 && !signal.aborted) {
          await new Promise<void>((resolve) => {
            call.wake = resolve;
          });
        }
        signal.throwIfAborted();
        const next = await iterator.next();
        signal.throwIfAborted();
        if (next.done === true) break;
        call.credit -= itemCost(next.value.length);
        this.connection.send(ITEM, id, undefined, next.value);
      }
      this.connection.send(END, id);
      this.#through(call);
    } catch (error) {
      this.#fail(id, error);
      await iterator.return?.().catch(() => {});
    }
  }

  #fail(id: number, error: unknown): void {
    const call = this.#calls.get(id);
    if (call === undefined) return;
    const { method } = call;
    this.#served.metrics?.failures.inc({ method, reason: AppError.from(error).reason });
    this.connection.send(ERROR, id, flattenedError(error));
    this.#through(call);
  }

  #through(call: ServedCall): void {
    if (!this.#calls.delete(call.id)) return;
    const { metrics, clock, room } = this.#served;
    const { method } = call;
    metrics?.requests.inc({ method });
    metrics?.seconds.inc({ method }, (clock.monotonicMs() - call.startMs) / 1000);
    this.#bytes -= call.bytes;
    room.give(this.name, call.bytes);
    metrics?.heldBytes.set(room.held);
    this.#endWhenIdle();
  }

  #endWhenIdle(): void {
    if (this.#isGoing && this.#calls.size === 0) this.connection.end();
  }

  /** Ends calls whose time is up. */
  sweep(nowMs: number): void {
    for (const { method, startMs, deadlineMs, cancel, wake } of this.#calls.values()) {
      if (nowMs < deadlineMs || cancel.signal.aborted) continue;
      // the caller may hear of it before its own time is up
      const limitMs = Math.round(deadlineMs - startMs);
      cancel.abort(peerErrors.peerSlow({ peer: 'the member', method, limitMs }));
      wake();
    }
  }
}
