import type { QueryRunner } from '../contract/query.ts';
import { Engine } from '../promql/engine.ts';
import type { QueryValue } from '../promql/result.ts';
import type { Queryable } from '../storage/queryable.ts';
import { unlimited } from '../storage/unlimited.ts';

/** A runner in this thread, without limits. @param refuses expressions that are refused */
export function testRunner(queryable: Queryable, refuses: (expr: string) => boolean = () => false): QueryRunner {
  const engine = new Engine();
  const answer = (value: QueryValue, timeMs: number) => {
    if (value.type === 'vector') {
      const pairs = value.samples.map(({ labels }) => labels.pairs);
      const values = Float64Array.from(value.samples, (sample) => sample.value);
      return { value: { type: 'vector', timeMs, pairs, values, histograms: undefined } };
    }
    if (value.type !== 'matrix') return { value };
    return { value: { type: 'matrix', series: value.series.map((one) => ({ ...one, pairs: one.labels.pairs })) } };
  };
  return {
    async instant(_tenant: string, request: { expr: string; timeMs: number }) {
      if (refuses(request.expr)) throw new Error(`refused: ${request.expr}`);
      const { value } = await engine.query(queryable, request, unlimited());
      return answer(value, request.timeMs);
    },
    async range(_tenant: string, request: { expr: string; startMs: number; endMs: number; stepMs: number }) {
      if (refuses(request.expr)) throw new Error(`refused: ${request.expr}`);
      const { value } = await engine.queryRange(queryable, request, unlimited());
      return answer(value, request.endMs);
    },
  } as unknown as QueryRunner;
}
