import { MessageChannel } from 'node:worker_threads';
import type { HttpRequest, HttpResponse, Route } from '../../kit/http/message.ts';
import type { Channel } from '../../kit/thread/channel.ts';
import { movable } from '../../kit/thread/movable.ts';
import { failing, takenParts } from '../../kit/thread/part-stream.ts';
import type { FrontHostRole, RouteFacts } from './front-role.ts';

/** A route whose requests the main thread handles. */
export function handedRoute(facts: RouteFacts, host: Promise<Channel<FrontHostRole>>): Route {
  return { ...facts, handle: async (request) => handOn(facts.path, request, await host) };
}

async function handOn(
  path: string,
  { signal, ...request }: HttpRequest,
  main: Channel<FrontHostRole>,
): Promise<HttpResponse> {
  const body = movable(request.body);
  const handed = { path, request: { ...request, body } };
  const { answer, ...response } = await main.call('handle', handed, {
    signal,
    transfer: [body.buffer],
    dropped: dropping(main),
  });
  return answer === undefined ? response : { ...response, body: partsOf(answer, main, signal) };
}

/** The parts of an answer of the main thread. */
export function partsOf(answer: number, main: Channel<FrontHostRole>, signal: AbortSignal): AsyncIterable<Uint8Array> {
  return new PartsOfAnswer(answer, main, signal);
}

/** Takes an answer that comes when its call was cancelled: nobody takes its parts. */
export function dropping(main: Channel<FrontHostRole>): (late: { readonly answer?: number }) => void {
  return ({ answer }) => {
    if (answer !== undefined) drop(answer, main);
  };
}

/** Tells the main thread that nobody takes the parts of an answer. */
function drop(answer: number, main: Channel<FrontHostRole>): void {
  main.call('drop', { answer }).catch(() => {}); // it is gone, with all answers
}

/** The parts of an answer; they are asked for when the first one is. */
class PartsOfAnswer implements AsyncIterable<Uint8Array> {
  readonly #answer: number;
  readonly #main: Channel<FrontHostRole>;
  readonly #signal: AbortSignal;
  #isBegun = false;

  constructor(answer: number, main: Channel<FrontHostRole>, signal: AbortSignal) {
    this.#answer = answer;
    this.#main = main;
    this.#signal = signal;
    // who goes away before the first part asks for none
    signal.addEventListener(
      'abort',
      () => {
        if (!this.#isBegun) drop(answer, main);
      },
      { once: true },
    );
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, void> {
    this.#isBegun = true;
    const { port1, port2 } = new MessageChannel();
    const request = { answer: this.#answer, port: port2 };
    const whole = this.#main.call('parts', request, { signal: this.#signal, transfer: [port2] });
    return takenParts(port1, failing(whole));
  }
}
