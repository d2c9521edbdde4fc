import type { ApiRequest } from '../contract/api.ts';
import type { QueryLimits } from '../limits/query-limits.ts';
import type { Params } from './params.ts';
import type { ApiSources } from './sources.ts';

/** One request on its way, with all that a handler may need. */
export interface Call {
  readonly request: ApiRequest;
  readonly params: Params;
  readonly limits: QueryLimits;
  readonly sources: ApiSources;
  readonly signal: AbortSignal;
  /** Called when there is an answer. */
  readonly ended: (() => void)[];
}
