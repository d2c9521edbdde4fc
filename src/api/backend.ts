import type { ApiBackend, ApiRequest, ApiResponse } from '../contract/api.ts';
import { memoryError } from '../model/memory-error.ts';
import { failure } from './answer.ts';
import { ApiError } from './error.ts';
import { Params } from './params.ts';
import { routeOf } from './route.ts';
import type { ApiSources } from './sources.ts';

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
      return await handler({ request, params, limits, sources, signal, ended });
    } catch (thrown) {
      signal.throwIfAborted(); // nobody waits for what is left to say
      return failure(ApiError.from(memoryError(thrown) ?? thrown));
    } finally {
      for (const end of ended) end();
    }
  }
}
