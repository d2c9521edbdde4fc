// Calls over a connection between members, as whoever makes and answers them sees them.

/** A request as it came: nothing of it has been looked at but that it is whole. */
export interface RpcRequest {
  /** Any value that the codec knows: whoever answers checks its shape. */
  readonly head: unknown;
  /** Whoever answers may read it until the answer: others' requests lie there later. */
  readonly body: Uint8Array;
}

export interface RpcAnswer {
  readonly head?: unknown;
  /** Read until it has gone out: nobody may change it any more. */
  readonly body?: Uint8Array;
  /** Parts that follow, each asked for when the caller takes it. Closed when it no longer waits. */
  readonly items?: AsyncIterable<Uint8Array>;
}

export interface RpcCall {
  /** Aborted when the caller no longer waits, its time is up, or the connection ends. */
  readonly signal: AbortSignal;
  /** Name of the process that asks. */
  readonly peer: string;
}

/** Methods by name. What is thrown reaches the caller; an AppError arrives as it is. */
export type RpcRole = Readonly<Record<string, (request: RpcRequest, call: RpcCall) => Promise<RpcAnswer>>>;

/** An answer as it came. */
export interface RpcReply {
  readonly head: unknown;
  readonly body: Uint8Array;
}

export interface RpcStreamReply extends RpcReply {
  /** To be read once. Ends the call when it is left. */
  readonly items: AsyncIterable<Uint8Array>;
}

export interface RpcOptions {
  readonly signal?: AbortSignal;
  /** How long until there is an answer; travels with the request. Absent: the client's. */
  readonly timeoutMs?: number;
}

/** The way to a process: what a member's contracts are made of (peer/remote-member.ts). */
export interface RpcCaller {
  /**
   * Asks, and resolves with the answer. The body is read until then: nobody may change it.
   * @throws AppError: peerAway, peerGone, peerBusy, peerSlow, or what the other side threw
   */
  call(method: string, head: unknown, body?: Uint8Array, options?: RpcOptions): Promise<RpcReply>;
  /** Asks, and resolves with the beginning of the answer. */
  stream(method: string, head: unknown, options?: RpcOptions): Promise<RpcStreamReply>;
}
