import type { RangeRequest } from '../contract/query.ts';

/** The same query with its steps on multiples of the step, at most one step earlier: two that are asked at different times share theirs. */
export function alignToStep(request: RangeRequest): RangeRequest {
  const { startMs, endMs, stepMs } = request;
  const down = (ms: number): number => Math.floor(ms / stepMs) * stepMs;
  return { ...request, startMs: down(startMs), endMs: down(endMs) };
}
