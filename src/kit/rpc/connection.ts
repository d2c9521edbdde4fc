import type { Socket } from 'node:net';
import { after, type Clock, type Timer } from '../../lib/clock.ts';
import type { AppError } from '../../model/errors.ts';
import { peerErrors } from '../../model/errors-peer.ts';
import {
  BODY_BYTES_MAX,
  FrameReader,
  frameHead,
  HEAD_BYTES_MAX,
  HEADER_BYTES,
  PART,
  PIECE_BYTES,
  PING,
  PONG,
  type ReadFrame,
} from './frame.ts';

/** A message as it came. */
export interface Message {
  readonly kind: number;
  readonly call: number;
  readonly head: Buffer;
  /** Whole, or empty where nobody wanted it. */
  readonly body: Uint8Array;
  /** Holds head and body; who has read them may give it back (`Connection.give`). */
  readonly memory: Buffer | undefined;
}

export interface ConnectionEvents {
  /** A message has begun. False: its body is not wanted, and it is left out. */
  begins?(kind: number, call: number, bodyBytes: number): boolean;
  message(message: Message): void;
  /** Called once, with why, and with that as text of its own. */
  closed(reason: AppError, text: string): void;
}

export interface ConnectionOptions {
  readonly socket: Socket;
  /** The other side, for errors. */
  readonly peer: string;
  readonly clock: Clock;
  readonly events: ConnectionEvents;
  /** How often a connection is asked whether it is there, where nothing came. */
  readonly pingMs: number;
}

/** Pings without any answer after which the other side is taken for gone. */
const SILENT_PINGS_MAX = 3;
/** Bytes that lie with the socket before others wait their turn here. */
const SOCKET_BYTES_MAX = 1024 * 1024;
/** Messages that wait because the other side does not read: no more are in order, as calls are bounded. */
const QUEUED_MAX = 8_192;
/** How long a connection that is closed may still take to send what it was handed. */
const LINGER_MS = 1_000;
const NOTHING = Buffer.alloc(0);

interface Outgoing {
  readonly kind: number;
  readonly call: number;
  readonly head: Buffer;
  readonly body: Uint8Array;
  sent: number;
  /** Later messages of its call. */
  readonly behind: Outgoing[];
}

interface Incoming {
  readonly kind: number;
  readonly head: Buffer;
  /** Undefined: nobody wants it. */
  readonly body: Uint8Array | undefined;
  readonly bytes: number;
  filled: number;
}

/**
 * One end of a connection between members: whole messages in both directions, long ones in pieces that have turns with others. What is
 * written within one round of the event loop goes out together. Knows nothing of calls.
 */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  /** Short ones, and beginnings. */
  readonly #next: Outgoing[] = [];
  /** Messages of which more is to be sent, in turns. */
  #turns: Outgoing[] = [];
  /** Called when the other side has taken most of what was sent. */
  readonly #waiting: (() => void)[] = [];
  readonly #incoming = new Map<number, Incoming>();
  readonly #pings: Timer;
  #frames = 0;
  #isCorked = false;
  #silentPings = 0;
  #reason: AppError | undefined;
  /** Bytes of bodies that are still to be handed to the socket. */
  #waitingBytes = 0;
  /** Bytes that came, and that went, headers included. */
  receivedBytes = 0;
  sentBytes = 0;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { socket, clock, pingMs } = options;
    this.#socket = socket;
    this.#reader = new FrameReader((frame) => this.#take(frame));
    socket.setNoDelay(true);
    socket.on('data', (data: Buffer) => this.#read(data));
    socket.on('drain', () => {
      this.#pump();
      if (this.waitingBytes < SOCKET_BYTES_MAX) this.#wake();
    });
    socket.on('error', (error) => this.#fail(error));
    socket.on('end', () => this.close('the other side ended it'));
    socket.on('close', () => this.close('it was closed'));
    this.#pings = clock.every(pingMs, () => this.#ping());
  }

  get isClosed(): boolean {
    return this.#reason !== undefined;
  }

  /** Bytes that the other side has not taken yet, of bodies and within the socket. */
  get waitingBytes(): number {
    return this.#waitingBytes + this.#socket.writableLength;
  }

  /** The other side has proved who it is: whole messages are taken from now on. */
  trust(): void {
    this.#reader.frameBytesMax = HEADER_BYTES + HEAD_BYTES_MAX + PIECE_BYTES;
  }

  /** Sends a message. The body is read until it has gone out: nobody may change it any more. */
  send(kind: number, call: number, head: Buffer = NOTHING, body: Uint8Array = NOTHING): void {
    if (this.isClosed) return;
    if (head.length > HEAD_BYTES_MAX) {
      throw peerErrors.peerMessageTooLarge({ bytes: head.length, limit: HEAD_BYTES_MAX, what: 'fixed, of a head' });
    }
    if (body.length > BODY_BYTES_MAX) {
      throw peerErrors.peerMessageTooLarge({ bytes: body.length, limit: BODY_BYTES_MAX, what: 'fixed, of a body' });
    }
    if (this.#next.length >= QUEUED_MAX) {
      this.close(`${QUEUED_MAX} messages wait that it does not read`);
      this.#socket.destroy();
      return;
    }
    this.#waitingBytes += body.length;
    this.#next.push({ kind, call, head, body, sent: 0, behind: [] });
    this.#pump();
  }

  /** Leaves out what is still to be sent of a call's messages. Only where the other side hears that nobody waits for it. */
  drop(call: number): void {
    const dropped = this.#turns.filter((each) => each.call === call).flatMap((each) => [each, ...each.behind]);
    if (dropped.length === 0) return;
    for (const { body, sent } of dropped) this.#waitingBytes -= body.length - sent;
    this.#turns = this.#turns.filter((each) => each.call !== call);
  }

  /** Resolves when the other side has taken most of what was sent, or the connection is closed. */
  async drained(): Promise<void> {
    while (!this.isClosed && this.waitingBytes >= SOCKET_BYTES_MAX) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Ends it. What was handed to the socket before still goes out. */
  close(reason: string): void {
    if (this.isClosed) return;
    this.#reason = peerErrors.peerGone({ peer: this.#options.peer, reason });
    this.#pings.cancel();
    this.#incoming.clear();
    this.#next.length = 0;
    this.#turns = [];
    this.#waitingBytes = 0;
    // what was handed to it goes out first, unless the other side takes none of it
    this.#socket.destroySoon();
    const linger = after(this.#options.clock, LINGER_MS, () => this.#socket.destroy());
    this.#socket.once('close', () => linger.cancel());
    this.#wake();
    this.#options.events.closed(this.#reason, reason);
  }

  /** Ends it when all that was sent has gone out. */
  end(): void {
    if (!this.isClosed) this.#socket.end();
  }

  #fail(error: unknown): void {
    this.close(error instanceof Error ? error.message : String(error));
    this.#socket.destroy();
  }

  #read(data: Buffer): void {
    if (this.isClosed) return;
    this.#silentPings = 0;
    this.receivedBytes += data.length;
    try {
      this.#reader.take(data);
    } catch (error) {
      // nothing that follows on it can be trusted
      this.#fail(error);
    }
  }

  #take(frame: ReadFrame): void {
    if (this.isClosed) return;
    const { kind, call, piece, memory } = frame;
    if (kind === PING) this.send(PONG, 0);
    else if (kind === PART) {
      this.#more(call, piece);
      this.give(memory);
    } else if (kind !== PONG) this.#begin(frame);
  }

  #begin({ kind, call, head, bodyBytes, piece, memory }: ReadFrame): void {
    if (bodyBytes > BODY_BYTES_MAX) {
      throw peerErrors.peerMessageTooLarge({ bytes: bodyBytes, limit: BODY_BYTES_MAX, what: 'fixed, of a body' });
    }
    if (piece.length > bodyBytes || (piece.length < bodyBytes && piece.length !== PIECE_BYTES)) {
      throw peerErrors.peerMessageInvalid({ reason: `${piece.length} bytes of a body of ${bodyBytes}` });
    }
    const isWanted = this.#options.events.begins?.(kind, call, bodyBytes) ?? true;
    if (this.isClosed) return;
    if (piece.length === bodyBytes) {
      this.#options.events.message({ kind, call, head, body: isWanted ? piece : NOTHING, memory });
      return;
    }
    if (this.#incoming.has(call))
      throw peerErrors.peerMessageInvalid({ reason: `two messages of call ${call} at once` });
    const body = isWanted ? new Uint8Array(bodyBytes) : undefined;
    body?.set(piece);
    this.#incoming.set(call, { kind, head: Buffer.from(head), body, bytes: bodyBytes, filled: piece.length });
    this.give(memory);
  }

  #more(call: number, piece: Buffer): void {
    const message = this.#incoming.get(call);
    if (message === undefined) return; // nobody waits for it any more
    const left = message.bytes - message.filled;
    if (piece.length !== Math.min(left, PIECE_BYTES)) {
      throw peerErrors.peerMessageInvalid({ reason: `a part of ${piece.length} bytes where ${left} are left` });
    }
    message.body?.set(piece, message.filled);
    message.filled += piece.length;
    if (message.filled < message.bytes) return;
    this.#incoming.delete(call);
    const { kind, head, body = NOTHING } = message;
    this.#options.events.message({ kind, call, head, body, memory: undefined });
  }

  /** Nobody reads the message any more that lies there. */
  give(memory: Buffer | undefined): void {
    if (memory !== undefined) this.#reader.give(memory);
  }

  /** Nobody waits for the rest of a call's message. */
  forget(call: number): void {
    this.#incoming.delete(call);
  }

  #pump(): void {
    while (!this.isClosed && this.#socket.writableLength < SOCKET_BYTES_MAX) {
      const message = this.#next.shift() ?? this.#turns.shift();
      if (message === undefined) break;
      const before = message.sent === 0 ? this.#turns.find(({ call }) => call === message.call) : undefined;
      if (before !== undefined) {
        before.behind.push(message);
        continue;
      }
      this.#write(message);
      if (message.sent < message.body.length) this.#turns.push(message);
      else this.#next.unshift(...message.behind);
    }
  }

  #write(message: Outgoing): void {
    const { body, sent } = message;
    const part = sent === 0 ? undefined : PART;
    const end = Math.min(sent + PIECE_BYTES, body.length);
    const piece = Buffer.from(body.buffer, body.byteOffset + sent, end - sent);
    const head = frameHead(
      {
        kind: part ?? message.kind,
        call: message.call,
        head: part === undefined ? message.head : NOTHING,
        bodyBytes: body.length,
        piece,
      },
      this.#frames++,
    );
    message.sent = end;
    this.#waitingBytes -= piece.length;
    this.sentBytes += head.length + piece.length;
    if (!this.#isCorked) {
      this.#isCorked = true;
      this.#socket.cork();
      void this.#options.clock.turn().then(() => {
        this.#isCorked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(head);
    if (piece.length > 0) this.#socket.write(piece);
  }

  #ping(): void {
    // counted, not timed: a process that was stopped itself first reads what has come meanwhile
    if (this.#silentPings++ >= SILENT_PINGS_MAX) {
      this.close(`nothing came from it in ${SILENT_PINGS_MAX} pings`);
      this.#socket.destroy();
    } else this.send(PING, 0);
  }
}
