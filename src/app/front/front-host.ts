import type { ApiBackend } from '../../contract/api.ts';
import type { HttpResponse, Route } from '../../kit/http/message.ts';
import type { Logger } from '../../kit/observe/log.ts';
import { Transferred } from '../../kit/thread/channel.ts';
import { movable } from '../../kit/thread/movable.ts';
import { sendParts } from '../../kit/thread/part-stream.ts';
import { after, type Clock, type Timer } from '../../lib/clock.ts';
import { processErrors } from '../../model/errors-process.ts';
import type { FrontHostRole, HandedResponse } from './front-role.ts';

export interface FrontHostOptions {
  readonly thread: number;
  readonly routeOf: (path: string) => Route | undefined;
  /** Answers queries; absent: the process has nobody who does. */
  readonly queries: ApiBackend | undefined;
  readonly log: Logger;
  readonly clock: Clock;
}

/** An answer whose parts are not asked for within this time has lost whoever wanted it. */
const ASKED_MS_MAX = 60_000;

interface PartedAnswer {
  readonly parts: AsyncIterable<Uint8Array>;
  readonly ends: AbortController;
  readonly timer: Timer;
}

/** The main thread as one front thread asks it. */
export class FrontHost {
  readonly #options: FrontHostOptions;
  /** Answers in parts that are not asked for yet. */
  readonly #parted = new Map<number, PartedAnswer>();
  #last = 0;

  constructor(options: FrontHostOptions) {
    this.#options = options;
  }

  get role(): Pick<FrontHostRole, 'handle' | 'query' | 'parts' | 'drop' | 'log'> {
    const log = this.#options.log.child({ front: this.#options.thread });
    return {
      handle: async ({ path, request }, { signal }) => {
        const route = this.#options.routeOf(path);
        if (route === undefined) throw new Error(`bug: no route for ${path}`);
        return answering(signal, async (ends) =>
          this.#moved(await route.handle({ ...request, signal: ends.signal }), ends),
        );
      },
      query: async (request, { signal }) => {
        const { queries } = this.#options;
        if (queries === undefined) throw new Error('bug: a query in a process that answers none');
        return answering(signal, async (ends) => {
          const { parts, ...response } = await queries.handle(request, ends.signal);
          const body = movable(response.body);
          const answer = parts && this.#keep(parts, ends);
          return Transferred.of({ ...response, body, ...(answer !== undefined && { answer }) }, [body.buffer]);
        });
      },
      parts: async ({ answer, port }, { signal }) => {
        const parted = this.#parted.get(answer);
        if (parted === undefined) {
          port.close();
          throw processErrors.callCancelled({});
        }
        this.#parted.delete(answer);
        parted.timer.cancel();
        signal.addEventListener('abort', () => parted.ends.abort(signal.reason), { once: true });
        try {
          await sendParts(port, parted.parts, signal);
        } catch (thrown) {
          // the port may close before it is heard that the call is cancelled
          parted.ends.abort(thrown);
          throw thrown;
        }
      },
      drop: ({ answer }) => this.#drop(answer),
      log: ({ level, text, fields }) => log[level](fields, text),
    };
  }

  /** The thread is gone: nobody waits for answers any more. */
  close(): void {
    for (const answer of [...this.#parted.keys()]) this.#drop(answer);
  }

  #moved({ body, ...response }: HttpResponse, ends: AbortController): Transferred<HandedResponse> {
    if (body === undefined || typeof body === 'string') {
      return Transferred.of({ ...response, ...(body !== undefined && { body }) }, []);
    }
    if (body instanceof Uint8Array) {
      // a copy where they lie in memory of others, which would be copied whole
      const bytes = movable(body);
      return Transferred.of({ ...response, body: bytes }, bytes.buffer === body.buffer ? [] : [bytes.buffer]);
    }
    return Transferred.of({ ...response, answer: this.#keep(body, ends) }, []);
  }

  /** Keeps an answer in parts until it is asked for. @returns its number */
  #keep(parts: AsyncIterable<Uint8Array>, ends: AbortController): number {
    const answer = ++this.#last;
    const timer = after(this.#options.clock, ASKED_MS_MAX, () => this.#drop(answer));
    this.#parted.set(answer, { parts, ends, timer });
    return answer;
  }

  #drop(answer: number): void {
    const parted = this.#parted.get(answer);
    if (parted === undefined) return;
    this.#parted.delete(answer);
    parted.timer.cancel();
    parted.ends.abort(processErrors.callCancelled({}));
    const parts = parted.parts[Symbol.asyncIterator]();
    void Promise.resolve(parts.return?.()).catch(() => {});
  }
}

/** Makes an answer for a call, which ends it until it is there: one in parts is under way when the call is not any more. */
async function answering<T>(call: AbortSignal, make: (ends: AbortController) => Promise<T>): Promise<T> {
  const ends = new AbortController();
  const gone = () => ends.abort(call.reason);
  call.addEventListener('abort', gone, { once: true });
  try {
    return await make(ends);
  } finally {
    call.removeEventListener('abort', gone);
  }
}
