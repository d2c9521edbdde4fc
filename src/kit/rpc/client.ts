import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { backoffMs } from '../../lib/backoff.ts';
import { after, type Clock, type Timer } from '../../lib/clock.ts';
import { type Random, type RandomBytes, systemBytes, systemRandom } from '../../lib/random.ts';
import { AppError } from '../../model/errors.ts';
import { peerErrors } from '../../model/errors-peer.ts';
import { currentTrace, type TraceParent } from '../observe/trace.ts';
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
import type { PeerMeter, PeerMetrics } from './metrics.ts';
import type { RpcCaller, RpcOptions, RpcReply, RpcStreamReply } from './role.ts';
import { checkSecurity, hostAndPort, type PeerSecurity } from './security.ts';
import { StreamInbox } from './stream-inbox.ts';
import { revivedError } from './wire-error.ts';

export interface RpcClientOptions {
  /** `host:port` of a peer listener. */
  readonly address: string;
  /** Name of who must listen there: another one is left alone. Absent: whoever does. */
  readonly expects?: string | undefined;
  readonly self: PeerSelf;
  /** Asked at each connection: keys and certificates may have changed. */
  readonly security: () => PeerSecurity;
  readonly clock: Clock;
  readonly random?: Random;
  readonly randomBytes?: RandomBytes;
  readonly timeoutMs?: number;
  readonly pingMs?: number;
  /** Where it counts. Absent: nowhere. */
  readonly metrics?: PeerMetrics | undefined;
}

const TIMEOUT_MS = 20_000;
const CONNECT_MS_MAX = 5_000;
const PING_MS = 2_000;
/** Attempts to connect in a row that failed, after which calls no longer wait for the next one. */
const FAILURES_MAX = 2;
/** How long an address that could not be reached is left alone. */
const AWAY = { minMs: 100, maxMs: 5_000, triesMax: 1 };
/** Calls in a row that were not answered in time, after which a process is left alone for a while: others do its part meanwhile. */
const LATE_CALLS_MAX = 5;
const LEFT_ALONE_MS = 2_000;
/** Calls and bytes that wait here for room on the other side; more are refused. */
const WAITING_CALLS_MAX = 4_096;
const WAITING_BYTES_MAX = 64 * 1024 * 1024;
/** How often calls are looked through for those whose time is up. */
const SWEEP_MS = 50;
const CALLS_MAX = 2 ** 32 - 1;
const EMPTY = new Uint8Array(0);

interface PendingCall {
  readonly id: number;
  readonly method: string;
  readonly head: unknown;
  readonly trace: TraceParent | undefined;
  readonly body: Uint8Array;
  readonly deadlineMs: number;
  readonly timeoutMs: number;
  readonly inbox: StreamInbox | undefined;
  /** The answer has begun; a stream is still read. */
  isAnswered: boolean;
  /** Nobody waits for it; the other side has not said yet that it is through with it. */
  isLeft: boolean;
  /** Where it was sent; undefined: it waits. */
  sentOn: Open | undefined;
  resolve(reply: RpcReply): void;
  reject(error: unknown): void;
  /** Nobody waits for its signal any more. */
  done(): void;
}

interface Open {
  readonly connection: Connection;
  readonly room: Room;
  /** Calls that were sent and are not through. */
  readonly calls: Map<number, PendingCall>;
  /** Bytes of their requests. */
  bytes: number;
  isGoing: boolean;
}

/**
 * The way to one process: one connection, made when it is needed and again after it ended. Calls that do not fit the room that the
 * other side gives wait here, up to a bound. A call that fails may have been done.
 */
export class RpcClient implements RpcCaller {
  readonly address: string;
  readonly #options: RpcClientOptions;
  readonly #meter: PeerMeter | undefined;
  readonly #waiting: PendingCall[] = [];
  #waitingBytes = 0;
  /** The one that new calls go over. */
  #open: Open | undefined;
  /** With those that the other side is ending, which still answer. */
  readonly #connections = new Set<Open>();
  #opening: Promise<void> | undefined;
  #lastId = 0;
  #failures = 0;
  #failedMs: number | undefined;
  /** Calls in a row that were not answered in time. */
  #lateCalls = 0;
  /** Monotonic; until then calls fail at once. */
  #awayUntilMs = Number.NEGATIVE_INFINITY;
  #awayError: AppError | undefined;
  #sweeper: Timer | undefined;
  #isClosed = false;
  /** Bytes of connections that have ended. */
  readonly #ended = { sentBytes: 0, receivedBytes: 0 };

  constructor(options: RpcClientOptions) {
    this.#options = options;
    this.address = options.address;
    this.#meter = options.metrics?.add(this);
  }

  /** Bytes that went over the wire, of all connections. */
  get sentBytes(): number {
    return [...this.#connections].reduce((sum, { connection }) => sum + connection.sentBytes, this.#ended.sentBytes);
  }

  get receivedBytes(): number {
    const { receivedBytes } = this.#ended;
    return [...this.#connections].reduce((sum, { connection }) => sum + connection.receivedBytes, receivedBytes);
  }

  /** Monotonic time when it last could not be reached; undefined: it was since, or nobody tried. */
  get failedMs(): number | undefined {
    return this.#failedMs;
  }

  /** Calls that wait for room, and those that the other side is not through with. */
  get inflight(): number {
    return [...this.#connections].reduce((sum, { calls }) => sum + calls.size, this.#waiting.length);
  }

  call(method: string, head: unknown, body: Uint8Array = EMPTY, options: RpcOptions = {}): Promise<RpcReply> {
    return this.#metered(method, () => this.#begin(method, head, body, options, undefined));
  }

  async stream(method: string, head: unknown, options: RpcOptions = {}): Promise<RpcStreamReply> {
    const inbox = new StreamInbox();
    const reply = await this.#metered(method, () => this.#begin(method, head, EMPTY, options, inbox));
    return { ...reply, items: inbox.items };
  }

  /** Lets the next call wait for another attempt to connect, however many failed: there is a sign that it is back. */
  tryAgain(): void {
    if (this.#lateCalls >= LATE_CALLS_MAX - 1) return;
    this.#awayUntilMs = Number.NEGATIVE_INFINITY;
    this.#failures = Math.min(this.#failures, FAILURES_MAX - 1);
  }

  /** Fails calls under way, and those to come. */
  close(): void {
    this.#isClosed = true;
    for (const { connection } of [...this.#connections]) connection.close('this process closes it');
    this.#failWaiting(this.#gone('this process closes it'));
    this.#sweeper?.cancel();
    this.#meter?.remove(this);
  }

  /** Counts a call when it is answered, and a stream when it begins. */
  async #metered(method: string, ask: () => Promise<RpcReply>): Promise<RpcReply> {
    const meter = this.#meter;
    if (meter === undefined) return ask();
    const { clock } = this.#options;
    const startMs = clock.monotonicMs();
    let reason: string | undefined;
    try {
      return await ask();
    } catch (error) {
      reason = error instanceof AppError ? error.reason : 'canceled';
      throw error;
    } finally {
      meter.count(method, clock.monotonicMs() - startMs, reason);
    }
  }

  #begin(
    method: string,
    head: unknown,
    body: Uint8Array,
    { signal, timeoutMs = this.#options.timeoutMs ?? TIMEOUT_MS }: RpcOptions,
    inbox: StreamInbox | undefined,
  ): Promise<RpcReply> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      if (this.#isClosed) return reject(this.#gone('this process closes it'));
      const nowMs = this.#options.clock.monotonicMs();
      if (nowMs < this.#awayUntilMs) return reject(this.#awayError);
      // one that was away again and again is looked for, and nobody waits for it meanwhile
      if (this.#open === undefined && this.#failures >= FAILURES_MAX) {
        this.#connect();
        return reject(this.#awayError);
      }
      if (this.#waiting.length >= WAITING_CALLS_MAX) {
        return reject(peerErrors.peerBusy({ peer: this.address, what: 'calls that wait', limit: WAITING_CALLS_MAX }));
      }
      if (this.#waitingBytes > 0 && this.#waitingBytes + body.length > WAITING_BYTES_MAX) {
        return reject(peerErrors.peerBusy({ peer: this.address, what: 'bytes that wait', limit: WAITING_BYTES_MAX }));
      }
      const abort = () => this.#cancel(call, signal?.reason);
      signal?.addEventListener('abort', abort, { once: true });
      const call: PendingCall = {
        id: this.#nextId(),
        method,
        head,
        body,
        trace: currentTrace(),
        deadlineMs: nowMs + timeoutMs,
        timeoutMs,
        inbox,
        isAnswered: false,
        isLeft: false,
        sentOn: undefined,
        resolve,
        reject,
        done: () => signal?.removeEventListener('abort', abort),
      };
      this.#waiting.push(call);
      this.#waitingBytes += body.length;
      this.#sweeper ??= this.#options.clock.every(SWEEP_MS, () => this.#sweep());
      if (this.#open === undefined) this.#connect();
      else this.#pump();
    });
  }

  #nextId(): number {
    do this.#lastId = this.#lastId === CALLS_MAX ? 1 : this.#lastId + 1;
    while ([...this.#connections].some(({ calls }) => calls.has(this.#lastId)));
    return this.#lastId;
  }

  #gone(reason: string): AppError {
    return peerErrors.peerGone({ peer: this.address, reason });
  }

  #connect(): void {
    this.#opening ??= this.#makeConnection()
      .then((open) => {
        // it may have ended with the words behind the welcome
        if (open.connection.isClosed) throw new Error('it was closed at once');
        this.#failures = 0;
        this.#failedMs = undefined;
        this.#awayUntilMs = Number.NEGATIVE_INFINITY;
        if (!open.isGoing) this.#open = open;
        this.#connections.add(open);
        if (this.#isClosed) open.connection.close('this process closes it');
      })
      .catch((error: Error) => {
        const { random = systemRandom } = this.#options;
        this.#failures++;
        this.#failedMs = this.#options.clock.monotonicMs();
        this.#failWaiting(this.#leaveAlone(backoffMs(AWAY, this.#failures, random), error.message));
      })
      .finally(() => {
        this.#opening = undefined;
        this.#pump();
      });
  }

  /** Lets calls fail at once for a time. */
  #leaveAlone(ms: number, reason: string): AppError {
    this.#awayUntilMs = this.#options.clock.monotonicMs() + ms;
    this.#awayError = peerErrors.peerAway({ peer: this.address, reason });
    return this.#awayError;
  }

  async #makeConnection(): Promise<Open> {
    const { address, expects, self, security, clock, randomBytes = systemBytes, pingMs = PING_MS } = this.#options;
    const secured = security();
    const { host, port } = hostAndPort(address);
    checkSecurity(host, secured);
    const { keys, tls } = secured;
    const socket: Socket =
      tls === undefined
        ? connectTcp({ host, port })
        : connectTls({
            host,
            port,
            cert: tls.cert,
            key: tls.key,
            ca: tls.ca,
            minVersion: 'TLSv1.3',
            ...(tls.serverName !== undefined && { servername: tls.serverName }),
          });
    const hello = encodeValue(makeHello(randomBytes(NONCE_BYTES), keys !== undefined));
    let transcript: Uint8Array | undefined;
    let open: Open | undefined;
    return new Promise((resolve, reject) => {
      const tooLong = after(clock, CONNECT_MS_MAX, () => {
        connection.close(`no connection within ${CONNECT_MS_MAX} ms`);
        socket.destroy();
      });
      const connection: Connection = new Connection({
        socket,
        peer: address,
        clock,
        pingMs,
        events: {
          begins: (kind, id, bodyBytes) => open === undefined || this.#begins(open, kind, id, bodyBytes),
          message: (message) => {
            if (open !== undefined) this.#take(open, message);
            else welcome(message);
          },
          closed: (reason, text) => {
            tooLong.cancel();
            reject(new Error(text));
            if (open !== undefined) this.#hasEnded(open, reason);
          },
        },
      });
      const welcome = ({ kind, head }: Message) => {
        try {
          if (kind === ERROR) throw revivedError(head);
          if (kind === HELLO && transcript === undefined) {
            const theirs = readHello(head);
            if (theirs.keyed && keys === undefined) {
              throw peerErrors.peerRefused({
                reason: 'it wants the shared key of the cluster (-server.peer-key-file)',
              });
            }
            transcript = transcriptOf(hello, head);
            const said = encodeValue({ name: self.name, cluster: self.cluster });
            connection.send(PROOF, 0, encodeValue(introduction(keys?.[0], 'caller', transcript, said)));
          } else if (kind === WELCOME && transcript !== undefined) {
            const { name, cluster, callsMax, bytesMax } = readIntroduction(head, keys, 'listener', transcript);
            const difference = differenceOf(self.cluster, cluster);
            if (difference !== undefined) throw peerErrors.peerRefused({ reason: difference });
            if (expects !== undefined && name !== expects) {
              throw peerErrors.peerRefused({ reason: `${name} listens there, and not ${expects}` });
            }
            tooLong.cancel();
            connection.trust();
            if (!(Number(callsMax) >= 1 && Number(bytesMax) >= 1)) {
              throw peerErrors.peerMessageInvalid({ reason: 'a welcome without room' });
            }
            const room = { callsMax: Number(callsMax), bytesMax: Number(bytesMax) };
            open = { connection, room, calls: new Map(), bytes: 0, isGoing: false };
            resolve(open);
          } else throw peerErrors.peerMessageInvalid({ reason: `a message of kind ${kind} before the welcome` });
        } catch (error) {
          reject(error);
          connection.close((error as Error).message);
        }
      };
      connection.send(HELLO, 0, hello);
    });
  }

  /** Sends calls that wait, as long as there is room. */
  #pump(): void {
    const open = this.#open;
    if (open === undefined) {
      if (this.#waiting.length > 0 && this.#opening === undefined) this.#connect();
      return;
    }
    while (this.#waiting.length > 0) {
      const call = this.#waiting[0]!;
      const { body } = call;
      const { room, calls } = open;
      if (calls.size >= room.callsMax || (open.bytes > 0 && open.bytes + body.length > room.bytesMax)) return;
      this.#waiting.shift();
      this.#waitingBytes -= body.length;
      this.#send(open, call);
    }
  }

  #send(open: Open, call: PendingCall): void {
    const { id, method, head, body, deadlineMs, inbox, trace } = call;
    const timeoutMs = Math.max(1, Math.ceil(deadlineMs - this.#options.clock.monotonicMs()));
    try {
      if (body.length > open.room.bytesMax) {
        throw peerErrors.peerMessageTooLarge({
          bytes: body.length,
          limit: open.room.bytesMax,
          what: `of ${this.address}`,
        });
      }
      const credit = inbox === undefined ? 0 : inbox.room;
      const request = [method, timeoutMs, credit, head, ...(trace === undefined ? [] : [trace])];
      open.connection.send(REQUEST, id, encodeValue(request), body);
    } catch (error) {
      call.done();
      call.reject(error);
      return;
    }
    call.sentOn = open;
    open.calls.set(id, call);
    open.bytes += body.length;
    inbox?.connect({
      give: (bytes) => {
        if (!open.connection.isClosed) open.connection.send(CREDIT, id, encodeValue(bytes));
      },
      leave: () => this.#leave(open, call),
    });
  }

  #begins(open: Open, kind: number, id: number, bodyBytes: number): boolean {
    const call = open.calls.get(id);
    if (call === undefined || call.isLeft) return false;
    if (kind === ITEM) {
      if (call.inbox === undefined || call.inbox.isFull) {
        throw peerErrors.peerMessageInvalid({ reason: 'more of a stream than was asked for' });
      }
      call.inbox.expects(bodyBytes);
    }
    return true;
  }

  #take(open: Open, { kind, call: id, head, body }: Message): void {
    if (kind === GOING) {
      open.isGoing = true;
      // calls under way are still answered on it
      if (this.#open === open) this.#open = undefined;
      return;
    }
    const call = open.calls.get(id);
    if (call === undefined) return;
    if (call.isLeft) {
      if (kind === END || kind === ERROR || (kind === ANSWER && call.inbox === undefined)) this.#through(open, call);
      return;
    }
    if (kind === ANSWER || kind === ERROR) this.#lateCalls = 0;
    switch (kind) {
      case ANSWER: {
        let value: unknown;
        try {
          value = decodeValue(head);
        } catch (error) {
          call.reject(error);
          if (call.inbox === undefined) this.#through(open, call);
          else this.#leave(open, call);
          return;
        }
        if (call.inbox === undefined) this.#through(open, call);
        else call.isAnswered = true;
        call.resolve({ head: value, body });
        return;
      }
      case ITEM:
        call.inbox?.add(body);
        return;
      case END:
        this.#through(open, call);
        call.inbox?.end();
        return;
      case ERROR: {
        this.#through(open, call);
        const error = revivedError(head);
        call.reject(error);
        call.inbox?.fail(error);
        return;
      }
      default:
        throw peerErrors.peerMessageInvalid({ reason: `an answer of kind ${kind}` });
    }
  }

  /** The other side is through with a call, or nobody waits for it. */
  #through(open: Open, call: PendingCall): void {
    if (!open.calls.delete(call.id)) return;
    call.done();
    // an answer that had begun to come is dropped by the other side
    if (call.isLeft) open.connection.forget(call.id);
    open.bytes -= call.body.length;
    if (open === this.#open) this.#pump();
    else if (open.isGoing && open.calls.size === 0) open.connection.close('the other side ends');
  }

  /** Nobody waits for it any more. It takes its room until the other side is through with it. */
  #leave(open: Open, call: PendingCall): void {
    if (call.isLeft || !open.calls.has(call.id)) return;
    call.isLeft = true;
    call.done();
    open.connection.drop(call.id);
    open.connection.forget(call.id);
    open.connection.send(CANCEL, call.id);
  }

  #cancel(call: PendingCall, reason: unknown): void {
    call.done();
    const at = this.#waiting.indexOf(call);
    if (at >= 0) {
      this.#waiting.splice(at, 1);
      this.#waitingBytes -= call.body.length;
    }
    if (call.sentOn !== undefined) this.#leave(call.sentOn, call);
    call.reject(reason);
    call.inbox?.abort(reason);
  }

  #sweep(): void {
    if (this.#waiting.length === 0 && [...this.#connections].every(({ calls }) => calls.size === 0)) {
      this.#sweeper?.cancel();
      this.#sweeper = undefined;
      return;
    }
    const nowMs = this.#options.clock.monotonicMs();
    const sent = [...this.#connections].flatMap(({ calls }) => [...calls.values()]);
    const late = [...sent, ...this.#waiting].filter(
      ({ isAnswered, isLeft, deadlineMs }) => !isAnswered && !isLeft && nowMs >= deadlineMs,
    );
    for (const call of late) {
      const { method, timeoutMs: limitMs } = call;
      this.#cancel(call, peerErrors.peerSlow({ peer: this.address, method, limitMs }));
    }
    this.#lateCalls += late.length;
    if (this.#lateCalls < LATE_CALLS_MAX) return;
    // the next that is late leaves it alone again
    this.#lateCalls = LATE_CALLS_MAX - 1;
    this.#failWaiting(this.#leaveAlone(LEFT_ALONE_MS, `${LATE_CALLS_MAX} calls in a row were not answered in time`));
  }

  #hasEnded(open: Open, reason: AppError): void {
    if (this.#open === open) this.#open = undefined;
    this.#connections.delete(open);
    this.#ended.sentBytes += open.connection.sentBytes;
    this.#ended.receivedBytes += open.connection.receivedBytes;
    for (const call of open.calls.values()) {
      call.done();
      call.reject(reason);
      call.inbox?.fail(reason);
    }
    open.calls.clear();
    if (this.#open === undefined && !this.#isClosed) this.#pump();
  }

  #failWaiting(error: AppError): void {
    for (const call of this.#waiting.splice(0)) {
      call.done();
      call.reject(error);
    }
    this.#waitingBytes = 0;
  }
}
