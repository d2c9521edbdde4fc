import type { ApiBackend, ApiRequest, ApiResponse } from '../contract/api.ts';
import { memoryError } from '../model/memory-error.ts';
import { failure } from './answer.ts';
import { ApiError } from './error.ts';
import { Params } from './params.ts';
import { routeOf } from './route.ts';
import type { ApiSources } from './sources.ts';

/** The parts, at whose end, whether they were begun or not, `ended` is told. */
function endedAfter(
  parts: AsyncIterable<Uint8Array>,
  ended: (() => void)[],
): AsyncIterableIterator<Uint8Array, undefined> {
  const from = parts[Symbol.asyncIterator]();
  const end = () => {
    for (const each of ended.splice(0)) each();
  };
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      try {
        const next = await from.next();
        if (next.done !== true) return next;
        end();
        return { done: true, value: undefined };
      } catch (thrown) {
        end();
        throw thrown;
      }
    },
    async return() {
      try {
        await from.return?.();
      } finally {
        end();
      }
      return { done: true, value: undefined };
    },
  };
}

/** The Prometheus API as a function of requests: no HTTP, no threads. */
export class PromApi implements ApiBackend {
  readonly #sources: ApiSources;

  constructor(sources: ApiSources) {
    this.#sources = sources;
  }

  async handle(request: ApiRequest, signal: AbortSignal): Promise<ApiResponse> {
    const sources = this.#sources;
    const ended: (() => void)[] = [];
    try {
      const handler = routeOf(request);
      const limits = sources.limits(request.tenant);
      const params = new Params(request, sources.syntax);
      const response = await handler({ request, params, limits, sources, signal, ended });
      if (response.parts === undefined) return response;
      return { ...response, parts: endedAfter(response.parts, ended.splice(0)) };
    } catch (thrown) {
      signal.throwIfAborted(); // nobody waits for what is left to say
      return failure(ApiError.from(memoryError(thrown) ?? thrown));
    } finally {
      for (const end of ended) end();
    }
  }
}
