import { MessageChannel, type MessagePort, type Transferable } from 'node:worker_threads';
import { AppError, type ErrorFacts } from '../../model/errors.ts';
import { processErrors } from '../../model/errors-process.ts';

/**
 * A role answers to messages: a function for each. The same role runs in a worker thread (`serveWorker`) or, for tests,
 * in this one (`connectInThread`); whoever calls it sees no difference.
 */
export type Role = Readonly<Record<string, (request: never, call: CallContext) => unknown>>;

export interface CallContext {
  /** Aborted when the caller no longer waits. */
  readonly signal: AbortSignal;
  /** Tells the caller something before the call is over (`CallOptions.begun`). */
  begin(response: unknown, transfer?: readonly Transferable[]): void;
}

/** Messages that may be sent: to a method its request, back its response. */
export type RequestOf<R extends Role, M extends keyof R> = Parameters<R[M]>[0];
export type ResponseOf<R extends Role, M extends keyof R> = Unwrapped<Awaited<ReturnType<R[M]>>>;
type Unwrapped<T> = T extends Transferred<infer V> ? V : T;

/** A response whose buffers move to the caller and are gone here. */
export class Transferred<T> {
  readonly value: T;
  readonly transfer: readonly Transferable[];

  private constructor(value: T, transfer: readonly Transferable[]) {
    this.value = value;
    this.transfer = transfer;
  }

  static of<T>(value: T, transfer: readonly Transferable[]): Transferred<T> {
    return new Transferred(value, transfer);
  }
}

export interface CallOptions<T = unknown> {
  /** Buffers within the request that move to the role and are gone here. */
  readonly transfer?: readonly Transferable[];
  readonly signal?: AbortSignal;
  /** Takes an answer that comes when the call was cancelled: what it holds may have to be given back. */
  readonly dropped?: (response: T) => void;
  /** Takes what the role tells before the call is over (`CallContext.begin`). */
  readonly begun?: (response: never) => void;
}

/** The two ends of a `MessagePort`, a `Worker`, or `parentPort`. */
export interface Port {
  postMessage(message: unknown, transfer?: readonly Transferable[]): void;
  // biome-ignore lint/suspicious/noExplicitAny: both ends know what they send each other
  on(event: 'message' | 'close', listener: (message: any) => void): unknown;
}

type ToRole =
  | { readonly kind: 'call'; readonly id: number; readonly method: string; readonly request: unknown }
  | { readonly kind: 'cancel'; readonly id: number };

type FromRole =
  | { readonly kind: 'begun'; readonly id: number; readonly response: unknown }
  | { readonly kind: 'answer'; readonly id: number; readonly response: unknown }
  | { readonly kind: 'error'; readonly id: number; readonly error: WireError };

/** An error on its way between threads; `facts` are missing where it was none of ours. */
interface WireError {
  readonly facts: ErrorFacts | undefined;
  readonly name: string;
  readonly text: string;
  readonly stack: string | undefined;
}

/** The caller's end: calls under way, matched with their answers by number. */
export class Channel<R extends Role> {
  readonly #port: Port;
  readonly #calls = new Map<number, PendingCall>();
  /** Who takes the answers of calls that were cancelled. */
  readonly #dropped = new Map<number, (response: unknown) => void>();
  #lastId = 0;
  #closed: Error | undefined;

  constructor(port: Port) {
    this.#port = port;
    port.on('message', (message: FromRole) => this.#take(message));
    // whoever answered is gone, or has closed its end
    port.on('close', () => this.close(processErrors.workerGone({ worker: 'other', reason: 'its port was closed' })));
  }

  /** Calls under way. */
  get size(): number {
    return this.#calls.size;
  }

  call<M extends keyof R & string>(
    method: M,
    request: RequestOf<R, M>,
    { transfer, signal, dropped, begun }: CallOptions<ResponseOf<R, M>> = {},
  ): Promise<ResponseOf<R, M>> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== undefined) return reject(this.#closed);
      if (signal?.aborted) return reject(signal.reason);
      const id = ++this.#lastId;
      const cancel = () => {
        this.#calls.delete(id);
        if (dropped !== undefined) this.#dropped.set(id, dropped as (response: unknown) => void);
        this.#port.postMessage({ kind: 'cancel', id } satisfies ToRole);
        reject(signal?.reason);
      };
      signal?.addEventListener('abort', cancel, { once: true });
      this.#calls.set(id, {
        resolve: resolve as (response: unknown) => void,
        reject,
        done: () => signal?.removeEventListener('abort', cancel),
        begun: begun as ((response: unknown) => void) | undefined,
      });
      this.#port.postMessage({ kind: 'call', id, method, request } satisfies ToRole, transfer);
    });
  }

  /** Fails every call under way, and every later one, with `reason`: the other end is gone. */
  close(reason: Error): void {
    this.#closed ??= reason;
    for (const call of this.#calls.values()) {
      call.done();
      call.reject(reason);
    }
    this.#calls.clear();
    this.#dropped.clear();
  }

  #take(message: FromRole): void {
    const call = this.#calls.get(message.id);
    if (message.kind === 'begun') {
      call?.begun?.(message.response);
      return;
    }
    if (call === undefined) {
      this.#drop(message);
      return;
    }
    this.#calls.delete(message.id);
    call.done();
    if (message.kind === 'answer') call.resolve(message.response);
    else call.reject(revived(message.error));
  }

  /** The answer of a call that was cancelled: nobody waits for it. */
  #drop(message: Exclude<FromRole, { readonly kind: 'begun' }>): void {
    const dropped = this.#dropped.get(message.id);
    this.#dropped.delete(message.id);
    if (message.kind === 'answer') dropped?.(message.response);
  }
}

interface PendingCall {
  resolve(response: unknown): void;
  reject(reason: unknown): void;
  done(): void;
  readonly begun: ((response: unknown) => void) | undefined;
}

/** The role's end: answers the messages of `port` until it is closed. */
export function serve(port: Port, role: Role): void {
  const running = new Map<number, AbortController>();
  // nobody waits for what the caller asked before it went
  port.on('close', () => {
    for (const cancel of running.values()) cancel.abort(processErrors.callCancelled({}));
  });
  port.on('message', (message: ToRole) => {
    if (message.kind === 'cancel') {
      running.get(message.id)?.abort(processErrors.callCancelled({}));
      return;
    }
    const { id } = message;
    const cancel = new AbortController();
    running.set(id, cancel);
    const begin: CallContext['begin'] = (response, transfer) =>
      port.postMessage({ kind: 'begun', id, response } satisfies FromRole, transfer);
    answer(role, message, { signal: cancel.signal, begin })
      .then(({ value, transfer }) =>
        port.postMessage({ kind: 'answer', id, response: value } satisfies FromRole, transfer),
      )
      .catch((thrown) => port.postMessage({ kind: 'error', id, error: flattened(thrown) } satisfies FromRole))
      .finally(() => running.delete(id));
  });
}

async function answer(
  role: Role,
  message: ToRole & { kind: 'call' },
  call: CallContext,
): Promise<{ value: unknown; transfer: readonly Transferable[] }> {
  const method = role[message.method];
  if (method === undefined) throw new Error(`bug: this role has no method ${message.method}`);
  const response = await method(message.request as never, call);
  return response instanceof Transferred ? response : { value: response, transfer: [] };
}

/** A role in this thread, behind a real message channel: requests and responses are copied or moved as between threads. */
export function connectInThread<R extends Role>(role: R): { channel: Channel<R>; close(): void } {
  const { port1, port2 } = new MessageChannel();
  serve(port2, role);
  const channel = new Channel<R>(port1);
  const ports: MessagePort[] = [port1, port2];
  return {
    channel,
    close() {
      channel.close(processErrors.workerGone({ worker: 'in-thread', reason: 'closed' }));
      for (const port of ports) port.close();
    },
  };
}

function flattened(thrown: unknown): WireError {
  if (thrown instanceof Error) {
    const facts = thrown instanceof AppError ? thrown.facts : undefined;
    return { facts, name: thrown.name, text: thrown.message, stack: thrown.stack };
  }
  return { facts: undefined, name: 'Error', text: String(thrown), stack: undefined };
}

function revived({ facts, name, text, stack }: WireError): Error {
  const error = facts === undefined ? new Error(text) : new AppError(facts, text);
  error.name = name;
  if (stack !== undefined) error.stack = stack;
  return error;
}
